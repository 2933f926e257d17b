"""What dead writers left: drafts are completed or removed, never guessed about.

outcome is created once, by the writer (commit) or by a clean (abandoned); whoever creates it first decides. Content is
removed only if every inventory of the object parses and none names it, in this order: list content, list staging, read
the inventories, delete. docs/design.md "Commit" says why.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from ...errors import Damaged, Exists, NotFound, StoreUnavailable
from ...model import PackageId
from . import inventory, resume
from .inventory import Content
from .layout import DRAFT_CONTENT, Staged, encoded
from .lock import DraftLock, dead_drafts
from .table import Inventory

if TYPE_CHECKING:
    from . import Root

COMMIT, ABANDONED = b"commit", b"abandoned"

_COMMIT = re.compile(rb"commit((?:-[0-9a-f]+)?)")


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a draft: completed (it is version number of package), or removed."""

    package: PackageId
    number: int
    draft: str
    outcome: Literal["completed", "removed"]


def commit_of(attempt: str) -> bytes:
    """The outcome by which an attempt at a draft asks for the commit. attempt: "" for the first, -1 and so on."""
    return COMMIT + attempt.encode()


def staged_inventory(attempt: str) -> str:
    return f"inventory{attempt}.json"


def settle_own(root: Root, drafts: Path, *, silent_since: datetime | None = None) -> Generator[Settled, None, None]:
    """The drafts of this home whose writer has died: decided now, since the kernel vouches for the death.

    What a later attempt can go on with stays, if it gave a sign of life after silent_since; by default all of it does.
    A draft is forgotten only when the next one is asked for: what is done with a Settled before (the catalogue is told)
    cannot be lost by a crash. A draft of a package that is Damaged stays as it is; clean tells of it.
    """
    for lock in dead_drafts(drafts):
        yield from _settle_locked(root, lock, silent_since)


def _settle_locked(root: Root, lock: DraftLock, silent_since: datetime | None) -> Iterator[Settled]:
    settled = False
    try:
        staging = lock.staging()
        staged = Staged.parse(staging) if staging else None
        if staged is not None:
            if resume.is_worthwhile(lock) and resume.is_undecided(root, staged):
                sign = _last_sign(root, staged)
                if sign is not None and (silent_since is None or sign > silent_since):
                    return
            lock.end()
            yield from settle(root, staged, held=True)
        settled = True
    except Damaged:
        pass  # one package must not keep the home from its other work
    finally:
        lock.release(settled=settled)


def clean(root: Root, *, older_than: timedelta, now: datetime) -> Generator[Settled, None, None]:
    """Settle every draft without a sign of life for older_than, remove content that no draft and no version has, and
    finish every package. May run beside writers and other cleans, and be interrupted anywhere.

    Raises Damaged, after all others were cleaned, if a package cannot be: nothing of it was removed.
    """
    damaged: list[Damaged] = []
    for staged in list(_staged(root)):
        sign = _last_sign(root, staged)
        if sign is not None and now - sign >= older_than:
            try:
                yield from settle(root, staged, held=False)
            except Damaged as error:
                damaged.append(error)
    for package in root.places():
        try:
            if root.head(package):
                root.finish(package)
            yield from _orphans(root, package)
        except Damaged as error:
            damaged.append(error)
    if damaged:
        raise damaged[0]


def clean_copy(primary: Root, copy: Root) -> Generator[Settled, None, None]:
    """Finish every package of a copy, and remove content of drafts that neither store names and that nobody writes.

    Raises Damaged as clean does.
    """
    damaged: list[Damaged] = []
    for package in copy.places():
        try:
            if copy.head(package):
                copy.finish(package)
            with _Listed(copy, package) as listed:
                listed.leave_out((one.number, one.draft) for one in _staged(primary, package))
                listed.leave_out(_named(primary, package))
                yield from listed.remove()
        except Damaged as error:
            damaged.append(error)
    if damaged:
        raise damaged[0]


def _named(root: Root, package: PackageId) -> Iterator[tuple[int, str]]:
    """The drafts whose content a version of package names."""
    found: set[tuple[int, str]] = set()
    for number in range(root.head(package), 0, -1):
        for row in root.inventory(package, number):
            if isinstance(row, Content) and (match := DRAFT_CONTENT.match(row.path)):
                found.add((int(match[1]), match[2]))
    yield from found


