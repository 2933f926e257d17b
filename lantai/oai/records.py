"""What the catalogue has for harvesters, rendered."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime

from ..catalog import Catalog, Exposed
from ..model import Holdings, Record, RecordId
from . import Item, Page, Repository, Set, Wanted
from .formats import FORMATS, Format, Shown

_ALWAYS = 2**62
"""A datestamp that is later than any."""
_ENOUGH = 5_000
"""Files after which a page ends, so that no answer grows with what records hold."""
_COUNTED = 50
"""So many files are counted in the time in which one is listed."""


class Harvest:
    """Records of a catalogue, as those of the repository, in formats by prefix."""

    def __init__(self, catalog: Catalog, repository: Repository, formats: Mapping[str, Format] = FORMATS) -> None:
        self._exposures = catalog.exposures
        self._repository = repository
        self._formats = formats

    def now(self, clock: datetime) -> int:
        return self._exposures.served(int(clock.astimezone(UTC).timestamp()))

    def item(self, record: RecordId, at: int, prefix: str | None) -> Item | None:
        found = self._exposures.one(record, at)
        return self._page([found], at, prefix)[0] if found else None

    def items(self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int, prefix: str | None) -> Page:
        found = self._exposures.some(
            first=wanted.since or 0, last=_ALWAYS if wanted.until is None else wanted.until, spec=wanted.spec, at=at,
            after=after or (-1, ""), limit=limit + 1, described=prefix is not None,
        )  # fmt: skip
        items = self._page(found[:limit], at, prefix)
        return Page(items, len(items) < len(found))

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        return [Set(spec, _name(spec, title), "") for spec, title in self._exposures.sets(at, after, limit)]

    def _page(self, found: Sequence[Exposed], at: int, prefix: str | None) -> list[Item]:
        """Not all of found where it has too many files."""
        if prefix is None:
            return [_item(one, "") for one in found]
        form, items, files = self._formats[prefix], list[Item](), 0
        with closing(self._around(found, at, form)) as each:
            for one, above, holdings in each:
                items.append(_item(one, self._rendered(form, one, above, holdings)))
                files += _weight(holdings)
                if files >= _ENOUGH:
                    break
        return items

    def _around(
        self, found: Sequence[Exposed], at: int, form: Format
    ) -> Generator[tuple[Exposed, tuple[Record, ...], Holdings | None]]:
        live = [one.id for one in found if one.record is not None]
        with closing(self._exposures.around(live, at, files=form.files)) as around:
            for one in found:
                if one.record is None:
                    yield one, (), None
                else:
                    _record, above, holdings = next(around)
                    yield one, above, holdings

    def _rendered(self, form: Format, one: Exposed, above: tuple[Record, ...], holdings: Holdings | None) -> str:
        if one.record is None:
            return ""
        told = Record(one.id, None, one.record.description)
        here = self._repository
        shown = Shown(told, above, holdings, one.since, here.identifier(one.id), here.base_url, here.name)
        try:
            return form.render(shown)
        except Exception as error:
            raise RuntimeError(f"{one.id} cannot be given as {form.prefix}") from error


def _item(found: Exposed, metadata: str) -> Item:
    return Item(found.id, found.since, found.live, found.sets, metadata)


def _weight(holdings: Holdings | None) -> int:
    return 0 if holdings is None else len(holdings.listed) or holdings.files // _COUNTED


def _name(spec: str, title: str | None) -> str:
    return title or spec.rpartition(":")[2]
