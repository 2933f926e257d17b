"""Records that stand in memory: what a provider asks of the catalogue, for tests of what lies above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lantai.model import RecordId
from lantai.oai import Item, Set, Wanted

_DC = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>第 {} 件</dc:title></oai_dc:dc>'
)
FIRST = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Shelf:
    """So many open records, a second apart."""

    count: int = 25

    def now(self, clock: datetime) -> int:
        return int(clock.timestamp())

    def item(self, record: RecordId, at: int) -> Item | None:
        return next((one for one in self._all() if one.record == record and one.stamp < at), None)

    def items(self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int) -> Sequence[Item]:
        found = [
            one
            for one in self._all()
            if (wanted.since is None or one.stamp >= wanted.since)
            and (wanted.until is None or one.stamp <= wanted.until)
            and (wanted.spec is None or wanted.spec in one.sets)
            and one.stamp < at
            and (after is None or (one.stamp, one.record) > after)
        ]
        return found[:limit]

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        return [Set("type", "Type", "")][:limit] if after < "type" else []

    def _all(self) -> list[Item]:
        return [
            Item(
                RecordId(f"urn:uuid:00000000-0000-7000-8000-{number:012}"), FIRST + number, True, ("type",),
                _DC.format(number),
            )
            for number in range(self.count)
        ]  # fmt: skip
