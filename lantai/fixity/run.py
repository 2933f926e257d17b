"""A run over the packages of a store, in segments, each of which counts only if the audit found its own damage."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from random import Random

from ..model import PackageId
from ..storage import Bucket
from ..storage.ocfl import Root
from ..storage.workers import Progress, Workers
from .audit import Level, Verdict, audit
from .control import PROMISED, Damage, Missed, control

_SEGMENT = 200
"""Packages after which an audit audits itself."""
_ALONE = 0
"""Packages for which no process is begun, if there are more than one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """missed: of the damages that the control made, those that were not found: then no verdict here counts."""

    verdicts: tuple[Verdict, ...]
    missed: tuple[Missed, ...]

    @property
    def void(self) -> bool:
        return bool(self.missed)


@dataclass(frozen=True, slots=True)
class _Asked:
    """damage: of a control; None: an audit is asked for."""

    package: PackageId
    level: Level
    damage: Damage | None = None
    seed: int = 0


def run(
    root: Root, place: Path | Bucket, packages: Iterable[PackageId], level: Level, *, progress: Progress, chance: Random
) -> Iterator[Segment]:
    """Every one of packages in root, which lies at place, at a level. StoreUnavailable: the segments so far count.

    Where they are many, the same processes do the audits and the controls.
    """
    every = iter(packages)
    first = list(islice(every, 2))
    every = chain(first, every)
    with Workers(
        root, place, _look, alone=_ALONE if len(first) > 1 else sys.maxsize, threads=os.cpu_count()
    ) as workers:
        while some := list(islice(every, _SEGMENT)):
            verdicts = tuple(
                one
                for one in workers.answers((_Asked(package, level) for package in some), progress)
                if isinstance(one, Verdict)
            )
            # Where all are damaged there is nothing that could be believed wrongly.
            whole = sorted((one for one in verdicts if one.valid), key=lambda one: (one.bytes, one.package))
            small = [one.package for one in whole[: len(PROMISED[level])]]
            asked = (
                _Asked(small[number % len(small)], level, damage, chance.getrandbits(64))
                for number, damage in enumerate(PROMISED[level] if small else ())
            )
            missed = tuple(one for one in workers.answers(asked, _unheard) if isinstance(one, Missed))
            assert len(verdicts) == len(some)
            yield Segment(verdicts, missed)


def _look(root: Root, threads: Executor | None, asked: _Asked, progress: Progress) -> Verdict | Missed | None:
    if asked.damage is None:
        return audit(root, asked.package, asked.level, threads=threads, progress=progress)
    chance = Random(asked.seed)
    return control(root, asked.package, asked.level, asked.damage, threads=threads, chance=chance)


def _unheard(_files: int, _octets: int) -> None: ...
