"""Draft: a version being written. The order of the commit, and why it is safe, is docs/design.md "Commit".

What is put with a mark is noted in the home, so that a later attempt need not send it again (resume).
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from ...digest import Algorithm, Digests
from ...errors import Damaged, Exists, LantaiError, NotFound, Rejected, StoreUnavailable
from ...messages import _
from ...model import Agent, PackageId, Version
from .. import MAX_KEY, Body, beyond
from ..linux import is_of_a_full_disk
from . import clean, resume
from .incoming import Incoming, tasks
from .inventory import DigestAlgorithm, VersionInfo, address, timestamp, to_version
from .layout import Staged, content_path
from .lock import DraftLock
from .resume import Earlier, begun_line, stored_line
from .table import Inventory

if TYPE_CHECKING:
    from . import Root

SIGN_OF_LIFE = 600.0
"""Seconds between two signs of life of a writer: draft.json is put again."""

_LOG_EVERY, _SYNC_SHARE = 10.0, 20.0
"""Where a put is not durable by itself: seconds between two notes of what was stored, and at least so many times what
the sync before a note took.
"""


_Results: TypeAlias = tuple[list[Digests | Rejected | Damaged], BaseException | None]
"""Of the files of a task, in order; and the error that broke it off."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """content: where it goes, or where an earlier attempt has put it, with these digests."""

    item: Incoming
    content: str
    digests: Digests | None


class Draft:
    """A version being written, invisible until commit.

    Left by an error that is final (Rejected, Damaged, wrong use, a full disk) before commit asked for the outcome:
    abandoned, its content removed; so it is at an interrupt if no later attempt could go on with anything. Left by
    anything else (the store is gone, the program is broken), or once commit was asked for: nothing is removed; clean
    or the next attempt decides. So it is too where an error follows the commit: what commits must be indexed, and what
    remembers that is the staging folder.

    attempt: 0, or the number of a later attempt at a draft that was broken off.
    """

    def __init__(
        self, root: Root, package: PackageId, *, number: int, algorithms: Sequence[Algorithm], lock: DraftLock,
        source: str = "", attempt: int = 0,
    ) -> None:  # fmt: skip
        self.root, self.package, self.number = root, package, number
        self.algorithms: tuple[Algorithm, ...] = tuple(algorithms)
        self.id = lock.draft
        self.as_written = True
        """Whether what was committed is what this attempt wrote, and not an earlier one."""
        self.reused = 0
        """Files that earlier attempts had stored."""
        self._source, self._attempt = source, attempt
        self._suffix = f"-{attempt:x}" if attempt else ""
        self.object = root.object_key(package)
        self.staging = root.staging_key(package, number, self.id)
        self._algorithm: DigestAlgorithm = "sha512" if self.algorithms[0] == "sha512" else "sha256"
        self._lock = lock
        self._earlier = Earlier()
        self._unlogged: list[Mapping[str, Any]] = []
        self._log_at = time.monotonic() + _LOG_EVERY
        self._inventory = Inventory()
        self._inventory.db.execute(
            "CREATE TABLE file (path TEXT PRIMARY KEY, size INTEGER, digests TEXT) WITHOUT ROWID"
        )
        self._pool = ThreadPoolExecutor(root.store.properties.connections, thread_name_prefix="put")
        self._stop = threading.Event()
        self._pulse = threading.Thread(target=self._live, daemon=True)
        self._asked = self._committed = self._abandoned = False

    def __enter__(self) -> Draft:
        """Raises Damaged if a version before this one is missing or cannot be read, StoreUnavailable."""
        try:
            self._begin()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _begin(self) -> None:
        root = self.root
        sign = self._sign()
        if self._attempt:
            self._lock.log([{"attempt": self._attempt}])  # before anything is written under its number
            root.store.put(self.staging + "draft.json", lambda: (sign,), algorithms=())
        else:
            self._lock.note(self.staging)
            if self._source:
                self._lock.log([{"source": self._source}])
            root.store.create(self.staging + "draft.json", lambda: (sign,))
        self._pulse.start()
        root.whole_head(self.package)
        if self.number > 1:
            self._inventory.load(root.inventory(self.package, self.number - 1))
            # An object keeps the algorithm it began with: one inventory, one algorithm (OCFL 1.1 section 3.5.1).
            self._algorithm = "sha512" if self._inventory.fields["digestAlgorithm"] == "sha512" else "sha256"
            if self._algorithm not in self.algorithms:
                self.algorithms = (self._algorithm, *self.algorithms)
        if self._attempt:
            self._earlier.load(root, self._staged, self._lock.logged())

    @property
    def _staged(self) -> Staged:
        return Staged(self.package, self.number, self.id)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        final = isinstance(error, LantaiError) and not isinstance(error, StoreUnavailable)
        final |= is_of_a_full_disk(error)  # what fills it is perhaps this
        settled = False
        try:
            self._quiet()
            if self._committed and error is None:
                clean.remove_staging(self.root, self.staging)
                settled = True
            elif not self._asked and (error is None or final or self._is_idle(error)):
                self.abandon()
            elif not self._asked and isinstance(error, KeyboardInterrupt):
                error.add_note(_("What it has stored waits: the same command goes on where this one stopped."))
            settled = settled or self._abandoned
        finally:
            self._inventory.close()
            self._earlier.close()
            self._lock.release(settled=settled)

    def _is_idle(self, error: BaseException) -> bool:
        """Whether an interrupt came before there was anything that a later attempt could go on with."""
        return isinstance(error, KeyboardInterrupt) and not resume.is_worthwhile(self._lock)

    # -- content

    def put(self, path: str, body: Body, expect: Digests | None = None) -> Digests:
        """Store one file at its final place. Raises Damaged if expect contradicts what arrived."""
        planned = self._planned(Incoming(path, body, 0, expect))
        digests = self._store(planned)
        self._note(planned, digests)
        return digests

    def put_many(self, items: Iterable[Incoming]) -> Iterator[Digests | Rejected | Damaged]:
        """As put, in order, several at once. Rejected raised by a body, and Damaged, are handed back in place.

        What an earlier attempt has stored, from the same source, is not read again.
        """
        waiting: deque[tuple[list[_Planned], Future[_Results]]] = deque()
        try:
            for task in tasks(items, durable=self.root.store.properties.durable):
                planned = [self._planned(item) for item in task]
                self._lock.log(
                    begun_line(one.item.path, one.item.mark, one.content) for one in planned if self._is_resumable(one)
                )
                waiting.append((planned, self._pool.submit(self._store_all, planned)))
                if len(waiting) > 2 * self.root.store.properties.connections:
                    yield from self._collect(*waiting.popleft())
            while waiting:
                yield from self._collect(*waiting.popleft())
        except (Exception, KeyboardInterrupt):
            self._stop.set()
            for planned, future in waiting:  # what the others have stored counts all the same
                if not future.cancel():
                    with suppress(Exception, CancelledError):
                        deque(self._collect(planned, future), maxlen=0)
            raise

    def _planned(self, item: Incoming) -> _Planned:
        if self._attempt and item.mark:
            if found := self._earlier.stored(item.path, item.mark, self.algorithms):
                return _Planned(item, *found)
            if self._can_resume(item.size) and (begun := self._earlier.begun(item.path, item.mark)):
                return _Planned(item, begun, None)
        room = MAX_KEY - len(self.object.encode()) - 1
        return _Planned(item, content_path(self.number, self.id + self._suffix, item.path, room=room), None)

    def _is_resumable(self, planned: _Planned) -> bool:
        """Whether the store could go on with a put of it; then its key is noted before."""
        return bool(
            self._source and planned.item.mark and planned.digests is None and self._can_resume(planned.item.size)
        )

    def _can_resume(self, size: int) -> bool:
        least = self.root.store.properties.resumes
        return least is not None and size >= least

    def _collect(self, task: list[_Planned], future: Future[_Results]) -> Iterator[Digests | Rejected | Damaged]:
        results, error = future.result()
        for planned, result in zip(task, results, strict=False):
            if isinstance(result, Digests):
                self._note(planned, result)
            yield result
        self._log()
        if error is not None:
            raise error

    def _store_all(self, task: list[_Planned]) -> _Results:
        results: list[Digests | Rejected | Damaged] = []
        try:
            for planned in task:
                try:
                    results.append(self._store(planned))
                except (Rejected, Damaged) as error:
                    results.append(error)
        except BaseException as error:
            return results, error
        return results, None

    def _while_wanted(self, body: Body) -> Iterator[bytes]:
        """An interrupt must not wait for the end of a large file."""
        for chunk in body():
            if self._stop.is_set():
                raise CancelledError
            yield chunk

    def _store(self, planned: _Planned) -> Digests:
        item = planned.item
        if planned.digests is not None and not (item.expect and item.expect.conflicts(planned.digests)):
            return planned.digests
        body = partial(self._while_wanted, item.body)
        return self.root.store.put(
            f"{self.object}/{planned.content}", body, algorithms=self.algorithms, expect=item.expect
        )

    def _note(self, planned: _Planned, digests: Digests) -> None:
        item, digest = planned.item, digests.values[self._algorithm]
        known = self._inventory.content_of(digest)
        if known is None:
            self._inventory.add_content(digest, planned.content)
        elif known != planned.content and planned.digests is None:
            # The same bytes lie there already, in this version or an earlier one: stored once (OCFL 1.1 section 3.3).
            self.root.store.delete(f"{self.object}/{planned.content}")
        self._put_row(item.path, digest, digests)
        if planned.digests is not None:
            self.reused += 1
        elif self._source and item.mark:
            self._unlogged.append(stored_line(item.path, item.mark, known or planned.content, digests))

    def _log(self) -> None:
        """Note what was stored, for a later attempt, once it is on stable storage."""
        if not self._unlogged:
            return
        if not self.root.store.properties.durable:
            began = time.monotonic()
            if began < self._log_at:
                return
            self.root.store.sync()
            now = time.monotonic()
            self._log_at = now + max(_LOG_EVERY, _SYNC_SHARE * (now - began))
        self._lock.log(self._unlogged)
        self._unlogged.clear()

    def _put_row(self, path: str, digest: str, digests: Digests) -> None:
        self._inventory.add_state(self.number, path, digest)
        self._inventory.db.execute(
            "INSERT INTO file VALUES (?, ?, ?)", (path, digests.size, json.dumps(dict(digests.values)))
        )

    def keep(self, items: Iterable[tuple[str, Digests]]) -> None:
        """Take over from the version before, byte for byte, these paths with their sizes and digests.

        Raises Damaged if the version before has other bytes there, or nothing.
        """
        for path, digests in items:
            digest = self._inventory.digest_of(self.number - 1, path)
            if digest is None or digests.values.get(self._algorithm, digest) != digest:
                raise Damaged(
                    _("version {number} holds other bytes here than its own manifest says").format(
                        number=self.number - 1
                    ),
                    subject=path,
                    remedy=_("Run lantai validate on the package."),
                )
            self._put_row(path, digest, Digests(digests.size, {**digests.values, self._algorithm: digest}))

    def paths(self, prefix: str = "") -> Iterator[tuple[str, Digests]]:
        """What this version will hold, in byte order of path, from disk: never a list."""
        for path, size, digests in self._inventory.db.execute(
            "SELECT path, size, digests FROM file WHERE path >= ? AND path < CAST(? AS TEXT) ORDER BY path",
            (prefix, beyond(prefix)),
        ):
            yield path, Digests(size, json.loads(digests))

    def read(self, path: str) -> Iterator[bytes]:
        """The bytes of a file of this draft, or of the version before that it keeps. NotFound.

        Exists: a clean gave the draft up, and removes it.
        """
        digest = self._inventory.digest_of(self.number, path)
        content = self._inventory.content_of(digest) if digest else None
        if content is None:
            raise NotFound(_("the draft has no such file"), subject=path, remedy=_("Put it first."))
        try:
            yield from self.root.chunks(f"{self.object}/{content}")
        except NotFound:
            root = self.root
            if root.exists(self.staging + "outcome") or not root.exists(self.staging + "draft.json"):
                raise self._given_up() from None
            raise

    def versions(self) -> tuple[Version, ...]:
        """The versions before this one."""
        return tuple(to_version(info) for info in self._inventory.versions())

    # -- the end

    def commit(self, *, message: str, by: Agent, at: datetime) -> int:
        """Sync, write the inventory, then the one atomic act; finish. Return N.

        Raises Exists if another writer has N or a clean gave the draft up, StoreUnavailable if the outcome is not
        known: then clean or the next ingest completes or removes it.
        """
        store, root = self.root.store, self.root
        self._inventory.add_version(VersionInfo(self.number, timestamp(at), message, by.name, address(by)))
        store.sync()
        staged = self.staging + clean.staged_inventory(self._suffix)
        digests = store.put(
            staged,
            lambda: self._inventory.write(id=self.package, algorithm=self._algorithm, head=self.number),
            algorithms=(self._algorithm,),
        )
        store.sync()
        self._asked = True
        try:
            store.create(self.staging + "outcome", lambda: (clean.commit_of(self._suffix),))
        except Exists:
            outcome = root.small(self.staging + "outcome") or clean.ABANDONED
            if not clean.became_version(root, self._staged, outcome):
                raise self._given_up() from None
            self.as_written = False
        else:
            self.as_written = root.act(self.package, self.number, self.id, body=lambda: root.chunks(staged))
        self._committed = True
        root.finish(self.package, head=self.number, digest=digests.values[self._algorithm] if self.as_written else None)
        if self._attempt:
            clean.remove_unnamed(root, self._staged)
        return self.number

    def abandon(self) -> None:
        """Give the draft up and remove what it wrote. Safe beside a clean that does the same."""
        self._quiet()
        self._lock.end()
        clean.abandon(self.root, self._staged)
        self._asked = self._abandoned = True

    def _given_up(self) -> Exists:
        return Exists(
            _("this draft was given up by a clean, since it showed no sign of life"),
            subject=self.package,
            remedy=_("Run the same command again."),
        )

    # -- signs of life

    def _sign(self) -> bytes:
        return json.dumps(
            {"home": self.root.home, "draft": self.id, "package": self.package, "version": self.number}
            | ({"attempt": self._attempt} if self._attempt else {})
        ).encode()

    def _quiet(self) -> None:
        """No put of ours is under way any more: one that came later would leave what nobody removes."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._pulse.is_alive():
            self._pulse.join()

    def _live(self) -> None:
        while not self._stop.wait(SIGN_OF_LIFE):
            try:
                self.root.store.put(self.staging + "draft.json", lambda: (self._sign(),), algorithms=())
            except LantaiError:
                continue  # the next put of content meets the same trouble and tells it
