"""What formats tell of records beside their descriptions: the live records above them, and their own files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from ..digest import Algorithm, Digests
from ..model import Description, Element, FileId, Format, Holdings, PayloadFile, Record, RecordId
from .rows import FONDS, UNKNOWN
from .tables import name_text

LISTED = 1000
"""Files of a record that formats list at most; of more only the counts are told."""
_TOGETHER = 2000
"""Files that are held in memory at once."""
_SORTED = 10_000
"""Own files of a record up to which they are put in order for each batch. Of more, the order of its whole package is
gone through, whose other files then are not that many more.
"""
_NAMED = """
SELECT r.id, r.level, r.title, p.reference_code FROM records r
LEFT JOIN places p ON p.record = r.key AND p.hierarchy = ? WHERE r.id IN (SELECT value FROM json_each(?))
"""
_SIZES = """
SELECT r.id, r.key, r.files, r.id = p.id AND r.files = p.files AS alone, p.key AS package, p.bytes
FROM records r LEFT JOIN packages p ON p.key = r.package WHERE r.id IN (SELECT value FROM json_each(?))
"""
_FILES = """
SELECT f.key, f.record, f.id, f.path, f.original_name, f.size FROM files f
WHERE f.record IN (SELECT value FROM json_each(?)) ORDER BY f.record, f.path
"""
_BATCH = "SELECT f.key, f.record, f.id, f.path, f.original_name, f.size FROM files f WHERE f.path > :path AND"
_BATCHES = (
    f"{_BATCH} f.record = :record ORDER BY f.path LIMIT {_TOGETHER}",
    f"{_BATCH} f.package = :package AND +f.record = :record ORDER BY f.path LIMIT {_TOGETHER}",
)
"""By the index of records, and by that of packages, which is in the order of paths."""
_AFTER = "SELECT path FROM files WHERE id = ? AND record = ?"
_PATHS = "SELECT record, path FROM record_paths WHERE record IN (SELECT value FROM json_each(?))"
_DIGESTS = "SELECT file, algorithm, value FROM digests WHERE file IN (SELECT value FROM json_each(?))"
_FORMATS = """
SELECT i.file, o.puid, o.name, o.version, o.mime FROM identifications i JOIN formats o ON o.key = i.format
WHERE i.position = 0 AND i.file IN (SELECT value FROM json_each(?))
"""
_COUNTS = """
SELECT coalesce(o.puid, :unknown) AS puid, count(*) AS files, sum(f.size) AS bytes FROM files f
LEFT JOIN identifications i ON i.file = f.key AND i.position = 0 LEFT JOIN formats o ON o.key = i.format
WHERE f.record = :record GROUP BY 1 ORDER BY 1
"""
_OF_PACKAGE = "SELECT puid, files FROM package_formats WHERE package = ? ORDER BY puid"


def named(connection: Connection, records: Collection[str]) -> Mapping[str, Record]:
    """Of each that is known, level, title and reference code alone."""
    found: dict[str, Record] = {}
    for id, level, title, code in connection.exec_driver_sql(_NAMED, (FONDS, json.dumps(sorted(records)))):
        said = [Element("dc.title", title)] + ([Element("isadg.reference_code", code)] if code else [])
        found[id] = Record(id, None, Description(level, tuple(said)))
    return found


def holdings(connection: Connection, records: Sequence[RecordId]) -> Iterator[tuple[RecordId, Holdings]]:
    """The own files of each that is known, in the order of records; read as far as it is consumed."""
    sizes = {row.id: row for row in connection.exec_driver_sql(_SIZES, (json.dumps(records),))}
    known = [sizes[one] for one in records if one in sizes]
    for some in _batches(known):
        listed = _listed(connection, [row.key for row in some if row.files <= LISTED])
        for row in some:
            yield row.id, listed[row.key] if row.key in listed else _counted(connection, row)


def files(connection: Connection, record: RecordId, after: FileId | None) -> Iterator[PayloadFile] | None:
    """The own files of a record by path, from beyond after on (None: from the first), be they many; read as far as it
    is consumed. None: there is no such record, or after is none of them.
    """
    of = connection.exec_driver_sql(_SIZES, (json.dumps([record]),)).first()
    if of is None:
        return None
    path = connection.exec_driver_sql(_AFTER, (after, of.key)).scalar() if after is not None else ""
    return None if path is None else _each(connection, of, path)


def _each(connection: Connection, of: Any, path: str) -> Iterator[PayloadFile]:
    asked, paths = _BATCHES[of.files > _SORTED], _paths(connection, [of.key])
    values = {"record": of.key, "path": path, **({"package": of.package} if of.files > _SORTED else {})}
    while rows := connection.exec_driver_sql(asked, values).all():
        yield from _told(connection, rows, paths)
        values["path"] = rows[-1].path


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    some: list[Any] = []
    files = 0
    for row in rows:
        weight = row.files if row.files <= LISTED else 0
        if some and files + weight > _TOGETHER:
            yield some
            some, files = [], 0
        some.append(row)
        files += weight
    if some:
        yield some


def _listed(connection: Connection, records: Sequence[int]) -> Mapping[int, Holdings]:
    rows = connection.exec_driver_sql(_FILES, (json.dumps(records),)).all()
    files: dict[int, list[PayloadFile]] = {record: [] for record in records}
    for row, one in zip(rows, _told(connection, rows, _paths(connection, records)), strict=True):
        files[row.record].append(one)
    return {record: _counting(each) for record, each in files.items()}


def _paths(connection: Connection, records: Sequence[int]) -> Mapping[int, Sequence[str]]:
    """What each describes."""
    paths: defaultdict[int, list[str]] = defaultdict(list)
    for record, path in connection.exec_driver_sql(_PATHS, (json.dumps(records),)):
        paths[record].append(path)
    return paths


def _told(
    connection: Connection, rows: Sequence[Any], paths: Mapping[int, Sequence[str]]
) -> Iterator[PayloadFile]:  # fmt: skip
    """A file for each row, by no place."""
    keys = (json.dumps([row.key for row in rows]),)
    digests: defaultdict[int, dict[Algorithm, str]] = defaultdict(dict)
    for file, algorithm, value in connection.exec_driver_sql(_DIGESTS, keys):
        digests[file][algorithm] = value
    formats = {
        file: Format(puid, name, version, mime, basis="", warning="", tool="", signature="")
        for file, puid, name, version, mime in connection.exec_driver_sql(_FORMATS, keys)
    }
    for row in rows:
        original = row.path if row.original_name is None else name_text(row.original_name)
        name = _below(paths.get(row.record, ()), row.path, original)
        answer = formats.get(row.key)
        yield PayloadFile(row.id, name, name, Digests(row.size, digests[row.key]), (answer,) if answer else (), None)


def _below(described: Iterable[str], path: str, original: str) -> str:
    """The name as a producer wrote it, without the folders above what the record describes: those may be described by
    records that are closed.
    """
    mine = [one for one in described if path == one or path.startswith(one + "/")]
    depth = max((one.count("/") for one in mine), default=0)
    parts = original.split("/")
    return "/".join(parts[depth:]) if len(parts) == path.count("/") + 1 else parts[-1]


def _counting(files: Sequence[PayloadFile]) -> Holdings:
    formats: defaultdict[str, int] = defaultdict(int)
    for one in files:
        formats[(one.formats[0].puid if one.formats else None) or UNKNOWN] += 1
    return Holdings(
        len(files), sum(one.digests.size or 0 for one in files), dict(sorted(formats.items())), tuple(files)
    )


def _counted(connection: Connection, row: Any) -> Holdings:
    """Of a package that has no part with files of its own, what is known of the package."""
    if row.alone:
        formats = {one.puid: one.files for one in connection.exec_driver_sql(_OF_PACKAGE, (row.package,))}
        return Holdings(row.files, row.bytes, formats, ())
    found = connection.exec_driver_sql(_COUNTS, {"unknown": UNKNOWN, "record": row.key}).all()
    return Holdings(row.files, sum(one.bytes for one in found), {one.puid: one.files for one in found}, ())
