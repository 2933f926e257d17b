"""An inventory one can ask questions of, in constant memory: its rows in a temporary SQLite database on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

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


class Inventory:
    """All rows of one inventory. One thread at a time."""

    def __init__(self) -> None:
        # An empty name is SQLite's own temporary file: it spills to disk and is gone with the connection.
        self.db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.db.executescript(_SCHEMA)
        self.fields: dict[str, str] = {}

    def close(self) -> None:
        self.db.close()

    def load(self, rows: Iterable[Row]) -> None:
        contents: list[tuple[str, str]] = []
        states: list[tuple[int, str, str]] = []
        for row in rows:
            match row:
                case Content(digest, path):
                    contents.append((digest.lower(), path))
                case State(version, digest, path):
                    states.append((version, path, digest.lower()))
                case VersionInfo():
                    self.add_version(row)
                case Field(name, value):
                    self.fields[name] = value
            if len(contents) + len(states) > 10_000:
                self._flush(contents, states)
        self._flush(contents, states)

    def _flush(self, contents: list[tuple[str, str]], states: list[tuple[int, str, str]]) -> None:
        self.db.executemany("INSERT OR REPLACE INTO manifest VALUES (?, ?)", contents)
        self.db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", states)
        contents.clear()
        states.clear()

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
        for row in self.db.execute("SELECT number, created, message, user, address FROM version ORDER BY number"):
            yield VersionInfo(*row)

    def state(self, version: int, prefix: str = "") -> Iterator[tuple[str, str]]:
        """(logical path, digest) in byte order of path."""
        # Cursors, not generators: one that is left half read at an error must not reach for a closed table at its end.
        return self.db.execute(
            "SELECT path, digest FROM state WHERE version = ? AND path >= ? AND path < CAST(? AS TEXT) ORDER BY path",
            (version, prefix, beyond(prefix)),
        )

    def digest_of(self, version: int, path: str) -> str | None:
        row = self.db.execute("SELECT digest FROM state WHERE version = ? AND path = ?", (version, path)).fetchone()
        return row[0] if row else None

    def content_of(self, digest: str) -> str | None:
        """One content path, relative to the object, that holds bytes of this digest."""
        row = self.db.execute("SELECT path FROM manifest WHERE digest = ? LIMIT 1", (digest,)).fetchone()
        return row[0] if row else None

    def manifest(self) -> Iterator[tuple[str, str]]:
        return self.db.execute("SELECT digest, path FROM manifest ORDER BY digest, path")

    def located(self, version: int, prefix: str = "") -> Iterator[tuple[str, str, str]]:
        """(logical path, digest, content path) in byte order of logical path."""
        return self.db.execute(
            "SELECT path, digest, (SELECT min(m.path) FROM manifest m WHERE m.digest = state.digest) FROM state"
            " WHERE version = ? AND path >= ? AND path < CAST(? AS TEXT) ORDER BY path",
            (version, prefix, beyond(prefix)),
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
