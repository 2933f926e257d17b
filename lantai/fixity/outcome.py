"""What came of an audit, over all stores: its exit code, its entry in the journal, what the screen, a mail and a figure
say of it are made of this and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..model import Finding, PackageId, RunVerdict
from .audit import Level
from .control import Missed


@dataclass(frozen=True, slots=True)
class Fault:
    """package: None: of what lies beside packages."""

    store: str
    package: PackageId | None
    finding: Finding


@dataclass(frozen=True, slots=True)
class Repaired:
    """keys: that were put right in store, from the store source, or from several; valid: by a full audit afterwards.
    package: None: what lies beside packages, which no store need give: it is known, or stands in others' journals.
    """

    store: str
    package: PackageId | None
    source: str | None
    keys: tuple[str, ...]
    valid: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """What could not be repaired, and why. subject: a key, where it lies beside packages."""

    store: str
    package: PackageId | None
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """packages: that were audited, once for each store; before: that a run which was broken off had audited, and this
    one went on from; files, bytes: of content, that were read and hashed; away: stores that were not audited to the
    end, and why; spent: the budget was used up before all was seen.
    """

    level: Level
    packages: int = 0
    before: int = 0
    files: int = 0
    bytes: int = 0
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    missed: tuple[Missed, ...] = ()
    away: tuple[tuple[str, str], ...] = ()
    spent: bool = False
    repaired: tuple[Repaired, ...] = ()
    lost: tuple[Lost, ...] = ()

    def with_done(self, done: Iterable[Repaired | Lost]) -> Outcome:
        """And what became of what was found."""
        every = tuple(done)
        repaired = tuple(one for one in every if isinstance(one, Repaired))
        lost = tuple(one for one in every if isinstance(one, Lost))
        return replace(self, repaired=(*self.repaired, *repaired), lost=(*self.lost, *lost))

    @property
    def verdict(self) -> RunVerdict:
        if self.missed:
            return "void"
        if self.faults:
            return "faults"
        return "incomplete" if self.away or self.spent else "passed"

    @property
    def exit_code(self) -> int:
        """A budget that was used up is no failure: that is what it is for."""
        if self.missed:
            return 3
        return 1 if self.faults or self.away else 0

    @property
    def counts(self) -> dict[str, int]:
        """As a run's entry in the journal has them."""
        return {
            "packages": self.packages, "files": self.files, "bytes": self.bytes, "faults": len(self.faults),
            "repaired": sum(len(one.keys) for one in self.repaired),
            "lost": len({one.package or one.subject for one in self.lost}),
        }  # fmt: skip
