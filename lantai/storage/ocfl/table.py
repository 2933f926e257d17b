"""An inventory one can ask questions of, in constant memory: its rows in a temporary SQLite database on disk, once they
are many or a question needs their order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from ...digest import Algorithm
from .. import beyond
from . import inventory
from .inventory import Content, DigestAlgorithm, Field, Row, State, VersionInfo

_SCHEMA = """
PRAGMA synchronous = OFF;
PRAGMA journal_mode = OFF;
CREATE TABLE manifest (digest TEXT, path TEXT, PRIMARY KEY (digest, path)) WITHOUT ROWID;
CREATE INDEX manifest_path ON manifest (path);
CREATE TABLE state (version INTEGER, path TEXT, digest TEXT, PRIMARY KEY (version, path)) WITHOUT ROWID;
CREATE TABLE version (number INTEGER PRIMARY KEY, created TEXT, message TEXT, user TEXT, address TEXT);
"""


_HELD = 10_000
"""Rows that are in memory at once."""


class Inventory:
    """All rows of one inventory. One thread at a time. digest: of its bytes by its own algorithm, where it was loaded
    from a store.
    """

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.digest = ""
        self._db: sqlite3.Connection | None = None
        # What is not in the database yet: all, or nothing.
        self._versions: dict[int, VersionInfo] = {}
        self._contents: dict[str, set[str]] = {}
        self._states: dict[tuple[int, str], str] = {}

    @property
    def algorithm(self) -> Algorithm:
        """Its own: what is neither is none of ours."""
        return "sha512" if self.fields.get("digestAlgorithm") == "sha512" else "sha256"

    @property
    def db(self) -> sqlite3.Connection:
        if self._db is None:
            # An empty name is SQLite's own temporary file: it spills to disk and is gone with the connection.
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.executescript(_SCHEMA)
            for info in self._versions.values():
                self.add_version(info)
        if self._contents or self._states:
            contents = ((digest, path) for digest, paths in self._contents.items() for path in paths)
            self._db.executemany("INSERT OR REPLACE INTO manifest VALUES (?, ?)", contents)
            states = ((*place, digest) for place, digest in self._states.items())
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", states)
            self._contents.clear()
            self._states.clear()
        return self._db

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def load(self, rows: Iterable[Row]) -> None:
        for row in rows:
            # Not by match: of each file of a package there are two.
            if isinstance(row, Content):
                self._contents.setdefault(row.digest.lower(), set()).add(row.path)
            elif isinstance(row, State):
                self._states[row.version, row.path] = row.digest.lower()
            elif isinstance(row, Field):
                self.fields[row.name] = row.value
            elif self._db is None:
                self._versions[row.number] = row
            else:
                self.add_version(row)
            if len(self._contents) + len(self._states) > _HELD:
                self.db  # noqa: B018 -- takes them in

    def take(self, data: bytes) -> bool:
        """All of a small inventory at once, several times as fast as load. False: it is large, or not of the form that
        we write; nothing was taken.
        """
        whole = inventory.whole(data)
        if whole is None or len(whole.contents) + len(whole.states) > _HELD:
            return False
        self.fields, self._versions = whole.fields, whole.versions
        self._contents, self._states = whole.contents, whole.states
        return True

    def add_version(self, info: VersionInfo) -> None:
        self.db.execute(
            "INSERT OR REPLACE INTO version VALUES (?, ?, ?, ?, ?)",
            (info.number, info.created, info.message, info.user, info.address),
        )

    def add_content(self, digest: str, path: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO manifest VALUES (?, ?)", (digest, path))

    def add_state(self, version: int, path: str, digest: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (version, path, digest))

    def remove_state(self, version: int, path: str) -> None:
        self.db.execute("DELETE FROM state WHERE version = ? AND path = ?", (version, path))

    def versions(self) -> Iterator[VersionInfo]:
        if self._db is None:
            yield from (self._versions[number] for number in sorted(self._versions))
            return
        for row in self.db.execute("SELECT number, created, message, user, address FROM version ORDER BY number"):
            yield VersionInfo(*row)

    def state(self, version: int, prefix: str = "") -> Iterator[tuple[str, str]]:
        """(logical path, digest) in byte order of path."""
        if self._db is None:
            return iter(sorted(self._held(version, prefix)))
        # Cursors, not generators: one that is left half read at an error must not reach for a closed table at its end.
        return self.db.execute(
            "SELECT path, digest FROM state WHERE version = ? AND path >= ? AND path < CAST(? AS TEXT) ORDER BY path",
            (version, prefix, beyond(prefix)),
        )

    def digest_of(self, version: int, path: str) -> str | None:
        if self._db is None:
            return self._states.get((version, path))
        row = self.db.execute("SELECT digest FROM state WHERE version = ? AND path = ?", (version, path)).fetchone()
        return row[0] if row else None

    def content_of(self, digest: str) -> str | None:
        """One content path, relative to the object, that holds bytes of this digest."""
        if self._db is None:
            return min(self._contents.get(digest, ()), default=None)
        row = self.db.execute("SELECT path FROM manifest WHERE digest = ? LIMIT 1", (digest,)).fetchone()
        return row[0] if row else None

    def _held(self, version: int, prefix: str) -> Iterator[tuple[str, str]]:
        for (number, path), digest in self._states.items():
            if number == version and path.startswith(prefix):
                yield path, digest

    def contents(self) -> Iterator[tuple[str, str]]:
        """(content path, digest) in byte order of path."""
        if self._db is None:
            return iter(sorted((path, digest) for digest, paths in self._contents.items() for path in paths))
        return self.db.execute("SELECT path, digest FROM manifest ORDER BY path, digest")

    def manifest(self) -> Iterator[tuple[str, str]]:
        if self._db is None:
            return iter(sorted((digest, path) for digest, paths in self._contents.items() for path in paths))
        return self.db.execute("SELECT digest, path FROM manifest ORDER BY digest, path")

    def located(self, version: int, prefix: str = "") -> Iterator[tuple[str, str, str | None]]:
        """(logical path, digest, content path, if there is one) in byte order of logical path."""
        if self._db is None:
            return ((path, digest, self.content_of(digest)) for path, digest in self.state(version, prefix))
        return self.db.execute(
            "SELECT path, digest, (SELECT min(m.path) FROM manifest m WHERE m.digest = state.digest) FROM state"
            " WHERE version = ? AND path >= ? AND path < CAST(? AS TEXT) ORDER BY path",
            (version, prefix, beyond(prefix)),
        )

    def lacking(self, version: int) -> Iterator[tuple[str, str]]:
        """(logical path, digest) where no content has the digest."""
        if self._db is None:
            every = ((*place, one) for place, one in self._states.items() if one not in self._contents)
            return ((path, one) for number, path, one in every if number == version)
        return self.db.execute(
            "SELECT path, digest FROM state WHERE version = ? AND digest NOT IN (SELECT digest FROM manifest)"
            " ORDER BY path",
            (version,),
        )

    def write(self, *, id: str, algorithm: DigestAlgorithm, head: int) -> Iterator[bytes]:
        """The inventory as bytes; the same rows give the same bytes."""
        return inventory.write(
            id=id,
            algorithm=algorithm,
            manifest=self.manifest(),
            versions=((info, self._by_digest(info.number)) for info in list(self.versions())),
            head=head,
        )

    def _by_digest(self, version: int) -> Iterator[tuple[str, str]]:
        return self.db.execute("SELECT digest, path FROM state WHERE version = ? ORDER BY digest, path", (version,))
