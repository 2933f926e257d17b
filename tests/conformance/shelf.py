"""Records that stand in memory: what a provider asks of the catalogue, for tests of what lies above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lantai.model import FileId, PayloadFile, RecordId
from lantai.oai import Item, Page, Set, Wanted

SOON = 3
"""Seconds within which what is to be shown is waited for."""


@dataclass
class Shelf:
    """What each record has looked like. lag: by how much the responseDate is behind the clock; held: own files of
    records, those that are open.
    """

    looks: list[Item] = field(default_factory=list)
    named: tuple[Set, ...] | None = None
    lag: int = 0
    asked: list[str] = field(default_factory=list)
    held: Mapping[RecordId, Sequence[PayloadFile]] = field(default_factory=dict)

    def now(self, clock: datetime) -> int:
        return int(clock.timestamp()) - self.lag

    def _shown(self, at: int) -> list[Item]:
        last = {one.record: one for one in sorted(self.looks, key=lambda one: one.stamp) if one.stamp < at}
        return sorted(last.values(), key=lambda one: (one.stamp, one.record))

    def item(self, record: RecordId, at: int, prefix: str | None = None) -> Item | None:
        self.asked.append("item")
        return next((one for one in self._shown(at) if one.record == record), None)

    def foreign(self, identifier: str) -> Mapping[str, Item]:
        return {}

    def items(
        self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int, prefix: str | None,
        row: Callable[[Item], bytes],
    ) -> Page:  # fmt: skip
        self.asked.append("items")
        found = [one for one in self.wanted(wanted, at) if after is None or (one.stamp, one.record) > after]
        some = found[:limit]
        last = (some[-1].stamp, some[-1].record) if some else None
        more = len(found) > limit
        if not found and after is not None:
            more = any(
                one.stamp >= at and (one.stamp, one.record) > after for one in self.wanted(wanted, at + SOON + 1)
            )
        return Page(b"".join(map(row, some)), len(some), last, more)

    def files(
        self, record: RecordId, at: int, after: FileId | None, limit: int, row: Callable[[PayloadFile], bytes]
    ) -> Page | None:
        self.asked.append("files")
        ids = [one.id for one in self.held.get(record, ())]
        if record not in self.held or (after is not None and after not in ids):
            return None
        first = ids.index(after) + 1 if after else 0
        some = self.held[record][first : first + limit]
        last = (0, some[-1].id) if some else None
        return Page(b"".join(map(row, some)), len(some), last, first + limit < len(ids))

    def size(self, wanted: Wanted, at: int) -> int | None:
        return len(self.wanted(wanted, at))

    def sets_held(self, at: int) -> int:
        return len(self.sets(at, "", 10_000))

    def days(self, prefix: str, spec: str, at: int, last: int) -> Sequence[tuple[int, int, str]]:
        raise NotImplementedError

    def wanted(self, wanted: Wanted, at: int) -> list[Item]:
        return [
            one
            for one in self._shown(at)
            if (wanted.since is None or wanted.since <= one.stamp)
            and (wanted.until is None or one.stamp <= wanted.until)
            and (wanted.spec is None or any((spec + ":").startswith(wanted.spec + ":") for spec in one.sets))
        ]

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        self.asked.append("sets")
        found = self.named
        if found is None:
            specs = sorted({spec for one in self._shown(at) for spec in one.sets})
            found = tuple(Set(spec, "集 " + spec, "") for spec in specs)
        return [one for one in found if one.spec > after][:limit]
