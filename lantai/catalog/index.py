"""Writing: a package and its files into the tables, in one transaction of the caller.

What is in the catalogue already and did not change stays; everything else is replaced.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, delete, select, update

from ..model import Decision, Format, Package, PayloadFile, Place, Record, RecordId
from . import search
from . import tables as t
from .pen import TOUCH, Pen
from .queries import StoredRecord, stored_files, stored_records
from .rows import UNKNOWN, FileRow

T = TypeVar("T")

_CHUNK = 1000
"""Files that are in memory at once."""

# By plain SQL: a statement of SQLAlchemy's takes longer to compile than to run, and these run for every package.
_STORED = "SELECT key, version FROM packages WHERE id = ?"
_MET = "SELECT 1 FROM records WHERE id IN (SELECT value FROM json_each(?))"
_COUNT_PACKAGE = "UPDATE packages SET files = :files, bytes = :bytes WHERE key = :key"
_COUNT_RECORD = "UPDATE records SET files = :files WHERE key = :key"


def index(pen: Pen, package: Package, files: Iterable[PayloadFile], earlier: Iterable[str]) -> None:
    """See Catalog.index."""
    ids = {package.id, *(record.id for record in package.records)}
    if not pen.ids.isdisjoint(ids):
        pen.flush()
    stored = pen.connection.exec_driver_sql(_STORED, (package.id,)).one_or_none()
    if stored is not None and stored.version > package.version:
        return
    pen.ids |= ids
    key = _package(pen, package, None if stored is None else stored.key)
    for content in dict.fromkeys((*earlier, package.content)):
        if content:
            pen.add(t.contents, once=True, content=content, package=key)
    keys, gone = _records(pen, key, package, fresh=stored is None)
    _files(pen, key, package, files, keys, fresh=stored is None)
    if gone:
        pen.flush()  # only now does no file belong to them any more
        _remove(pen.connection, t.records, gone, search.remove_records)


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


def _package(pen: Pen, package: Package, known: int | None) -> int:
    """Write what is of the package as a whole; its key."""
    key = known or pen.key(t.packages)
    values: dict[str, Any] = {
        "id": package.id,
        "version": package.version,
        "created": package.versions[0].at,
        "submission": package.submission,
    }
    if known is None:
        pen.add(t.packages, key=key, files=0, bytes=0, **values)
    else:
        pen.connection.execute(update(t.packages).where(t.packages.c.key == key).values(**values))
        for table in (t.event_agents, t.events, t.agents, t.versions):
            pen.connection.execute(delete(table).where(table.c.package == key))
    for one in package.versions:
        pen.add(t.versions, package=key, number=one.number, at=one.at, by=one.by, reason=one.reason)
    for at, agent in enumerate(package.agents):
        pen.add(
            t.agents, package=key, position=at, id=agent.id, kind=agent.kind, name=agent.name, version=agent.version
        )
    for at, event in enumerate(package.events):
        pen.add(
            t.events, package=key, position=at, id=event.id, kind=event.kind, at=event.at, outcome=event.outcome,
            detail=event.detail, objects=event.objects,
        )  # fmt: skip
        for place, name in enumerate(event.agents):
            pen.add(t.event_agents, package=key, event=event.id, position=place, agent=name)
    decide(pen, package.access)
    return key


def decide(pen: Pen, decision: Decision) -> None:
    """A decision once made never changes; another one may replace it."""
    pen.add(t.decisions, once=True, **{name: getattr(decision, name) for name in t.decisions.columns.keys()})  # noqa: SIM118  no dict
    for one in decision.replaces:
        pen.add(t.replacements, once=True, decision=decision.id, replaced=one)


def _records(pen: Pen, package: int, told: Package, *, fresh: bool) -> tuple[dict[RecordId, int], list[int]]:
    """The key of every record of the package, and the keys of those that are no longer in it."""
    places: dict[RecordId, list[Place]] = {record.id: [] for record in told.records}
    for place in told.places:
        places[place.record].append(place)
    stored: dict[RecordId, StoredRecord] = {}
    if not fresh:
        stored = {one.record.id: one for one in stored_records(pen.connection, t.records.c.package == package)}
    # A record may have been known before it came into a package.
    for some in _chunks([one.id for one in told.records if one.id not in stored]):
        if pen.connection.exec_driver_sql(_MET, (json.dumps(some),)).first() is not None:
            stored.update((one.record.id, one) for one in stored_records(pen.connection, t.records.c.id.in_(some)))
    keys: dict[RecordId, int] = {}
    for position, record in enumerate(told.records):
        pen.then(TOUCH, record=record.id)
        known = stored.pop(record.id, None)
        keys[record.id] = known.key if known else pen.key(t.records)
        standing = tuple(sorted(places[record.id], key=lambda place: place.hierarchy))
        new = StoredRecord(keys[record.id], position, record, standing, known.files if known else 0)
        if known is None:
            _record(pen, package, new)
        elif known != new:
            pen.flush()
            _forget(pen.connection, known.key)
            _record(pen, package, new, here=True)
    for one in stored.values():
        pen.then(TOUCH, record=one.record.id)
    return keys, [one.key for one in stored.values()]


def _forget(connection: Connection, record: int) -> None:
    """Take away what is said of a record; the record itself stays, since files point at it."""
    for table in (t.elements, t.dates, t.extents, t.record_paths, t.places):
        connection.execute(delete(table).where(table.c.record == record))
    search.remove_records(connection, [record])


def _record(pen: Pen, package: int, stored: StoredRecord, *, here: bool = False) -> None:
    """here: there is a row of it already."""
    key, position, record, places, _count = stored
    said = record.description
    values: dict[str, Any] = {"package": package, "position": position, "level": said.level, "title": said.title}
    if here:
        pen.connection.execute(update(t.records).where(t.records.c.key == key).values(**values))
    else:
        pen.add(t.records, key=key, id=record.id, files=0, **values)
    for at, element in enumerate(said.elements):
        pen.add(
            t.elements, record=key, position=at, term=element.term, value=element.value, language=element.language,
            scheme=element.scheme,
        )  # fmt: skip
    for at, span in enumerate(said.dates):
        pen.add(
            t.dates, record=key, position=at, text=span.text, earliest=span.earliest, latest=span.latest,
            approximate=span.approximate, edtf=span.edtf,
        )  # fmt: skip
    for at, extent in enumerate(said.extents):
        pen.add(t.extents, record=key, position=at, number=extent.number, unit=extent.unit)
    for at, path in enumerate(record.paths):
        pen.add(t.record_paths, record=key, position=at, path=path)
    for place in places:
        pen.add(
            t.places, record=key, hierarchy=place.hierarchy, parent=place.parent, position=place.position,
            reference_code=place.reference_code,
        )  # fmt: skip
    codes = [("reference_code", place.reference_code) for place in places if place.reference_code is not None]
    search.add_record(pen, key, [*((one.term, one.value) for one in said.elements), *codes])


def _files(
    pen: Pen, package: int, told: Package, files: Iterable[PayloadFile], keys: Mapping[RecordId, int], *, fresh: bool
) -> None:
    owner = owners(told.records)
    puids: Counter[str] = Counter()
    of_record: Counter[RecordId] = Counter()
    size = 0
    mine = select(t.files.c.key).where(t.files.c.package == package)
    unseen = set() if fresh else set(pen.connection.scalars(mine))
    for some in _chunks(files):
        rows = [FileRow(told.id, owner(file.path), file) for file in some]
        for row in rows:
            puids[(row.file.formats[0].puid if row.file.formats else None) or UNKNOWN] += 1
            of_record[row.record] += 1
            size += row.file.digests.size or 0
        if not fresh:
            pen.flush()
            here = (t.files.c.package == package) & t.files.c.path.in_([row.file.path for row in rows])
            known = {one.row.file.path: one for one in stored_files(pen.connection, here)}
            unseen.difference_update(one.key for one in known.values())
            rows = [row for row in rows if row.file.path not in known or known[row.file.path].row != row]
            replaced = [known[row.file.path].key for row in rows if row.file.path in known]
            _remove(pen.connection, t.files, replaced, search.remove_files)
        for row in rows:
            _file(pen, package, keys[row.record], row.file)
    _remove(pen.connection, t.files, sorted(unseen), search.remove_files)
    if not fresh:
        pen.connection.execute(delete(t.package_formats).where(t.package_formats.c.package == package))
        pen.connection.execute(update(t.records).where(t.records.c.package == package).values(files=0))
    pen.then(_COUNT_PACKAGE, key=package, files=puids.total(), bytes=size)
    for puid, count in puids.items():
        pen.add(t.package_formats, package=package, puid=puid, files=count)
    for record, count in of_record.items():
        pen.then(_COUNT_RECORD, key=keys[record], files=count)


def _file(pen: Pen, package: int, record: int, file: PayloadFile) -> None:
    key = pen.key(t.files)
    name = None if file.original_name == file.path else file.original_name
    pen.add(
        t.files, key=key, id=file.id, package=package, record=record, path=file.path, original_name=name,
        size=file.digests.size, modified=file.modified,
    )  # fmt: skip
    for algorithm, value in file.digests.values.items():
        pen.add(t.digests, file=key, algorithm=algorithm, value=value)
    for at, answer in enumerate(file.formats):
        known = _format(pen, answer)
        pen.add(
            t.identifications, file=key, position=at, format=known, basis=answer.basis, warning=answer.warning
        )  # fmt: skip
    for at, event in enumerate(file.events):
        pen.add(t.file_events, file=key, position=at, package=package, event=event)
    search.add_file(pen, key, file.original_name)


def _format(pen: Pen, answer: Format) -> int:
    same = (answer.puid, answer.name, answer.version, answer.mime, answer.tool, answer.signature)
    key = pen.formats.get(same)
    if key is None:
        pen.flush()
        values: dict[str, Any] = {
            name: getattr(answer, name) for name in ("puid", "name", "version", "mime", "tool", "signature")
        }
        equal = [t.formats.c[name].is_not_distinct_from(value) for name, value in values.items()]
        key = pen.connection.execute(select(t.formats.c.key).where(*equal)).scalar_one_or_none()
        if key is None:
            key = pen.key(t.formats)
            pen.add(t.formats, key=key, **values)
        pen.formats[same] = key
    return key


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
