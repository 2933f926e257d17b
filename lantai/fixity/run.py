"""A run over the packages of a store, in segments, each of which counts only if the audit found its own damage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from random import Random

from ..model import PackageId
from ..storage.ocfl import Root
from .audit import Level, Progress, Verdict, audit
from .control import PROMISED, Missed, control

_SEGMENT = 200
"""Packages after which an audit audits itself."""


@dataclass(frozen=True, slots=True)
class Segment:
    """missed: of the damages that the control made, those that were not found: then no verdict here counts."""

    verdicts: tuple[Verdict, ...]
    missed: tuple[Missed, ...]

    @property
    def void(self) -> bool:
        return bool(self.missed)


def run(
    root: Root, packages: Iterable[PackageId], level: Level, *, progress: Progress, chance: Random
) -> Iterator[Segment]:
    """Every one of packages in root, at a level. StoreUnavailable: the segments so far count."""
    every = iter(packages)
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="audit") as threads:
        while some := list(islice(every, _SEGMENT)):
            verdicts = tuple(audit(root, package, level, threads=threads, progress=progress) for package in some)
            # Where all are damaged there is nothing that could be believed wrongly.
            whole = sorted((one for one in verdicts if one.valid), key=lambda one: (one.bytes, one.package))
            small = [one.package for one in whole[: len(PROMISED[level])]]
            missed = control(root, small, level, threads=threads, chance=chance) if small else ()
            yield Segment(verdicts, missed)
