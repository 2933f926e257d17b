"""What the catalogue has for harvesters, rendered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ..catalog import Catalog, Exposed
from ..metadata import dc
from ..model import RecordId
from . import Item, Set, Wanted

_ALWAYS = 2**62
"""A datestamp that is later than any."""


class Harvest:
    """Records of a catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self._exposures = catalog.exposures

    def now(self, clock: datetime) -> int:
        return self._exposures.served(int(clock.astimezone(UTC).timestamp()))

    def item(self, record: RecordId, at: int) -> Item | None:
        found = self._exposures.one(record, at)
        return _item(found) if found else None

    def items(
        self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int, *, described: bool = True
    ) -> Sequence[Item]:
        found = self._exposures.some(
            first=wanted.since or 0, last=_ALWAYS if wanted.until is None else wanted.until, spec=wanted.spec, at=at,
            after=after or (-1, ""), limit=limit, described=described,
        )  # fmt: skip
        return [_item(one) for one in found]

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        return [Set(spec, _name(spec, title), "") for spec, title in self._exposures.sets(at, after, limit)]


def _item(found: Exposed) -> Item:
    metadata = b"".join(dc.element(found.record, located=True)).decode() if found.record else ""
    return Item(found.id, found.since, found.live, found.sets, metadata)


def _name(spec: str, title: str | None) -> str:
    return title or spec.rpartition(":")[2]
