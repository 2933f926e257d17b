"""What must be seen of an archive: all that was decided, kept as it was told, and read off plainly each time. It knows
nothing of spans, datestamps, or the catalogue.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile

from lantai.model import Decision, Entry, Level, Shown

TYPES = {"图像": "image", "Text": "text", "录音": "sound", "": "", "照片集": ""}
"""Values of dc.type, and the set that each is of, if any."""
ARRANGED = ("fonds", "subfonds", "series", "subseries")
_STRICTNESS: Sequence[Shown] = ("closed", "description", "open")


@dataclass(frozen=True, slots=True)
class Said:
    """Of a record: its description, and the names of its files. code: "": it has none."""

    title: str
    level: Level
    type: str
    code: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a harvester sees of a record, but for its datestamp. title "": it is deleted."""

    title: str
    sets: frozenset[str]


@dataclass
class Truth:
    """created, parent, said: of each record that is in its package now; instants: seconds since 1970, with fractions.
    ever_open: those that were open at any second up to now, or might have been; ever_full: with their files; open_sets:
    in which sets each was while it was open; openings: at which of its instants that was, by what is known; shown:
    those that an answer showed live; part: what parts of the arrangement are called for good, where that is not what
    their code says now; stirred: those of which something changed that can be seen, or of whose access anything was
    told, since this was emptied.
    """

    created: dict[str, float] = field(default_factory=dict)
    parent: dict[str, str | None] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    decisions: defaultdict[str, list[Decision]] = field(default_factory=lambda: defaultdict(list))
    withdrawals: defaultdict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    every: dict[str, set[Said]] = field(default_factory=dict)
    open_sets: defaultdict[str, set[frozenset[str]]] = field(default_factory=lambda: defaultdict(set))
    openings: defaultdict[str, set[float]] = field(default_factory=lambda: defaultdict(set))
    ever_above: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ever_open: set[str] = field(default_factory=set)
    ever_full: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    part: dict[str, str] = field(default_factory=dict)
    stirred: set[str] = field(default_factory=set)
    known: dict[str, object] = field(default_factory=dict)
    looked: float = 0.0

    def describe(self, record: str, parent: str | None, created: float, said: Said, now: float) -> None:
        seconds = {math.ceil(one) for one in self.instants(record)} if record in self.said else set()
        if any(one < math.ceil(now) and self.is_open(record, one) for one in seconds):
            self.part.setdefault(record, self._named(record))  # it could be seen before it was described so
        self.stirred |= {record} - self.created.keys()
        self.created[record], self.parent[record], self.said[record] = created, parent, said
        self.every.setdefault(record, set()).add(said)

    def leave(self, record: str) -> None:
        """It is in its package no more; what was decided of it stands."""
        self.stirred.add(record)
        del self.created[record], self.parent[record], self.said[record]

    def line(self, record: str) -> Iterator[str]:
        """A record and all above it."""
        one: str | None = record
        while one is not None:
            yield one
            one = self.parent.get(one)

    def is_open(self, record: str, instant: float) -> bool:
        return self._shown(record, instant) != "closed"

    def _shown(self, record: str, instant: float) -> Shown:
        if record not in self.created or instant < self.created[record]:
            return "closed"
        if any(self._is_withdrawn(one, instant) for one in self.line(record)):
            return "closed"
        return self._access(record, instant)

    def _access(self, record: str, instant: float) -> Shown:
        taken = [one for one in self.decisions[record] if one.at.timestamp() <= instant]
        replaced = {id for one in taken for id in one.replaces}
        standing = [one for one in taken if one.id not in replaced]
        if standing:
            told: list[Shown] = [one.shown if one.since.timestamp() <= instant else "closed" for one in standing]
            return min(told, key=_STRICTNESS.index)
        above = self.parent.get(record)
        return "closed" if above is None else self._access(above, instant)

    def _is_withdrawn(self, record: str, instant: float) -> bool:
        told = [one for one in self.withdrawals[record] if one.at.timestamp() <= instant]
        replaced = {id for one in told for id in one.replaces}
        return any(one.state["withdrawn"] for one in told if one.id not in replaced)

    def _named(self, record: str) -> str:
        """What a part of the arrangement is called in sets: for good, if it was seen."""
        return self.part.get(record) or self._now_named(record)

    def show(self, record: str, sets: frozenset[str]) -> None:
        """An answer shows it live, in these sets. Where it was open for less than a second before it was described
        otherwise, only now is known what it is called.
        """
        first, self.shown = record not in self.shown, self.shown | {record}
        if first and record in self.said and self.said[record].level in ARRANGED:
            depth = sum(self.said[one].level in ARRANGED for one in self.line(record))
            if any(spec.startswith("fonds:") and spec.split(":")[depth:] == [self._now_named(record)] for spec in sets):
                self.part[record] = self._now_named(record)

    def _now_named(self, record: str) -> str:
        return self.said[record].code or record.removeprefix("urn:uuid:")

    def sets(self, record: str, instant: float) -> frozenset[str]:
        """Those that its header names, and those above them: parts of the arrangement that are open, as far as all are
        that stand above them.
        """
        said = self.said[record]
        arranged = [one for one in reversed(list(self.line(record))) if self.said[one].level in ARRANGED]
        nodes = [self._named(one) for one in takewhile(lambda one: self.is_open(one, instant), arranged)]
        found = {":".join(["fonds", *nodes[:end]]) for end in range(1, len(nodes) + 1)}
        found |= {f"level:{said.level}"} | ({"type", f"type:{TYPES[said.type]}"} if TYPES[said.type] else set())
        return frozenset(found)

    def seen_as(self, record: str, instant: float) -> object:
        """All that any format may say of it."""
        shown = self._shown(record, instant)
        if shown == "closed":
            return None
        above = [one for one in list(self.line(record))[1:] if self.is_open(one, instant)]
        said = [replace(self.said[one], files=(), type="") for one in above]
        mine = self.said[record]
        return mine if shown == "open" else replace(mine, files=()), above, said, self.sets(record, instant)

    def decided(self, record: str) -> None:
        """Of it, or of what is below it, something was decided."""
        self.stirred |= {one for one in self.every if one == record or record in self.ever_above[one]}

    def live(self, instant: float) -> dict[str, Look]:
        return {
            one: Look(self.said[one].title, self.sets(one, instant))
            for one in self.created
            if self.is_open(one, instant)
        }

    def instants(self, record: str) -> set[float]:
        """At which what is seen of it may change by itself."""
        found = {self.created[record]} if record in self.created else set()
        for one in self.line(record):
            found |= {instant.timestamp() for told in self.decisions[one] for instant in (told.at, told.since)}
            found |= {told.at.timestamp() for told in self.withdrawals[one]}
        return found

    def look(self, now: float) -> None:
        """Note what is open now, or was at any time by what is known now. To be called whenever something changed;
        while the clock is set back, with the newest responseDate, since from then on counts what is decided.
        """
        now = at(now).timestamp()  # no decision comes later than the microsecond in which it was taken
        for record in self.created:
            for instant in sorted({now, *(one for one in self.instants(record) if self.looked < one <= now)}):
                if (seen := self.seen_as(record, instant)) != self.known.get(record):
                    self.known[record] = seen
                    self.stirred.add(record)
            openings = self._openings(record, now)
            self.open_sets[record] |= {self.sets(record, one) for one in openings - self.openings[record]}
            self.openings[record] = openings - {now}
            self.ever_above[record] |= {*self.line(record)}
            self.ever_open |= {record} if openings else set()
            if record not in self.ever_full:
                self.ever_full |= {record} if any(self._shown(record, one) == "open" for one in openings) else set()

        self.looked = now

    def _openings(self, record: str, now: float) -> set[float]:
        """Instants up to now at which it is open, by what is known. What is made while the clock is set back may be
        later.
        """
        until = max(now, self.created[record])
        return {one for one in {now, *self.instants(record)} if one <= until and self.is_open(record, one)}

    def secrets(self) -> set[str]:
        """What no answer may say: ids, titles and codes of records that were never open, and names of files that were
        not.
        """
        found = set[str]()
        for record, every in self.every.items():
            if record not in self.ever_full:
                found |= {name for said in every for name in said.files}
            if record not in self.ever_open:
                found |= {said.title for said in every}
                found |= {record.removeprefix("urn:uuid:"), *(said.code for said in every if said.code)}
        return found


def at(instant: float) -> datetime:
    return datetime.fromtimestamp(instant, UTC)