def _staged(root: Root, package: PackageId | None = None) -> Iterator[Staged]:
    """Every draft that has a staging folder, of package or of all."""

    def draft(key: str) -> str:
        staged = Staged.parse(key)
        return root.staging_key(staged.package, staged.number, staged.draft) if staged else ""

    for key in root.store.keys(f"staging/{encoded(package)}/" if package else "staging/", skip=draft):
        if staged := Staged.parse(key):
            yield staged


def _last_sign(root: Root, staged: Staged) -> datetime | None:
    """By the server's clock: draft.json if it is there, else whatever of the draft is newest. None: it is gone."""
    folder = root.staging_key(staged.package, staged.number, staged.draft)
    try:
        return root.store.stat(folder + "draft.json").modified
    except NotFound:
        return max((found.modified for found in root.store.list(folder)), default=None)


def settle(root: Root, staged: Staged, *, held: bool) -> Iterator[Settled]:
    """Complete or remove one draft whose writer is dead; what became of it, if anything was left to do.

    held: its lock is ours, so it cannot wake. The staging folder of a version goes only when more is asked for.
    """
    package, number, draft = staged.package, staged.number, staged.draft
    if became_version(root, staged, _outcome(root, staged, held=held)):
        root.finish(package)
        yield Settled(package, number, draft, "completed")
        remove_staging(root, root.staging_key(package, number, draft))
    elif _remove(root, staged, held=held):
        yield Settled(package, number, draft, "removed")


def became_version(root: Root, staged: Staged, outcome: bytes) -> bool:
    """Whether vN is that draft's, now: a commit that was asked for and not done is done here."""
    package, number, draft = staged.package, staged.number, staged.draft
    try:
        if commit := _COMMIT.fullmatch(outcome):
            key = root.staging_key(package, number, draft) + staged_inventory(commit[1].decode())
            if _is_all_there(root, staged, key):
                root.act(package, number, draft, body=lambda: root.chunks(key))
                return True
    except NotFound:
        pass  # taken away by a clean that has completed this draft, or removed it
    except Exists:
        return False  # another draft has N; what is left of this one goes
    return root.is_ours(package, number, draft)


def _is_all_there(root: Root, staged: Staged, key: str) -> bool:
    """Whether all content that the staged inventory names of its own is stored. NotFound: there is no such inventory.

    The writer is dead, but not its last requests: an outcome and an inventory may come after the draft was removed.
    """
    place = root.object_key(staged.package) + "/"
    with closing(Inventory()) as table:
        with root.store.open(key) as source:
            table.load(inventory.read(source, subject=key))
        wanted = sum(path.startswith(f"v{staged.number}/content/{staged.draft}") for _digest, path in table.manifest())
        there = (one.removeprefix(place) for one in _content(root, staged.package, staged.number, staged.draft))
        named = "SELECT 1 FROM manifest WHERE path = ?"
        return wanted == sum(table.db.execute(named, (path,)).fetchone() is not None for path in there)


def abandon(root: Root, staged: Staged) -> None:
    """Give a draft of ours up, whose writer has not asked for commit."""
    if not _COMMIT.fullmatch(_outcome(root, staged, held=True)):
        _remove(root, staged, held=True)


def _outcome(root: Root, staged: Staged, *, held: bool) -> bytes:
    """What was decided of the draft; abandoned, if nothing was."""
    folder = root.staging_key(staged.package, staged.number, staged.draft)
    try:
        try:
            root.store.create(folder + "outcome", lambda: (ABANDONED,))
        except StoreUnavailable:
            if not held:
                raise
            # The draft may have filled the disk to its last block. Its sign of life makes room, and nobody misses it.
            root.store.delete(folder + "draft.json")
            root.store.create(folder + "outcome", lambda: (ABANDONED,))
    except Exists:
        return root.small(folder + "outcome") or ABANDONED
    return ABANDONED


def _remove(root: Root, staged: Staged, *, held: bool) -> bool:
    """Content first, the outcome last, and only when the draft can never become a version: until then it stays.

    Whether anything was there besides the outcome.
    """
    package, number, draft = staged.package, staged.number, staged.draft
    folder = root.staging_key(package, number, draft)
    removed = remove_unnamed(root, staged)
    for key in _but_outcome(root, folder):
        removed = True
        root.store.delete(key)
    if held or (not removed and root.exists(root.inventory_key(package, number))):
        root.store.delete(folder + "outcome")
    return removed


