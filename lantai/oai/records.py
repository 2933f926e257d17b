"""What the catalogue has for harvesters, rendered."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from itertools import takewhile

from ..catalog import Catalog, Day, Exposed, Listing, Passed, Selection
from ..catalog.days import DAY
from ..model import FileId, PayloadFile, Record, RecordId
from . import Item, NotYet, Origin, Page, Repository, Set, Wanted
from .formats import FORMATS, Format, Shown
from .protocol import record
from .provenance import kept_apart
from .receipt import Root, digest, leaf
from .sets import named

_ALWAYS = 2**62
"""A datestamp that is later than any."""


_SHORTLY = 3
"""Seconds from a responseDate on: what gets a datestamp within them is waited for."""
_ROWS = 500
_MADE_AT_ONCE = 2_000
"""Records of which for one receipt what is given is made at most."""


class Harvest:
    """Records of a catalogue, as those of the repository, in formats by prefix."""

    def __init__(self, catalog: Catalog, repository: Repository, formats: Mapping[str, Format] = FORMATS) -> None:
        self._exposures, self._others = catalog.exposures, catalog.remote
        self._repository = repository
        self._formats = formats
        # By the same program, with the same names and addresses: what was given in another way is not given again.
        schemas = sorted((one.prefix, one.schema, one.version) for one in formats.values())
        way = (version("lantai-archive"), repository, schemas)
        self._way = hashlib.sha256(repr(way).encode()).hexdigest()[:16]

    def _kept(self, prefix: str | None) -> str:
        """What is kept of what was given in that format, and in this way, is called."""
        return f"{prefix or ''} {self._way}"

    def begin(self) -> None:
        """What was given in another way is given up, and what was harvested from others gets no datestamp from before
        it was shown on: call it before any answer.
        """
        self._exposures.begin(self._way)
        self._others.show_on(is_shown=self._repository.union)

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
        page = self._page(wanted, at, after or (-1, ""), limit, prefix, row)
        if page.last is None and after is not None and self._is_coming(wanted, at, after):
            return replace(page, more=True)
        return page

    def _is_coming(self, wanted: Wanted, at: int, after: tuple[int, str]) -> bool:
        """What changed just now is not shown as it was, and not yet as it is."""
        part = _part(wanted)
        soon = Selection(max(part.first, at), min(part.last, at + _SHORTLY), part.spec)
        if self._exposures.coming(soon, after):
            return True
        if self._is_alone(wanted.spec):
            return False
        found, _more = self._others.passed(wanted.prefix, soon.first, soon.last, after, 1, described=False)
        return bool(found)

    def _is_alone(self, spec: str | None) -> bool:
        """The list has no records of other archives, which are in no set."""
        return not self._repository.union or bool(spec)

    def _page(
        self, wanted: Wanted, at: int, after: tuple[int, str], limit: int, prefix: str | None,
        row: Callable[[Item], bytes],
    ) -> Page:  # fmt: skip
        form = self._formats[prefix] if prefix else None

        def make(one: Exposed) -> tuple[bytes, str]:
            item = self._item(one, form)
            return row(item), digest(item.metadata) if item.metadata else ""

        part, alone = _part(wanted), self._is_alone(wanted.spec)
        if alone and (given := self._exposures.given(part, at=at, after=after, limit=limit, kept=self._kept(prefix))):
            return Page(given.body, given.count, given.last, given.more)
        files = form is not None and form.files
        found, more = self._exposures.page(
            part, at=at, after=after, limit=limit, kept=self._kept(prefix), described=prefix is not None, files=files,
            make=make,
        )  # fmt: skip
        own = _Stream([((since, id), given) for id, since, given in found], more)
        if alone:
            return own.page()
        return _merged(own, self._passed(wanted, at, after, limit, prefix is not None, row), limit)

    def _passed(
        self, wanted: Wanted, at: int, after: tuple[int, str], limit: int, described: bool,
        row: Callable[[Item], bytes],
    ) -> _Stream:  # fmt: skip
        part = _part(wanted)
        found, more = self._others.passed(
            wanted.prefix, part.first, min(part.last, at - 1), after, limit, described=described
        )
        form = self._formats[wanted.prefix]
        return _Stream([((one.since, one.identifier), row(_passed_on(one, form))) for one in found], more)

    def foreign(self, identifier: str) -> Mapping[str, Item]:
        found = {one.prefix: one for one in self._others.passed_of(identifier)}
        return {
            prefix: _passed_on(found[prefix], form) for prefix, form in self._formats.items() if prefix in found
        }  # fmt: skip

    def files(
        self, record: RecordId, at: int, after: FileId | None, limit: int, row: Callable[[PayloadFile], bytes]
    ) -> Page | None:
        found = self._exposures.files(record, at, after, limit, row)
        return Page(found.body, found.count, found.last, found.more) if found else None

    def size(self, wanted: Wanted, at: int) -> int | None:
        part, listing = _part(wanted), Listing(wanted.spec or "")
        if not self._is_alone(wanted.spec):
            listing = self._listing(wanted.prefix, "")
        return self._exposures.size(listing, part.first, part.last, at)

    def _listing(self, prefix: str, spec: str) -> Listing:
        """In a format: its records have roots, and others' are among them."""
        return Listing(spec, self._kept(prefix), None if self._is_alone(spec) else prefix)

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        titles = dict(self._exposures.sets(at, after, limit))
        return [named(spec, self._path(spec, at, titles), self._repository.language) for spec in list(titles)]

    def sets_held(self, at: int) -> int:
        return self._exposures.sets_held(at)

    def _path(self, spec: str, at: int, titles: dict[str, str | None]) -> Sequence[str]:
        """What a set and those above it are called: by their titles where those are told, else as in the setSpec.
        titles: of those known so far; gets what was looked up.
        """
        parts = spec.split(":")
        for end in range(2, len(parts)):
            above = ":".join(parts[:end])
            if above not in titles:  # it was on an earlier page
                titles[above] = dict(self._exposures.sets(at, _before(above), 1)).get(above)
        return [titles[":".join(parts[:end])] or parts[end - 1] for end in range(2, len(parts) + 1)]

    def days(self, prefix: str, spec: str, at: int, last: int) -> Sequence[tuple[int, int, str]]:
        listing = self._listing(prefix, spec)
        found = self._exposures.counted(listing, at)
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
                self._exposures.keep(listing, at, found, sorted(anew, key=lambda one: one.day))
        return told

    def _root(self, prefix: str, part: Selection, at: int, left: list[int]) -> Root:
        """left: of how many records more what is given may be made for it."""
        every = [self._own(prefix, part, at, left)]
        if not self._is_alone(part.spec):
            every.append(self._foreign(prefix, part, at))
        root = Root()
        for since, identifier, live, told in heapq.merge(*every):
            root.add(leaf(identifier, _stamp(since), live=live, metadata=told if live else ""))
        return root

    def _foreign(self, prefix: str, part: Selection, at: int) -> Iterator[tuple[int, str, bool, str]]:
        """See _own; of records of other archives."""
        after, namespace = (-1, ""), self._formats[prefix].namespace
        while rows := self._others.leaves(prefix, part.first, min(part.last, at - 1), after, _ROWS):
            for since, identifier, live, its, told in rows:
                yield since, identifier, bool(live) and its == namespace, told
            after = rows[-1][:2]

    def _own(
        self, prefix: str, part: Selection, at: int, left: list[int]
    ) -> Iterator[tuple[int, str, bool, str]]:  # fmt: skip
        """Datestamp, identifier, whether it is live, digest of its metadata if it is: in that order."""
        after = (-1, "")
        while rows := self._exposures.digests(part, at=at, after=after, limit=_ROWS, kept=self._kept(prefix)):
            lacking = [row[0] for row in rows if row[2] and row[3] is None]
            made = self._made(prefix, part, at, after, rows[-1][:2], left) if lacking else {}
            for id, since, live, known in rows:
                yield since, self._repository.identifier(RecordId(id)), bool(live), known or made.get(id, "")
            after = (rows[-1][1], rows[-1][0])

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
                part,
                at=at,
                after=after,
                limit=_ROWS,
                kept=self._kept(prefix),
                described=True,
                files=form.files,
                make=make,
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


