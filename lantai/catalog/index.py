"""Writing: a package and its files into the tables, in one transaction of the caller.

What is in the catalogue already and did not change stays; everything else is replaced. Rows go in many at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, delete, func, insert, select, update

from ..model import Decision, Format, Package, PayloadFile, Place, Record, RecordId
from . import search
from . import tables as t
from .queries import StoredRecord, stored_files, stored_records
from .rows import UNKNOWN, FileRow

T = TypeVar("T")

_CHUNK = 1000
"""Files that are in memory at once."""


def index(connection: Connection, package: Package, files: Iterable[PayloadFile], earlier: Iterable[str]) -> None:
    """See Catalog.index."""
    stored = connection.execute(
        select(t.packages.c.key, t.packages.c.version).where(t.packages.c.id == package.id)
    ).one_or_none()
    if stored is not None and stored.version > package.version:
        return
    key = _package(connection, package, None if stored is None else stored.key)
    for content in dict.fromkeys((*earlier, package.content)):
        held = {"content": content, "package": key}
        if content and not _holds(connection, t.contents, held):
            _insert(connection, t.contents, [held])
    keys, gone = _records(connection, key, package)
    _files(connection, key, package, files, keys, fresh=stored is None)
    # Only now does no file belong to them any more.
    _remove(connection, t.records, gone, search.remove_records)


def owners(records: Sequence[Record]) -> Callable[[str], RecordId]:
    """Which record a file at a path belongs to: the one that describes it, else the nearest folder's, else the root."""
    described: dict[str, RecordId] = {}
    for record in records:
        for path in record.paths:
            described.setdefault(path.rstrip("/"), record.id)
    root = records[0].id
    folders: dict[str, RecordId] = {"": root}

    def folder(path: str) -> RecordId:
        below = []
        while path not in folders and path not in described:
            below.append(path)
            path = path.rpartition("/")[0]
        found = described.get(path) or folders[path]
        folders.update((one, found) for one in below)
        return found

    return lambda path: described.get(path) or folder(path.rpartition("/")[0])


def _package(connection: Connection, package: Package, known: int | None) -> int:
    """Write what is of the package as a whole; its key."""
    key = known or _next(connection, t.packages)
    values = {
        "id": package.id,
        "version": package.version,
        "created": package.versions[0].at,
        "submission": package.submission,
    }
    if known is None:
        connection.execute(insert(t.packages).values(key=key, files=0, bytes=0, **values))
    else:
        connection.execute(update(t.packages).where(t.packages.c.key == key).values(**values))
        for table in (t.event_agents, t.events, t.agents, t.versions):
            connection.execute(delete(table).where(table.c.package == key))
    _insert(
        connection,
        t.versions,
        [
            {"package": key, "number": one.number, "at": one.at, "by": one.by, "reason": one.reason}
            for one in package.versions
        ],
    )
    _insert(
        connection,
        t.agents,
        [
            {"package": key, "position": at, "id": one.id, "kind": one.kind, "name": one.name, "version": one.version}
            for at, one in enumerate(package.agents)
        ],
    )
    _insert(
        connection,
        t.events,
        [
            {
                "package": key,
                "position": at,
                "id": one.id,
                "kind": one.kind,
                "at": one.at,
                "outcome": one.outcome,
                "detail": one.detail,
                "objects": one.objects,
            }
            for at, one in enumerate(package.events)
        ],
    )
    _insert(
        connection,
        t.event_agents,
        [
            {"package": key, "event": one.id, "position": at, "agent": agent}
            for one in package.events
            for at, agent in enumerate(one.agents)
        ],
    )
    decide(connection, package.access)
    return key


def decide(connection: Connection, decision: Decision) -> None:
    """A decision once made never changes; another one may replace it."""
    if not _holds(connection, t.decisions, {"id": decision.id}):
        values = {name: getattr(decision, name) for name in t.decisions.columns.keys()}  # noqa: SIM118  no dict
        _insert(connection, t.decisions, [values])
        _insert(connection, t.replacements, [{"decision": decision.id, "replaced": one} for one in decision.replaces])


