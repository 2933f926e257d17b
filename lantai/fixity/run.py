"""A run over the packages of a store, in segments, each of which counts only if the audit found its own damage."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from ..model import PackageId
from ..storage import Bucket
from ..storage.ocfl import Root
from ..storage.stop import Stop
from ..storage.views import Paced
from ..storage.workers import Progress, Workers, unheard
from .audit import Level, Verdict, audit
from .control import PROMISED, Damage, Missed, control

_SEGMENT, _SECONDS = 200, 60.0
"""Packages or seconds, whichever comes first, after which an audit audits itself: what it saw until then counts,
however it ends.
"""


@dataclass(frozen=True, slots=True)
class Segment:
    """controlled: whether there was a package that the audit could damage to audit itself; missed: of the damages that
    it made, those that were not found: then no verdict here counts.
    """

    verdicts: tuple[Verdict, ...]
    controlled: bool
    missed: tuple[Missed, ...]

    @property
    def void(self) -> bool:
        return bool(self.missed)


@dataclass(frozen=True, slots=True)
class _Asked:
    package: PackageId
    damage: Damage
    seed: int


def run(
    root: Root, place: Path | Bucket, packages: Iterable[PackageId], level: Level, *, progress: Progress,
    chance: Random, stop: Stop, rate: int | None = None,
) -> Iterator[Segment]:  # fmt: skip
    """Every one of packages in root, which lies at place, at a level. StoreUnavailable: the segments so far count.

    Where they are many, the same processes do the audits and the controls. stop: once it is asked for, what was wholly
    read of the segment under way makes a last one, which audits itself as any. rate: bytes a second at most, read by
    this process alone.
    """
    every = iter(packages)
    if rate:
        root = Root(Paced(root.store, rate), prefix=root.prefix)
    with Workers(root, place, ahead=_SEGMENT, processes=0 if rate else None) as workers:
        while not stop.asked:
            some = list[PackageId]()
            drawn = _next(every, some, stop)  # one by one, since who gives them may have had enough
            verdicts = tuple(workers.answers(partial(_audit, level), drawn, progress, stop))
            left = iter(some)
            in_turn = all(verdict.package in left for verdict in verdicts)
            if not in_turn or (len(verdicts) < len(some) and not stop.asked):
                raise RuntimeError("not every package was audited, or not in turn")
            if not verdicts:
                return
            # Where all are damaged there is nothing that could be believed wrongly.
            whole = sorted((one for one in verdicts if one.valid), key=lambda one: (one.bytes, one.package))
            small = [one.package for one in whole[: len(PROMISED[level])]]
            controls = [
                _Asked(small[number % len(small)], damage, chance.getrandbits(64))
                for number, damage in enumerate(PROMISED[level] if small else ())
            ]
            found = workers.answers(partial(_control, level), controls, unheard)
            yield Segment(verdicts, bool(controls), tuple(missed for missed in found if missed))


def _next(packages: Iterator[PackageId], into: list[PackageId], stop: Stop) -> Iterator[PackageId]:
    """Of one segment, noted as they are given."""
    until = time.monotonic() + _SECONDS
    while not stop.asked and len(into) < _SEGMENT and (not into or time.monotonic() < until):
        package = next(packages, None)
        if package is None:
            return
        into.append(package)
        yield package


def _audit(level: Level, root: Root, threads: Executor | None, package: PackageId, progress: Progress) -> Verdict:
    return audit(root, package, level, threads=threads, progress=progress)


def _control(
    level: Level, root: Root, threads: Executor | None, asked: _Asked, _progress: Progress
) -> Missed | None:  # fmt: skip
    chance = Random(asked.seed)
    return control(root, asked.package, level, asked.damage, threads=threads, chance=chance)
