"""A later attempt at a draft: what the home noted of the earlier ones, and what of it may count.

A file counts if its home noted it once it was on stable storage, if its source is as it was, and if it still lies in
the store. Nothing counts of a draft whose outcome was asked for: that one is completed or removed (clean).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...digest import Algorithm, Digests
from .layout import Staged
from .lock import DraftLock, dead_drafts

if TYPE_CHECKING:
    from . import Root


def find(root: Root, drafts: Path, source: str) -> tuple[DraftLock, Staged, int] | None:
    """The lock of a draft of this home that was broken off and whose source is this; the draft; which attempt is next.

    None: there is none, or its outcome was asked for.
    """
    for lock in dead_drafts(drafts):
        staged = Staged.parse(lock.staging() or "")
        is_its = staged is not None and any(one.get("source") == source for one in lock.logged())
        if staged is not None and is_its and is_undecided(root, staged):
            return lock, staged, 1 + sum("attempt" in one for one in lock.logged())
        lock.release(settled=False)
    return None


def is_worthwhile(lock: DraftLock) -> bool:
    """Whether a later attempt could go on with anything."""
    return any("path" in one for one in lock.logged())


def is_undecided(root: Root, staged: Staged) -> bool:
    """Whether nobody has asked for an outcome of the draft, nor completed it. vN is read last."""
    package, number, draft = staged.package, staged.number, staged.draft
    outcome = root.staging_key(package, number, draft) + "outcome"
    return not root.exists(outcome) and not root.is_ours(package, number, draft)


class Earlier:
    """What earlier attempts at a draft have stored or begun, on disk."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            "CREATE TABLE file (path TEXT PRIMARY KEY, mark TEXT, content TEXT, size INTEGER, digests TEXT)"
            " WITHOUT ROWID; CREATE INDEX file_content ON file (content);"
            "CREATE TABLE there (content TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;"
        )

    def close(self) -> None:
        self._db.close()

    def load(self, root: Root, staged: Staged, log: Iterator[Mapping[str, Any]]) -> None:
        """The last that was noted of each file; then what of it lies in the store."""
        self._db.executemany(
            "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)",
            (
                (one["path"], one["mark"], one["content"], one.get("size"), json.dumps(one.get("digests", {})))
                for one in log
                if "path" in one
            ),
        )
        place = root.object_key(staged.package) + "/"
        found = root.store.list(f"{place}v{staged.number}/content/{staged.draft}")
        self._db.executemany(
            "INSERT INTO there VALUES (?, ?)", ((stat.key.removeprefix(place), stat.size) for stat in found)
        )

    def stored(self, path: str, mark: str, algorithms: Sequence[Algorithm]) -> tuple[str, Digests] | None:
        """Where a file of this path and mark lies whole, and its digests; None if it is to be stored."""
        row = self._db.execute(
            "SELECT content, size, digests FROM file NATURAL JOIN there WHERE path = ? AND mark = ?", (path, mark)
        ).fetchone()
        if row is None or not set(algorithms) <= (digests := json.loads(row[2])).keys():
            return None
        return str(row[0]), Digests(row[1], digests)

    def begun(self, path: str, mark: str) -> str | None:
        """Where the put of a file of this path and mark was begun, and not noted as done."""
        row = self._db.execute(
            "SELECT content FROM file WHERE path = ? AND mark = ? AND size IS NULL", (path, mark)
        ).fetchone()
        return str(row[0]) if row else None


def stored_line(path: str, mark: str, content: str, digests: Digests) -> Mapping[str, Any]:
    return {"path": path, "mark": mark, "content": content, "size": digests.size, "digests": dict(digests.values)}


def begun_line(path: str, mark: str, content: str) -> Mapping[str, Any]:
    return {"path": path, "mark": mark, "content": content}
