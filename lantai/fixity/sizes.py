"""How large each content of a package is to be. Inventories do not say; the METS of its versions do, of all but the
bag's own tag files and the outermost METS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from ..digest import Hasher
from ..errors import Damaged, NotFound
from ..metadata import mets
from ..model import Finding
from ..package import anatomy
from ..package.read import parts
from ..storage import beyond
from ..storage.ocfl import Reader

_SCHEMA = """CREATE TEMP TABLE IF NOT EXISTS stated
    (path TEXT PRIMARY KEY, size INTEGER, mets TEXT) WITHOUT ROWID"""
"""By content path: so most METS have them, and so a store lists them. mets: where the document lies that says it."""
_NOTE = """INSERT OR IGNORE INTO stated
    SELECT manifest.path, ?, ? FROM state JOIN manifest USING (digest) WHERE version = ? AND state.path = ?"""
_LACKING = """SELECT 1 FROM state WHERE version = ? AND path >= ? AND path < CAST(? AS TEXT) AND path <> ?
    AND NOT EXISTS (SELECT 1 FROM manifest JOIN stated USING (path) WHERE manifest.digest = state.digest) LIMIT 1"""
_UNKNOWN = -1


def note(head: Reader) -> Iterator[tuple[int, Finding | None]]:
    """Note in head's table what METS state, for differing: the size of each that was read and hashed for it, and what
    is wrong. Of earlier versions those are read that tell of what no later one has.
    """
    head.table.db.execute(_SCHEMA)
    base = anatomy.base(head.package)
    for number in range(head.number, 0, -1):
        version = Reader(head.root, head.package, number, head.table)
        for folder in (base, base + anatomy.ORIGINAL):
            path = folder + anatomy.ROOT_METS
            lacking = head.table.db.execute(_LACKING, (number, folder, beyond(folder), path))
            digest = head.table.digest_of(number, path)
            if digest and lacking.fetchone():
                yield from _noted(version, folder, path, digest)


def _noted(version: Reader, folder: str, path: str, digest: str) -> Iterator[tuple[int, Finding | None]]:
    """Of one METS. One that is not what the inventory names is not believed, and stays to be read."""
    db, content, first = version.table.db, version.table.content_of(digest), ""
    for _time in range(2):  # a bad cable is not bit rot
        hasher = Hasher((version.algorithm,))
        try:
            found = parts(partial(_through, hasher, version), path)
            db.executemany(_NOTE, _rows(found, content, version.number, folder))
        except (Damaged, NotFound, ValueError, OverflowError):
            pass  # no METS of ours, or no more: its digest tells
        read = hasher.result()
        if read.values[version.algorithm] == digest:
            db.execute("INSERT OR REPLACE INTO stated VALUES (?, ?, '')", (content, read.size))
            key = version.key(path, content)
            yield read.size or 0, Finding.of("audit-read", key, found=first) if first else None
            return
        db.execute("DELETE FROM stated WHERE mets = ?", (content,))
        first = read.values[version.algorithm]
    db.execute("INSERT OR REPLACE INTO stated VALUES (?, ?, '')", (content, _UNKNOWN))


def _through(hasher: Hasher, version: Reader, path: str) -> Iterator[bytes]:
    return hasher.through(version(path))


def _rows(
    found: Iterable[mets.Part], content: str | None, number: int, folder: str
) -> Iterator[tuple[int | None, str | None, int, str]]:
    return ((part.digests.size, content, number, folder + part.path) for part in found)


def differing(head: Reader) -> Iterator[tuple[str, str]]:
    """(content path, digest), in byte order of path, of what is there in another size than was noted, or of which none
    was: that tells only when it is read.
    """
    place = head.root.object_key(head.package) + "/"
    listed = iter(head.root.store.list(place))
    found = next(listed, None)
    asked = "SELECT path, digest, size FROM manifest LEFT JOIN stated USING (path) ORDER BY path"
    for path, digest, size in head.table.db.execute(asked):
        while found and found.key < place + path:
            found = next(listed, None)
        if found and found.key == place + path and found.size != size:  # else it is missing, as structure tells
            yield path, digest