def _attempts(root: Root, staged: Staged) -> int:
    """How many later attempts at the draft there were, as its sign of life tells."""
    sign = root.small(root.staging_key(staged.package, staged.number, staged.draft) + "draft.json")
    try:
        return int(json.loads(sign or b"{}").get("attempt", 0))
    except (ValueError, AttributeError):
        return 0


def _but_outcome(root: Root, folder: str) -> list[str]:
    """What else lies in a staging folder; draft.json last, since what has none is dead."""
    keys = [key for key in root.store.keys(folder) if key != folder + "outcome"]
    return sorted(keys, key=lambda key: key == folder + "draft.json")


def remove_staging(root: Root, folder: str) -> None:
    """Of a draft that became a version."""
    *keys, sign = *_but_outcome(root, folder), folder + "draft.json"
    for key in (*(key for key in keys if key != sign), folder + "outcome", sign):
        root.store.delete(key)


def remove_unnamed(root: Root, staged: Staged) -> bool:
    """The content of a draft, of every attempt at it, that no inventory names; whether there was any."""
    with _Listed(root, staged.package, staged) as listed:
        found = not listed.is_empty()
        for _removed in listed.remove():
            pass
    # On a file system the empty folders that a dying writer left; on S3 uploads that were begun.
    for attempt in ("", *(f"-{number:x}" for number in range(1, _attempts(root, staged) + 1))):
        root.store.delete(f"{root.object_key(staged.package)}/v{staged.number}/content/{staged.draft}{attempt}")
    return found


def _orphans(root: Root, package: PackageId) -> Iterator[Settled]:
    """Content whose draft has no staging folder and that no inventory names."""
    with _Listed(root, package) as listed:
        listed.leave_out((one.number, one.draft) for one in _staged(root, package))
        yield from listed.remove()


class _Listed:
    """The content that lies in an object, of all drafts or of one, on disk: never a list in memory."""

    def __init__(self, root: Root, package: PackageId, staged: Staged | None = None) -> None:
        self._root, self._package = root, package
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE content (path TEXT PRIMARY KEY, number INTEGER, draft TEXT) WITHOUT ROWID")
        place = root.object_key(package) + "/"
        keys = (
            _content(root, package, staged.number, staged.draft) if staged else root.store.keys(place + "v")
        )  # fmt: skip
        paths = (key.removeprefix(place) for key in keys)
        self._db.executemany(
            "INSERT INTO content VALUES (?, ?, ?)",
            ((path, int(match[1]), match[2]) for path in paths if (match := DRAFT_CONTENT.match(path))),
        )

    def __enter__(self) -> _Listed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._db.close()

    def is_empty(self) -> bool:
        return not self._drafts()

    def _drafts(self) -> dict[tuple[int, str], int]:
        """How much there is of each draft."""
        rows = self._db.execute("SELECT number, draft, count(*) FROM content GROUP BY number, draft")
        return {(number, draft): count for number, draft, count in rows}

    def leave_out(self, drafts: Iterable[tuple[int, str]]) -> None:
        self._db.executemany("DELETE FROM content WHERE number = ? AND draft = ?", drafts)

    def _keep_named(self, number: int) -> None:
        rows = self._root.inventory(self._package, number)
        self._db.executemany(
            "DELETE FROM content WHERE path = ?", ((row.path,) for row in rows if isinstance(row, Content))
        )

    def remove(self) -> Iterator[Settled]:
        """Delete what no inventory of the object names; the drafts of which none names anything.

        Raises Damaged, and deletes nothing, if there is any and an inventory is missing or cannot be read.
        """
        root, package, before = self._root, self._package, self._drafts()
        head = root.head(package) if before else 0
        if head:
            self._keep_named(head)  # the newest names nearly all that any names
        if not self.is_empty():
            root.whole_head(package)
            for number in range(head - 1, 0, -1):
                self._keep_named(number)
        for (path,) in self._db.execute("SELECT path FROM content"):
            root.store.delete(f"{root.object_key(package)}/{path}")
        for (number, draft), count in self._drafts().items():
            if count == before[number, draft]:
                root.store.delete(f"{root.object_key(package)}/v{number}/content/{draft}")  # uploads that were begun
                yield Settled(package, number, draft, "removed")


def _content(root: Root, package: PackageId, number: int, draft: str) -> Iterator[str]:
    """Keys of a draft's content, of every attempt."""
    place = f"{root.object_key(package)}/v{number}/content/{draft}"
    for beginning in (place + "-", place + "/"):
        yield from root.store.keys(beginning)
