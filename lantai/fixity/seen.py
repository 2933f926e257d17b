"""Which packages an audit of a store has looked at, so that what it did not look at can be told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing

from ..model import PackageId


class Seen:
    """Kept in a file that nobody else sees and that goes with the process: they may be millions."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.execute("CREATE TABLE seen (package TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, packages: Iterable[PackageId]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((package,) for package in packages))

    def __contains__(self, package: PackageId) -> bool:
        with closing(self._db.execute("SELECT 1 FROM seen WHERE package = ?", (package,))) as found:
            return found.fetchone() is not None

    def close(self) -> None:
        self._db.close()
