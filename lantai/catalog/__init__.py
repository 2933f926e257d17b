"""An index of the store. Thrown away and rebuilt at will.

Catalog is the face. Words of this room:

* row: what a list shows of a package, record or file;
* owner of a file: the record that describes it, else the nearest folder above it, else the root record;
* token, phrase: what a text, and what a query, is for search (tokens.py);
* ending: the last hex digits of an id, by which people name things (resolve.py).

A database serves any number of processes: readers never wait, writers wait for each other up to 30 seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import TypeVar

from sqlalchemy import Connection, and_, func, not_, select, true

from ..access import Exposure
from ..errors import NotFound
from ..messages import _
from ..model import Agent, Decision, Entry, Event, FileId, Package, PackageId, PayloadFile, RecordId, Run, Version
from . import exposures, journal, queries, resolve, search
from . import tables as t
from .database import Database, remove
from .days import Day, Listing
from .exposed import Exposures, Selection
from .pen import Pen
from .rows import (
    FONDS,
    UNKNOWN,
    Access,
    Check,
    Checks,
    Copy,
    Coverage,
    Exposed,
    FileRow,
    Found,
    Held,
    Listed,
    PackageRow,
    Passed,
    RecordHit,
    RecordRow,
    RemoteHit,
    Snippet,
    Source,
)
from .union import Remote
from .writing import Writing

__all__ = [
    "FONDS",
    "UNKNOWN",
    "Access",
    "Catalog",
    "Check",
    "Checks",
    "Copy",
    "Coverage",
    "Day",
    "Exposed",
    "FileRow",
    "Found",
    "Held",
    "Listed",
    "Listing",
    "PackageRow",
    "Passed",
    "RecordHit",
    "RecordRow",
    "Remote",
    "RemoteHit",
    "Selection",
    "Snippet",
    "Source",
]

Row = TypeVar("Row")
Last = TypeVar("Last")
Part = TypeVar("Part")

_PAGE = 500
"""Rows that one short read takes; iterating holds no lock and no snapshot between two of them."""
_LARGE_PAGE = 10_000
"""Where each read looks at every package, so that there are few."""


class Catalog:
    """Every answer is of what was indexed before the question; see open()."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, read_only: bool = False, create: bool = True, durable: bool = True) -> Catalog:
        """The catalogue at url (sqlite:///PATH), created if there is none, brought to this version's schema and tokens.

        durable: what was written is there after a power failure; else the last of it may be gone, and nothing worse.
        Raises UsageError (no such place, something else lies there, made by a newer lantai, or read_only and not of
        this version), Damaged (it cannot be read; or there is none, and it is not to be created), StoreUnavailable
        (locked for 30 seconds).
        """
        return cls(Database(url, read_only=read_only, create=create, durable=durable))

    @staticmethod
    def replace(url: str, new: Catalog, last: Callable[[], None]) -> None:
        """Put new in the place of the catalogue at url, whatever lies there: all of it or nothing, while nobody writes.

        last is called when nobody writes any more, to tell new what it does not know yet. Raises UsageError (something
        else lies there), StoreUnavailable. Who has the old one open goes on with the new one.
        """

        def at_last() -> None:
            last()
            Exposures(new._database).go_on(Exposures.served_before(url))
            Remote(new._database).go_on(Remote.before(url))

        new._database.take_the_place_of(url, at_last)

    @staticmethod
    def remove(url: str) -> None:
        """Whatever lies there."""
        remove(url)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """To be told of much at once: all of it counts when this ends, or nothing. Others wait to write so long."""
        with self._database.writing() as connection:
            exposures.begin(connection)
            pen = Pen(connection)
            yield Writing(pen)
            pen.flush()
            exposures.refresh(connection)

    def index(self, package: Package, files: Iterable[PayloadFile], *, earlier: Iterable[str] = ()) -> None:
        """See Writing.index."""
        with self.writing() as told:
            told.index(package, files, earlier=earlier)

    def keep(self, package: PackageId, copies: Iterable[Copy]) -> None:
        """See Writing.keep."""
        with self.writing() as told:
            told.keep(package, copies)

    def apply(self, segment: Sequence[Entry], *, writer: str, number: int, seal: str) -> None:
        """See Writing.apply."""
        with self.writing() as told:
            told.apply(segment, writer=writer, number=number, seal=seal)

    @property
    def exposures(self) -> Exposures:
        """What harvesters see."""
        return Exposures(self._database)

    @property
    def remote(self) -> Remote:
        """What was harvested from other archives."""
        return Remote(self._database)

    def copies(self, id: PackageId) -> tuple[Copy, ...]:
        """Where its versions were last seen, by version and store. Raises NotFound."""
        return self._of_package(id, queries.copies)

    def chains(self) -> dict[str, tuple[int, str]]:
        """How far each chain of the journal was taken in: number and seal of its last segment, by writer."""
        with self._database.reading() as connection:
            return journal.chains(connection)

    def entries(self, subject: str) -> tuple[Entry, ...]:
        """What the journal says of a package, record or store, in the order of time."""
        with self._database.reading() as connection:
            return journal.entries(connection, subject)

    def decisions(self, record: RecordId) -> tuple[Decision, ...]:
        """All that were ever taken of a record itself, in the order of time."""
        with self._database.reading() as connection:
            return journal.decisions(connection, [record]).get(record, ())

    def timeline(self, record: RecordId) -> tuple[Exposure, ...]:
        """How a record is shown over time, by its own decisions or those of the records above it."""
        with self._database.reading() as connection:
            return journal.timeline(connection, record)

    def agent_named(self, name: str) -> str | None:
        """The id of the person who took that name, in the place of another."""
        with self._database.reading() as connection:
            return journal.agent_named(connection, name)

    def name_of(self, agent: str) -> str | None:
        """The newest name of a person who changed it."""
        with self._database.reading() as connection:
            return journal.name_of(connection, agent)

    def has_acted(self, agent: str) -> bool:
        """Whether any package or entry names that person; slow."""
        with self._database.reading() as connection:
            return journal.has_acted(connection, agent)

    def checks(self, package: PackageId) -> tuple[Check, ...]:
        """The newest of each store and level."""
        with self._database.reading() as connection:
            return tuple(journal.checks(connection, package))

    def last_checked(self, store: str, level: str) -> Iterator[tuple[PackageId, datetime | None]]:
        """Every package that lies in the store of that name: when it was checked at that level or a closer one; None:
        never, or it was not whole then. These first, then from the longest ago.
        """

        def page(
            connection: Connection, last: tuple[str, str] | None, _size: int
        ) -> list[tuple[PackageId, datetime | None]]:
            return journal.last_checked(connection, store, level, last or ("", ""), _LARGE_PAGE)

        return self._pages(page, lambda one: (t.instant(one[1]) if one[1] else "", one[0]), None, None)

    def covered(self, store: str, level: str, before: datetime) -> Coverage:
        """How far the packages that lie in the store of that name are checked; before: what is overdue."""
        with self._database.reading() as connection:
            return journal.covered(connection, store, level, before)

    def runs(self) -> Iterator[Run]:
        """Each as its newest entry has it, the newest first."""

        def page(connection: Connection, last: tuple[datetime, str] | None, size: int) -> list[Entry]:
            return journal.runs(connection, last, size)

        seen = set[str]()
        for entry in self._pages(page, lambda one: (one.at, one.id), None, None):
            if entry.subject not in seen:
                seen.add(entry.subject)
                yield journal.run_of(entry)

    def checked_since(
        self, store: str, level: str, packages: Iterable[PackageId], since: datetime
    ) -> dict[PackageId, int]:  # fmt: skip
        """Those that were found whole at that level, in the store of that name, in a later second than since (in that
        second it may have been the run before), and have got no version from that second on: the newest that lies there
        as far as it is known.
        """
        with self._database.reading() as connection:
            return journal.checked_since(connection, store, level, list(packages), since)

    def held(self, store: str, level: str) -> Iterator[Held]:
        """Every package that lies in the store of that name, in the order of their ids."""

        def page(connection: Connection, last: PackageId | None, size: int) -> list[Held]:
            return journal.held(connection, store, level, last or "", size)

        return self._pages(page, lambda one: one.package, None, None)

    def checks_by_hour(self, level: str) -> Iterator[Checks]:
        """All that the journal tells of checks at that level, added up, in the order of time. Reads one snapshot, and
        every entry of the journal.
        """
        with self._database.reading() as connection:
            yield from journal.checks_by_hour(connection, level)

    def lacking(self, store: str, until: datetime) -> Iterator[tuple[PackageId, int, datetime]]:
        """The packages of which the newest version that was made until then was not seen in the store of that name,
        each with the first such version, and when that was made.
        """

        def page(connection: Connection, last: str | None, size: int) -> list[tuple[PackageId, int, datetime]]:
            return queries.lacking(connection, store, until, last or "", size)

        return self._pages(page, lambda one: one[0], None, None)

    def holdings(self) -> Counter[frozenset[str]]:
        """How many packages lie, in the version that is indexed and not known to be damaged, in just these stores."""

        def page(connection: Connection, last: str | None, size: int) -> list[tuple[str, frozenset[str]]]:
            return queries.stores_of(connection, last or "", size)

        return Counter(stores for _package, stores in self._pages(page, lambda one: one[0], None, None))

    def is_withdrawn(self, subject: str) -> bool:
        with self._database.reading() as connection:
            return journal.is_withdrawn(connection, subject)

    def withdrawn_with(self, record: RecordId) -> tuple[str, ...]:
        """What was withdrawn so that the record is hidden: itself, or records above it. (): it is not."""
        with self._database.reading() as connection:
            return journal.withdrawn_with(connection, [record]).get(record, ())

    def withdrawals(self) -> Iterator[Entry]:
        """Of each record that is withdrawn itself, in the order of their ids, the newest entry that withdrew it."""

        def page(connection: Connection, last: str | None, size: int) -> list[Entry]:
            return journal.withdrawals(connection, last or "", size)

        return self._pages(page, lambda entry: entry.subject, None, None)

    def packages(
        self, after: PackageId | None = None, limit: int | None = None, *, withdrawn: bool = True
    ) -> Iterator[PackageRow]:
        """In the order of their creation, those after `after`. withdrawn: those that are, too."""

        def page(connection: Connection, last: PackageId | None, size: int) -> list[PackageRow]:
            where = true() if last is None else t.packages.c.id > last
            if not withdrawn:
                where = and_(where, not_(journal.withdrawal_of(t.packages.c.id)))
            return queries.package_rows(connection, where, size)

        return self._pages(page, lambda row: row.id, after, limit)

    def package(self, id: PackageId) -> PackageRow:
        """Raises NotFound."""
        with self._database.reading() as connection:
            return _one(queries.package_rows(connection, t.packages.c.id == id, 1), id)

    def versions(self, id: PackageId) -> tuple[Version, ...]:
        """1 to head. Raises NotFound."""
        with self._database.reading() as connection:
            found = queries.versions(connection, id)
            return _one([found] if found else [], id)

    def events(self, id: PackageId) -> tuple[Event, ...]:
        """In the order of the package. Raises NotFound."""
        return self._of_package(id, queries.events)

    def agents(self, id: PackageId) -> tuple[Agent, ...]:
        """In the order of the package. Raises NotFound."""
        return self._of_package(id, queries.agents)

    def record(self, id: RecordId) -> RecordRow:
        """Raises NotFound."""
        with self._database.reading() as connection:
            return _one(queries.record_rows(connection, t.records.c.id == id), id)

    def records(
        self, package: PackageId, after: RecordId | None = None, limit: int | None = None
    ) -> Iterator[RecordRow]:
        """In the order of the package, the root record first; those after `after`. No such package: none."""

        def page(connection: Connection, last: RecordId | None, size: int) -> list[RecordRow]:
            mine = t.records.c.package == queries.key_of(package)
            position = select(t.records.c.position).where(t.records.c.id == last).scalar_subquery()
            where = mine if last is None else and_(mine, t.records.c.position > position)
            return queries.record_rows(connection, where, size)

        return self._pages(page, lambda row: row.id, after, limit)

    def file(self, id: FileId) -> FileRow:
        """Raises NotFound."""
        with self._database.reading() as connection:
            return _one([one.row for one in queries.stored_files(connection, t.files.c.id == id)], id)

    def files(self, package: PackageId, after: str | None = None, limit: int | None = None) -> Iterator[FileRow]:
        """In the order of their paths (by code point), those after the path `after`. No such package: none."""

        def page(connection: Connection, last: str | None, size: int) -> list[FileRow]:
            mine = t.files.c.package == queries.key_of(package)
            where = mine if last is None else and_(mine, t.files.c.path > last)
            return [one.row for one in queries.stored_files(connection, where, size)]

        return self._pages(page, lambda row: row.file.path, after, limit)

    def find_content(self, content: str) -> PackageId | None:
        """The oldest package that a submission of this content (Package.content) became, in any version indexed."""
        known = select(t.packages.c.id).join(t.contents).where(t.contents.c.content == content)
        with self._database.reading() as connection:
            return connection.scalars(known.order_by(t.packages.c.id).limit(1)).one_or_none()

    def format_names(self, puids: Iterable[str]) -> dict[str, str]:
        """What a person calls these formats: name and version, as the tool that found them says."""
        asked = select(t.formats.c.puid, t.formats.c.name, t.formats.c.version).where(t.formats.c.puid.in_(list(puids)))
        with self._database.reading() as connection:
            rows = connection.execute(asked.order_by(t.formats.c.tool, t.formats.c.signature, t.formats.c.name)).all()
        return {puid: f"{name} {version}".strip() for puid, name, version in rows}

    def version_of(self, package: PackageId) -> int | None:
        """The version that is indexed."""
        return self.versions_of([package]).get(package)

    def versions_of(self, packages: Iterable[PackageId]) -> dict[PackageId, int]:
        """The versions that are indexed; those of which none is are left out."""
        asked = select(t.packages.c.id, t.packages.c.version).where(t.packages.c.id.in_(list(packages)))
        with self._database.reading() as connection:
            return {row.id: row.version for row in connection.execute(asked)}

    def held_in(self, store: str, packages: Iterable[PackageId]) -> dict[PackageId, int]:
        """The newest version of each that was seen in the store of that name; those of which none was are left out."""
        newest = select(t.packages.c.id, func.max(t.copies.c.number)).join_from(t.copies, t.packages)
        asked = newest.where(t.copies.c.store == store, t.packages.c.id.in_(list(packages))).group_by(t.packages.c.id)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(asked)}

    def resolve(self, text: str) -> Found:
        """What text names: an id with or without urn:uuid:, the last six or more hex digits of one, a reference code.

        Raises NotFound, or UsageError with the candidates if there are several.
        """
        with self._database.reading() as connection:
            return resolve.resolve(connection, text)

    def search(self, query: str, after: int = 0, limit: int | None = None) -> Iterator[RecordHit]:
        """Records whose description, or the name of one of whose files, has every word of query; best first.

        A word of Chinese is found anywhere in a text, one of letters or digits as a whole, or as a beginning if it ends
        in *; "words in quotes" stand one after the other. after: as many hits are left out. Reads one snapshot.
        """
        with self._database.reading() as connection:
            hits = search.search(connection, query, after, limit)
            while some := list(islice(hits, _PAGE)):
                hidden = journal.withdrawn_with(connection, [hit.id for hit in some])
                yield from (replace(hit, withdrawn=True) if hit.id in hidden else hit for hit in some)

    def _of_package(self, id: PackageId, read: Callable[[Connection, PackageId], tuple[Part, ...]]) -> tuple[Part, ...]:
        with self._database.reading() as connection:
            _one(queries.versions(connection, id), id)
            return read(connection, id)

    def _pages(
        self,
        page: Callable[[Connection, Last | None, int], list[Row]],
        last_of: Callable[[Row], Last],
        last: Last | None,
        limit: int | None,
    ) -> Iterator[Row]:
        """All rows, by pages that begin after the last one's key; between two pages nothing is held."""
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            with self._database.reading() as connection:
                rows = page(connection, last, size)
            yield from rows
            if len(rows) < size:
                return
            last = last_of(rows[-1])
            left = None if left is None else left - size


def _one(rows: Sequence[Row], id: str) -> Row:
    if rows:
        return rows[0]
    raise NotFound(
        _("the catalogue does not know this"),
        subject=id,
        remedy=_("Look for it with list or search."),
    )