def _records(connection: Connection, package: int, told: Package) -> tuple[dict[RecordId, int], list[int]]:
    """The key of every record of the package, and the keys of those that are no longer in it."""
    places: dict[RecordId, list[Place]] = {record.id: [] for record in told.records}
    for place in told.places:
        places[place.record].append(place)
    stored = {one.record.id: one for one in stored_records(connection, t.records.c.package == package)}
    # A record may have been known before it came into a package.
    for some in _chunks([one.id for one in told.records if one.id not in stored]):
        stored.update((one.record.id, one) for one in stored_records(connection, t.records.c.id.in_(some)))
    first = _next(connection, t.records)
    keys: dict[RecordId, int] = {}
    changed: list[StoredRecord] = []
    here: set[int] = set()
    for position, record in enumerate(told.records):
        known = stored.pop(record.id, None)
        key = known.key if known else first + position
        standing = tuple(sorted(places[record.id], key=lambda place: place.hierarchy))
        new = StoredRecord(key, position, record, standing, known.files if known else 0)
        keys[record.id] = key
        if known is None or known != new:
            changed.append(new)
            if known is not None:
                _forget(connection, key)
                here.add(key)
    _write_records(connection, package, changed, here)
    return keys, [one.key for one in stored.values()]


def _forget(connection: Connection, record: int) -> None:
    """Take away what is said of a record; the record itself stays, since files point at it."""
    for table in (t.elements, t.dates, t.extents, t.record_paths, t.places):
        connection.execute(delete(table).where(table.c.record == record))
    search.remove_records(connection, [record])


def _write_records(connection: Connection, package: int, changed: Sequence[StoredRecord], here: Set[int]) -> None:
    """here: the keys of those that have a row already."""
    rows: dict[Table, list[dict[str, Any]]] = {
        table: [] for table in (t.records, t.elements, t.dates, t.extents, t.record_paths, t.places)
    }
    for key, position, record, places, _count in changed:
        said = record.description
        values = {"package": package, "position": position, "level": said.level, "title": said.title}
        if key in here:
            connection.execute(update(t.records).where(t.records.c.key == key).values(**values))
        else:
            rows[t.records].append({"key": key, "id": record.id, **values})
        parts = {
            t.elements: (("term", "value", "language", "scheme"), said.elements),
            t.dates: (("text", "earliest", "latest", "approximate", "edtf"), said.dates),
            t.extents: (("number", "unit"), said.extents),
        }
        for table, (names, things) in parts.items():
            for at, thing in enumerate(things):
                rows[table].append({"record": key, "position": at} | {name: getattr(thing, name) for name in names})
        rows[t.record_paths] += ({"record": key, "position": at, "path": path} for at, path in enumerate(record.paths))
        for place in places:
            names = ("hierarchy", "parent", "position", "reference_code")
            rows[t.places].append({"record": key} | {name: getattr(place, name) for name in names})
    for table, values_of in rows.items():
        _insert(connection, table, values_of)
    search.add_records(connection, [one.key for one in changed])


def _files(
    connection: Connection,
    package: int,
    told: Package,
    files: Iterable[PayloadFile],
    keys: Mapping[RecordId, int],
    *,
    fresh: bool,
) -> None:
    owner = owners(told.records)
    puids: Counter[str] = Counter()
    of_record: Counter[RecordId] = Counter()
    size = 0
    mine = select(t.files.c.key).where(t.files.c.package == package)
    unseen = set() if fresh else set(connection.scalars(mine))
    writer = _Files(connection, package)
    for some in _chunks(files):
        rows = [FileRow(told.id, owner(file.path), file) for file in some]
        for row in rows:
            puids[(row.file.formats[0].puid if row.file.formats else None) or UNKNOWN] += 1
            of_record[row.record] += 1
            size += row.file.digests.size or 0
        if not fresh:
            here = (t.files.c.package == package) & t.files.c.path.in_([row.file.path for row in rows])
            known = {one.row.file.path: one for one in stored_files(connection, here)}
            unseen.difference_update(one.key for one in known.values())
            rows = [row for row in rows if row.file.path not in known or known[row.file.path].row != row]
            replaced = [known[row.file.path].key for row in rows if row.file.path in known]
            _remove(connection, t.files, replaced, search.remove_files)
        writer.write(rows, keys)
    _remove(connection, t.files, sorted(unseen), search.remove_files)
    _count(connection, package, puids, size, {keys[record]: count for record, count in of_record.items()})


