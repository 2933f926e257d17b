"""What the catalogue has for harvesters, rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from lxml import etree

from ..catalog import Catalog, Exposed, Selection
from ..model import Record, RecordId
from . import Item, Page, Repository, Set, Wanted
from .formats import FORMATS, Format, Shown

_ALWAYS = 2**62
"""A datestamp that is later than any."""


class Harvest:
    """Records of a catalogue, as those of the repository, in formats by prefix."""

    def __init__(self, catalog: Catalog, repository: Repository, formats: Mapping[str, Format] = FORMATS) -> None:
        self._exposures = catalog.exposures
        self._repository = repository
        self._formats = formats

    def begin(self) -> None:
        """What was given is kept only while it would be given in the same way: call it before any answer."""
        way = (
            version("lantai-archive"),
            self._repository,
            sorted((one.prefix, one.schema) for one in self._formats.values()),
        )
        self._exposures.begin(hashlib.sha256(repr(way).encode()).hexdigest())

    def now(self, clock: datetime) -> int:
        return self._exposures.served(int(clock.astimezone(UTC).timestamp()))

    def item(self, record: RecordId, at: int, prefix: str | None) -> Item | None:
        form = self._formats[prefix] if prefix else None
        found = self._exposures.one(record, at, described=form is not None, files=bool(form and form.files))
        return self._item(found, form) if found else None

    def items(
        self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int, prefix: str | None,
        row: Callable[[Item], bytes],
    ) -> Page:  # fmt: skip
        form = self._formats[prefix] if prefix else None

        def make(one: Exposed) -> tuple[bytes, str]:
            item = self._item(one, form)
            return row(item), digest(item.metadata) if item.metadata else ""

        found, more = self._exposures.page(
            _part(wanted), at=at, after=after or (-1, ""), limit=limit, prefix=prefix or "",
            files=bool(form and form.files), make=make,
        )  # fmt: skip
        last = (found[-1][1], found[-1][0]) if found else None
        return Page([one[2] for one in found], last, more)

    def size(self, wanted: Wanted, at: int) -> int | None:
        return self._exposures.size(_part(wanted), at)

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        return [Set(spec, _name(spec, title), "") for spec, title in self._exposures.sets(at, after, limit)]

    def _item(self, one: Exposed, form: Format | None) -> Item:
        metadata = ""
        if form is not None and one.record is not None:
            told, here = Record(one.id, None, one.record.description), self._repository
            shown = Shown(told, one.above, one.holdings, one.since, here.identifier(one.id), here.base_url, here.name)
            try:
                metadata = form.render(shown)
            except Exception as error:
                raise RuntimeError(f"{one.id} cannot be given as {form.prefix}") from error
        return Item(one.id, one.since, one.live, one.sets, metadata)


def digest(metadata: str) -> str:
    """SHA-256 of its exclusive canonical form (https://www.w3.org/TR/xml-exc-c14n/), in hexadecimal digits."""
    canonical = etree.tostring(etree.fromstring(metadata), method="c14n", exclusive=True)
    return hashlib.sha256(canonical).hexdigest()


def _part(wanted: Wanted) -> Selection:
    return Selection(wanted.since or 0, _ALWAYS if wanted.until is None else wanted.until, wanted.spec or "")


def _name(spec: str, title: str | None) -> str:
    return title or spec.rpartition(":")[2]