@dataclass(frozen=True, slots=True)
class _Stream:
    """Some rows of a list by (datestamp, id), in that order; more: others follow the last, of which there is one."""

    rows: Sequence[tuple[tuple[int, str], bytes]]
    more: bool

    def page(self) -> Page:
        last = self.rows[-1][0] if self.rows else None
        return Page(b"".join(given for _key, given in self.rows), len(self.rows), last, self.more)


def _merged(one: _Stream, other: _Stream, limit: int) -> Page:
    """The first of both, at most limit: none from beyond what is known of either."""
    every = list(heapq.merge(one.rows, other.rows, key=lambda row: row[0]))
    ends = [stream.rows[-1][0] for stream in (one, other) if stream.more]
    some = list(takewhile(lambda row: row[0] <= min(ends), every) if ends else every)[:limit]
    return _Stream(some, bool(ends) or len(some) < len(every)).page()


def _passed_on(one: Passed, form: Format) -> Item:
    """What is live and is none of the format, though it says so, cannot be given in an answer: it is as deleted."""
    origin = Origin(one.identifier, one.datestamp, one.url, one.answered, one.namespace, one.about)
    live = one.live and one.namespace == form.namespace
    return Item(RecordId(one.identifier), one.since, live, (), kept_apart(one.metadata) if live else "", origin)


@lru_cache(256)
def _stamp(since: int) -> str:
    return datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _part(wanted: Wanted) -> Selection:
    return Selection(wanted.since or 0, _ALWAYS if wanted.until is None else wanted.until, wanted.spec or "")


def _before(spec: str) -> str:
    """Later than every setSpec before it: DEL is later than all that may be in one."""
    return f"{spec[:-1]}{chr(ord(spec[-1]) - 1)}\x7f"
