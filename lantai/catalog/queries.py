"""Reading: from rows to what the model and rows.py speak of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    ScalarSelect,
    Select,
    Subquery,
    Table,
    and_,
    case,
    func,
    select,
)

from ..digest import Algorithm, Digests
from ..model import (
    Agent,
    DateSpan,
    Description,
    Element,
    Event,
    Extent,
    Format,
    PackageId,
    PayloadFile,
    Place,
    Record,
    Version,
)
from . import tables as t
from .rows import CHECK_LEVELS, FONDS, Access, Copy, FileRow, PackageRow, RecordRow


class StoredRecord(NamedTuple):
    key: int
    position: int
    record: Record
    places: tuple[Place, ...]
    files: int


class StoredFile(NamedTuple):
    key: int
    row: FileRow


def package_rows(connection: Connection, where: ColumnElement[bool], limit: int) -> list[PackageRow]:
    """In the order of their ids, which is that of their creation (RFC 9562 5.7)."""
    code = (
        select(t.places.c.reference_code)
        .where(t.places.c.record == t.records.c.key, t.places.c.hierarchy == FONDS)
        .scalar_subquery()
    )
    of_root = t.decisions.alias()
    replaced = select(t.replacements.c.replaced).where(t.replacements.c.replaced == of_root.c.id)
    strictness = case({"closed": 0, "description": 1}, value=of_root.c.shown, else_=2)
    decided = (
        select(of_root.c.id)
        .where(of_root.c.record == t.packages.c.id, ~replaced.exists())
        .order_by(strictness, of_root.c.since.desc(), of_root.c.id)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select(
            t.packages,
            t.records.c.title,
            t.records.c.level,
            code.label("code"),
            t.decisions.c.shown,
            t.decisions.c.since,
        )
        .join(t.records, t.records.c.id == t.packages.c.id)
        .join(t.decisions, t.decisions.c.id == decided)
        .where(where)
        .order_by(t.packages.c.id)
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    formats: dict[int, dict[str, int]] = {row.key: {} for row in rows}
    held = t.package_formats
    for package, puid, count in connection.execute(
        select(held).where(held.c.package.in_(formats)).order_by(held.c.package, held.c.puid)
    ):
        formats[package][puid] = count
    return [
        PackageRow(
            row.id,
            row.title,
            row.level,
            row.code,
            row.created,
            row.version,
            row.files,
            row.bytes,
            formats[row.key],
            Access(row.shown, row.since),
            row.submission,
        )
        for row in rows
    ]


def stored_files(connection: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[StoredFile]:
    """In the order of their paths."""
    statement = (
        select(t.files, t.packages.c.id.label("package_id"), t.records.c.id.label("record_id"))
        .join(t.packages, t.packages.c.key == t.files.c.package)
        .join(t.records, t.records.c.key == t.files.c.record)
        .where(where)
        .order_by(t.files.c.package, t.files.c.path)
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    if not rows:
        return []
    keys = [row.key for row in rows]
    digests: defaultdict[int, dict[Algorithm, str]] = defaultdict(dict)
    for file, algorithm, value in connection.execute(_of(t.digests, t.digests.c.file, keys)):
        digests[file][algorithm] = value
    answers: defaultdict[int, list[Format]] = defaultdict(list)
    said, formats = t.identifications, t.formats
    columns = (
        said.c.file,
        formats.c.puid,
        formats.c.name,
        formats.c.version,
        formats.c.mime,
        said.c.basis,
        said.c.warning,
        formats.c.tool,
        formats.c.signature,
    )
    for file, *answer in connection.execute(
        select(*columns).join(formats).where(said.c.file.in_(keys)).order_by(said.c.file, said.c.position)
    ):
        answers[file].append(Format(*answer))
    events: defaultdict[int, list[str]] = defaultdict(list)
    for row in connection.execute(_of(t.file_events, t.file_events.c.file, keys)):
        events[row.file].append(row.event)
    return [
        StoredFile(
            row.key,
            FileRow(
                row.package_id,
                row.record_id,
                PayloadFile(
                    row.id,
                    row.path,
                    row.path if row.original_name is None else row.original_name,
                    Digests(row.size, digests[row.key]),
                    tuple(answers[row.key]),
                    row.modified,
                    tuple(events[row.key]),
                ),
            ),
        )
        for row in rows
    ]


def stored_records(connection: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[StoredRecord]:
    """In the order they have in their package."""
    statement = (
        select(t.records, t.packages.c.id.label("package_id"))
        .outerjoin(t.packages, t.packages.c.key == t.records.c.package)
        .where(where)
        .order_by(t.records.c.package, t.records.c.position)
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    if not rows:
        return []
    keys = [row.key for row in rows]
    ids = {row.key: row.id for row in rows}
    said: defaultdict[int, list[Element]] = defaultdict(list)
    for row in connection.execute(_of(t.elements, t.elements.c.record, keys)):
        said[row.record].append(Element(row.term, row.value, row.language, row.scheme))
    dates: defaultdict[int, list[DateSpan]] = defaultdict(list)
    for row in connection.execute(_of(t.dates, t.dates.c.record, keys)):
        dates[row.record].append(DateSpan(row.text, row.earliest, row.latest, row.approximate, row.edtf))
    extents: defaultdict[int, list[Extent]] = defaultdict(list)
    for row in connection.execute(_of(t.extents, t.extents.c.record, keys)):
        extents[row.record].append(Extent(row.number, row.unit))
    paths: defaultdict[int, list[str]] = defaultdict(list)
    for row in connection.execute(_of(t.record_paths, t.record_paths.c.record, keys)):
        paths[row.record].append(row.path)
    places: defaultdict[int, list[Place]] = defaultdict(list)
    for row in connection.execute(_of(t.places, t.places.c.record, keys)):
        place = Place(ids[row.record], row.hierarchy, row.parent, row.position, row.reference_code)
        places[row.record].append(place)
    return [
        StoredRecord(
            row.key,
            row.position,
            Record(
                row.id,
                row.package_id,
                Description(row.level, tuple(said[row.key]), tuple(dates[row.key]), tuple(extents[row.key])),
                tuple(paths[row.key]),
            ),
            tuple(places[row.key]),
            row.files,
        )
        for row in rows
    ]


def record_rows(connection: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[RecordRow]:
    """In the order they have in their package."""
    found = stored_records(connection, where, limit)
    if not found:
        return []
    above = t.places.c.parent
    counted = select(above, func.count()).where(
        and_(t.places.c.hierarchy == FONDS, above.in_([one.record.id for one in found]))
    )
    children = {row[0]: row[1] for row in connection.execute(counted.group_by(above))}
    return [
        RecordRow(
            one.record.id,
            one.record.package,
            one.record.description,
            one.record.paths,
            one.places,
            one.files,
            children.get(one.record.id, 0),
        )
        for one in found
    ]


def versions(connection: Connection, package: PackageId) -> tuple[Version, ...]:
    rows = _of_package(connection, t.versions, package)
    return tuple(Version(row.number, row.at, row.by, row.reason) for row in rows)


def copies(connection: Connection, package: PackageId) -> tuple[Copy, ...]:
    rows = _of_package(connection, t.copies, package)
    return tuple(Copy(row.number, row.store, row.since) for row in rows)


def stores_of(connection: Connection, after: str, limit: int) -> list[tuple[str, frozenset[str]]]:
    """Of each package, in the order of their ids, the stores that its newest version was seen in, and where it is not
    known to be damaged.
    """
    some = select(t.packages).where(t.packages.c.id > after).order_by(t.packages.c.id).limit(limit).subquery()
    newest = and_(t.copies.c.package == some.c.key, t.copies.c.number == some.c.version, ~_damaged(some))
    found: defaultdict[str, set[str]] = defaultdict(set)
    asked = select(some.c.id, t.copies.c.store).outerjoin_from(some, t.copies, newest).order_by(some.c.id)
    for package, store in connection.execute(asked):
        found[package] |= {store} if store else set()
    return [(package, frozenset(stores)) for package, stores in found.items()]


def _damaged(packages: Subquery) -> ColumnElement[bool]:
    """Whether a copy of one of packages is known to be damaged."""
    found = t.checked.alias("found")
    mine = and_(found.c.package == packages.c.id, found.c.store == t.copies.c.store, damage(found))
    return select(found.c.package).where(mine).correlate(t.copies, packages).exists()


def damage(found: FromClause) -> ColumnElement[bool]:
    """Whether a check found damage, and no later one that was at least as close has found the package whole: a listing
    does not see what a full audit found.
    """
    since = t.checked.alias("since")
    of_it = and_(since.c.package == found.c.package, since.c.store == found.c.store, since.c.valid)
    is_as_close = and_(closeness(since) >= closeness(found), since.c.at > found.c.at)
    return and_(~found.c.valid, ~select(since.c.package).where(of_it, is_as_close).correlate(found).exists())


def closeness(checks: FromClause) -> ColumnElement[int]:
    """Of a check's level, as a place in CHECK_LEVELS."""
    return case({name: number for number, name in enumerate(CHECK_LEVELS)}, value=checks.c.level)


