"""How much an audit may still read, or for how long."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator

from ..model import Budget, PackageId
from ..storage.workers import Progress


class Spending:
    """A budget, shared evenly among what it is for, such as stores: what one leaves, the next may use."""

    def __init__(self, budget: Budget | None, among: int, progress: Progress) -> None:
        self._budget, self._among, self._progress = budget or Budget(), among, progress
        self._octets, self._began = 0, time.monotonic()
        self._bytes = self._until = math.inf
        self.spent = False

    def begin(self) -> None:
        """The share of the next."""
        now = time.monotonic()
        if self._budget.bytes is not None:
            self._bytes = self._octets + (self._budget.bytes - self._octets) / self._among
        if self._budget.seconds is not None:
            self._until = now + (self._began + self._budget.seconds - now) / self._among
        self._among -= 1

    def spend(self, files: int, octets: int) -> None:
        self._octets += octets
        self._progress(files, octets)

    def within(self, packages: Iterable[PackageId]) -> Iterator[PackageId]:
        """What can be begun before it is used up, and the first in any case, so that none waits for good."""
        for number, package in enumerate(packages):
            if number and (self._octets >= self._bytes or time.monotonic() >= self._until):
                self.spent = True
                return
            yield package