def _count(connection: Connection, package: int, puids: Counter[str], size: int, of_record: Mapping[int, int]) -> None:
    mine = t.packages.c.key == package
    connection.execute(update(t.packages).where(mine).values(files=puids.total(), bytes=size))
    connection.execute(delete(t.package_formats).where(t.package_formats.c.package == package))
    _insert(connection, t.package_formats, [{"package": package, "puid": p, "files": n} for p, n in puids.items()])
    counted = connection.execute(select(t.records.c.key, t.records.c.files).where(t.records.c.package == package))
    for key, count in counted.all():
        if of_record.get(key, 0) != count:
            connection.execute(update(t.records).where(t.records.c.key == key).values(files=of_record.get(key, 0)))


class _Files:
    """Writes files and all that is theirs; by plain SQL and tuples, since a package may have a million of them."""

    def __init__(self, connection: Connection, package: int) -> None:
        self._connection = connection
        self._package = package
        self._next = _next(connection, t.files)
        self._formats: dict[tuple[str | None, ...], int] = {}

    def write(self, rows: Sequence[FileRow], records: Mapping[RecordId, int]) -> None:
        if not rows:
            return
        files, digests, answers, events, names = [], [], [], [], []
        for key, row in enumerate(rows, self._next):
            file = row.file
            name = None if file.original_name == file.path else t.name_bytes(file.original_name)
            modified = None if file.modified is None else t.instant(file.modified)
            files.append(
                (key, file.id, self._package, records[row.record], file.path, name, file.digests.size, modified)
            )
            names.append((key, file.original_name))
            for algorithm, value in file.digests.values.items():
                digests.append((key, algorithm, value))
            for at, answer in enumerate(file.formats):
                answers.append((key, at, self._format(answer), answer.basis, answer.warning))
            for at, event in enumerate(file.events):
                events.append((key, at, self._package, event))
        self._next += len(rows)
        self._insert("files (key, id, package, record, path, original_name, size, modified)", files)
        self._insert("digests (file, algorithm, value)", digests)
        self._insert("identifications (file, position, format, basis, warning)", answers)
        self._insert("file_events (file, position, package, event)", events)
        search.add_files(self._connection, names)

    def _insert(self, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._connection.exec_driver_sql(f"INSERT INTO {into} VALUES ({marks})", list(rows))

    def _format(self, answer: Format) -> int:
        same = (answer.puid, answer.name, answer.version, answer.mime, answer.tool, answer.signature)
        key = self._formats.get(same)
        if key is None:
            values = {name: getattr(answer, name) for name in ("puid", "name", "version", "mime", "tool", "signature")}
            equal = [t.formats.c[name].is_not_distinct_from(value) for name, value in values.items()]
            key = self._connection.execute(select(t.formats.c.key).where(*equal)).scalar_one_or_none()
            if key is None:
                key = _next(self._connection, t.formats)
                _insert(self._connection, t.formats, [{"key": key, **values}])
            self._formats[same] = key
        return key


def _next(connection: Connection, table: Table) -> int:
    """A key that is free, and so are all above it: the caller alone may write."""
    column: Column[int] = table.c.key
    return int(connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()) + 1


def _holds(connection: Connection, table: Table, values: Mapping[str, object]) -> bool:
    equal = [table.c[name] == value for name, value in values.items()]
    return connection.execute(select(1).select_from(table).where(*equal)).first() is not None


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _remove(
    connection: Connection, table: Table, keys: Sequence[int], of_search: Callable[[Connection, Iterable[int]], None]
) -> None:
    for some in _chunks(keys):
        of_search(connection, some)
        connection.execute(delete(table).where(table.c.key.in_(some)))


def _chunks(things: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(things)
    while some := list(islice(iterator, _CHUNK)):
        yield some