def lacking(
    connection: Connection, store: str, until: datetime, after: str, limit: int
) -> list[tuple[PackageId, int, datetime]]:  # fmt: skip
    """See Catalog.lacking; in the order of packages."""
    lies = and_(
        t.copies.c.package == t.versions.c.package, t.copies.c.store == store, t.copies.c.number >= t.versions.c.number
    )
    lacks = and_(t.versions.c.at <= until, ~select(t.copies.c.package).where(lies).exists())
    asked = (
        select(t.packages.c.id, func.min(t.versions.c.number), func.min(t.versions.c.at))
        .join(t.versions, t.versions.c.package == t.packages.c.key)
        .where(t.packages.c.id > after, lacks)
        .group_by(t.packages.c.id)
        .order_by(t.packages.c.id)
        .limit(limit)
    )
    return [(package, number, at) for package, number, at in connection.execute(asked)]


def agents(connection: Connection, package: PackageId) -> tuple[Agent, ...]:
    rows = _of_package(connection, t.agents, package)
    return tuple(Agent(row.id, row.kind, row.name, row.version) for row in rows)


def events(connection: Connection, package: PackageId) -> tuple[Event, ...]:
    by_event: defaultdict[str, list[str]] = defaultdict(list)
    for row in _of_package(connection, t.event_agents, package):
        by_event[row.event].append(row.agent)
    return tuple(
        Event(row.id, row.kind, row.at, row.outcome, row.detail, tuple(by_event[row.id]), row.objects)
        for row in _of_package(connection, t.events, package)
    )


def _of(table: Table, column: ColumnElement[int], keys: Iterable[int]) -> Select[Any]:
    """The rows of these things, each thing's in their order."""
    return select(table).where(column.in_(keys)).order_by(*table.primary_key)


def key_of(package: PackageId) -> ScalarSelect[int]:
    return select(t.packages.c.key).where(t.packages.c.id == package).scalar_subquery()


def _of_package(connection: Connection, table: Table, package: PackageId) -> Sequence[Row[Any]]:
    mine = select(table).where(table.c.package == key_of(package))
    return connection.execute(mine.order_by(*table.primary_key)).all()
