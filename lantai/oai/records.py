"""What the catalogue has for harvesters, rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from ..catalog import Catalog, Day, Exposed, Selection
from ..catalog.days import DAY
from ..model import Record, RecordId
from . import Item, NotYet, Page, Repository, Set, Wanted
from .formats import FORMATS, Format, Shown
from .protocol import record
from .receipt import Root, digest, leaf

_ALWAYS = 2**62
"""A datestamp that is later than any."""


_ROWS = 500
_MADE_AT_ONCE = 2_000
"""Records of which for one receipt what is given is made at most."""


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

        part, after = _part(wanted), after or (-1, "")
        if given := self._exposures.given(part, at=at, after=after, limit=limit, prefix=prefix or ""):
            return Page(given.body, given.count, given.last, given.more)
        files = form is not None and form.files
        found, more = self._exposures.page(
            part, at=at, after=after, limit=limit, prefix=prefix or "", files=files, make=make
        )  # fmt: skip
        last = (found[-1][1], found[-1][0]) if found else None
        return Page(b"".join(one[2] for one in found), len(found), last, more)

    def size(self, wanted: Wanted, at: int) -> int | None:
        return self._exposures.size(_part(wanted), at)

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        return [Set(spec, _name(spec, title), "") for spec, title in self._exposures.sets(at, after, limit)]

    def days(self, prefix: str, spec: str, at: int, last: int) -> Sequence[tuple[int, int, str]]:
        found = self._exposures.counted(spec, prefix, at)
        known, last = {one.day: one for one in found.days}, _ALWAYS if last >= at else last
        told, left = list[tuple[int, int, str]](), [_MADE_AT_ONCE]
        try:
            for day, one in list(known.items()):
                first, end = day * DAY, min(day * DAY + DAY - 1, last)
                if first > last or not one.count:
                    continue
                count, root = one.count, one.root
                if root is None or end == last:
                    made = self._root(prefix, Selection(first, end, spec), at, left)
                    count, root = made.count, made.value().hex()
                    if end < last:
                        known[day] = Day(day, count, root, one.until)
                if count:
                    told.append((day, count, root))
        finally:
            kept = set(found.days) - set(found.anew) if found.was_known else set()
            if anew := set(known.values()) - kept:
                self._exposures.keep(spec, prefix, at, found, sorted(anew, key=lambda one: one.day))
        return told

    def _root(self, prefix: str, part: Selection, at: int, left: list[int]) -> Root:
        """left: of how many records more what is given may be made for it."""
        root, after = Root(), (-1, "")
        while rows := self._exposures.digests(part, at=at, after=after, limit=_ROWS, prefix=prefix):
            lacking = [row[0] for row in rows if row[2] and row[3] is None]
            made = self._made(prefix, part, at, after, rows[-1][:2], left) if lacking else {}
            for id, since, live, known in rows:
                told = (known or made.get(id, "")) if live else ""
                stamp = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                root.add(leaf(self._repository.identifier(RecordId(id)), stamp, live=bool(live), metadata=told))
            after = (rows[-1][1], rows[-1][0])
        return root

    def _made(
        self, prefix: str, part: Selection, at: int, after: tuple[int, str], until: tuple[str, int], left: list[int]
    ) -> Mapping[str, str]:
        """Digests of what is given of the records beyond after, up to until, as far as it was not given before."""
        found: dict[str, str] = {}
        form = self._formats[prefix]

        def make(one: Exposed) -> tuple[bytes, str]:
            item = self._item(one, form)
            found[one.id] = digest(item.metadata) if item.metadata else ""
            return record(self._repository, item).encode(), found[one.id]

        while after < (until[1], until[0]):
            if left[0] <= 0:
                raise NotYet
            before = len(found)
            page, _more = self._exposures.page(
                part, at=at, after=after, limit=_ROWS, prefix=prefix, files=form.files, make=make
            )
            left[0] -= len(found) - before
            if not page:
                break
            after = (page[-1][1], page[-1][0])
        return found

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


def _part(wanted: Wanted) -> Selection:
    return Selection(wanted.since or 0, _ALWAYS if wanted.until is None else wanted.until, wanted.spec or "")


def _name(spec: str, title: str | None) -> str:
    return title or spec.rpartition(":")[2]
