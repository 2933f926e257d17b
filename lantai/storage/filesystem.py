"""The file-system store: a key is the path of a file below one folder.

A rename puts and a link creates, so nobody ever sees half of a file. Paths are bytes: a key names the same file in
every locale. What is being written lies in `.tmp`, which no key can name and no list shows.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import shutil
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from ..digest import Algorithm, Digests, Hasher, hashing
from ..errors import Exists, NotFound, StoreUnavailable, UsageError
from ..messages import _
from . import (
    MAX_COMPONENT,
    MAX_KEY,
    RESERVED,
    Body,
    Odd,
    Properties,
    Skip,
    Stat,
    Store,
    absent,
    beyond,
    is_key,
    key_bytes,
    require_expected,
)
from .folders import Folders, parent, remove
from .linux import claim, fsync, syncfs, syncfs_trusted, unavailable
from .reader import digest, reader, unreadable

SyncMode: TypeAlias = Literal["auto", "syncfs", "fsync"]

_STALE = 24 * 3600  # seconds after which a temporary file has no writer any more: every write renews it
_ATTEMPTS = 1_000  # so often another may take away the folder before we give up
_MADE_BARE = 3  # so often a missing folder is made empty, the cheap way; then it comes with the file in it
_OVERLAP = 256 * 1024  # bytes from which it pays to hash a chunk in another thread
_PARALLEL = 8  # fsyncs at once: more than a disk or server merges any better
_CHUNK = 1024 * 1024


class FilesystemStore:
    """Keys below root, an existing folder. Nothing is made in it before the first write: a reader needs no permission.

    sync_mode "auto" looks whether one syncfs can be trusted to tell of every lost write. "fsync" pays at each put
    instead, and wants as many threads as properties.connections says.
    Symbolic links and special files are no keys. A key below another key is refused: Exists.
    """

    def __init__(self, root: Path, *, sync_mode: SyncMode = "auto") -> None:
        self.root = root
        self._root = os.fsencode(os.path.realpath(root))
        self._folders = Folders(self._root)
        self._sync_mode = sync_mode
        self._lock = threading.RLock()
        self._process = 0  # that _begin was done in
        self._each_file = False
        self._counter = itertools.count()
        self._unsynced: set[bytes] = set()  # folders that got a new name; only if _each_file
        self._failure: tuple[OSError, bytes] | None = None
        self._properties: Properties | None = None

    @property
    def properties(self) -> Properties:
        if self._properties is None:
            try:
                create_only = self._probe()
            except StoreUnavailable:  # read-only, for us, today
                return Properties(
                    create_only=False, verifies_uploads=False, vouches=False, connections=1, durable=False, resumes=None
                )
            connections = _PARALLEL if self._each_file else 2  # more only wait for the interpreter's lock
            self._properties = Properties(
                create_only, verifies_uploads=False, vouches=False, connections=connections, durable=False, resumes=None
            )
        return self._properties

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        path = self._path(key)
        hasher = Hasher(dict.fromkeys((*algorithms, *expect.values)) if expect else algorithms)
        temporary = self._write(body(), hasher, durable=False)
        try:
            found = hasher.result()
            require_expected(key, found, expect)
            self._place(os.rename, temporary, path, key)
        except BaseException:
            _discard(temporary)
            raise
        if self._each_file:
            self._unsynced.add(parent(path))
        return Digests(found.size, {name: found.values[name] for name in algorithms}) if expect else found

    def create(self, key: str, body: Body) -> None:
        path = self._path(key)
        made = parent(path)
        temporary = self._write(body(), None, durable=True)
        try:
            while not self._place(claim, temporary, path, key):
                with suppress(NotFound):  # deleted since: begin again
                    if not self._holds(key, temporary):
                        raise Exists(
                            _("other bytes are stored here already"),
                            subject=key,
                            remedy=_("Another writer was first. Read what it wrote, then decide."),
                        )
                    made = path  # by another writer, who may not have come so far as to make it durable
                    break
        finally:
            _discard(temporary)
        self._make_durable([made])

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        return reader(key, self._path(key), start, stop)

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        begin = hashing(algorithm)
        return (digest(self._path(key), begin) for key in keys)

    def stat(self, key: str) -> Stat:
        path = self._path(key)
        try:
            seen = os.lstat(path)
        except OSError as error:
            raise unreadable(error, key, path) from error
        if not stat.S_ISREG(seen.st_mode):
            raise absent(key)
        return _stat(key, seen)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        for key in self.keys(prefix, after, skip):
            path = self._root + b"/" + key.encode()
            try:
                seen = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue  # deleted since
            except OSError as error:
                raise unavailable(error, path) from error
            if stat.S_ISREG(seen.st_mode):
                yield _stat(key, seen)

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        # A lone surrogate has its place in the order, and matches nothing.
        wanted, past = prefix.encode(errors="surrogatepass"), after.encode(errors="surrogatepass")
        base = wanted[: wanted.rfind(b"/") + 1]
        if base.startswith(RESERVED) or not self._folders.hold(base):
            return
        found = self._folders.names(base)
        if odd is not None and base and not found and wanted == base:
            odd(prefix)
        stack = [(base, [name for name in found if name.startswith(wanted[len(base) :])], False)]
        while stack:
            base, names, are_plain = stack[-1]
            if not names:
                stack.pop()
                continue
            path = base + names.pop()
            if path.endswith(b"/"):
                if path in RESERVED or not (path > past or past.startswith(path)):
                    continue
                text = path.decode(errors="surrogateescape")
                if (is_one := is_key(text[:-1])) and (found := self._folders.names(path)):
                    stack.append((path, found, _are_plain(found)))
                elif odd is not None and path > past:
                    odd(text if is_one else _readable(path))
            elif path > past:
                text = path.decode("utf-8", "surrogateescape")  # what is not UTF-8 is no key
                if (are_plain and len(path) <= MAX_KEY) or is_key(text):
                    yield text
                    if skip is not None and (folder := skip(text)):
                        past = beyond(folder) + b"\xff" * MAX_COMPONENT  # and every name that is no text
                elif odd is not None:
                    odd(_readable(path))

    def delete(self, key: str) -> None:
        folder = path = self._path(key)
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except IsADirectoryError:
            self._folders.prune(path)
        except OSError as error:
            raise unavailable(error, path) from error
        while (folder := parent(folder)) != self._root and remove(folder):
            pass

    def sync(self) -> None:
        """What this object put. A failure holds for good: the kernel tells of it once, and says yes ever after."""
        with self._lock:
            self._check()
            if self._process == 0:
                return
            if self._each_file:
                # Popped one by one: what a put adds meanwhile is for the next sync.
                self._make_durable([self._unsynced.pop() for _folder in range(len(self._unsynced))])
                return
            try:
                syncfs(self._anchor)
            except OSError as error:
                raise self._fail(error, self._root) from error

    def _path(self, key: str) -> bytes:
        return self._root + b"/" + key_bytes(key)

    def _begin(self, process: int) -> None:
        """Before the first write, and again in a forked child: one descriptor tells only one process of an error."""
        with self._lock:
            if self._process == process:
                return
            try:
                self._anchor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                raise unavailable(error, self._root) from error
            weakref.finalize(self, os.close, self._anchor)
            mode = self._sync_mode
            self._each_file = not syncfs_trusted(self._anchor) if mode == "auto" else mode == "fsync"
            self._prefix = b"%b/.tmp/%b-%d-" % (self._root, secrets.token_hex(4).encode(), process)
            self._threads = ThreadPoolExecutor(_PARALLEL, "store")
            self._folders.make(parent(self._prefix))
            for name in self._folders.names(b".tmp/"):
                if name.endswith(b"\0"):
                    continue  # not of our making
                path = self._root + b"/.tmp/" + name
                with suppress(OSError):  # another process may sweep too
                    if time.time() - os.lstat(path).st_mtime > _STALE:
                        shutil.rmtree(path) if name.endswith(b"/") else os.unlink(path)
            self._process = process

    def _write(self, chunks: Iterable[bytes], hasher: Hasher | None, *, durable: bool) -> bytes:
        """A temporary file of chunks; what these raise goes through. A large one is hashed while the next is read."""
        if self._process != (process := os.getpid()):
            self._begin(process)
        self._check()
        path = self._prefix + b"%d" % next(self._counter)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            if isinstance(error, FileNotFoundError):  # someone tidied up: the next attempt finds it
                self._folders.make(parent(path))
            raise unavailable(error, path) from error
        hashed: Future[None] | None = None
        try:
            for chunk in chunks:
                if hashed is not None:
                    hashed.result()
                    hashed = None
                if hasher is not None:
                    if len(chunk) < _OVERLAP:
                        hasher.update(chunk)
                    else:
                        hashed = self._threads.submit(hasher.update, chunk)
                try:
                    written = os.write(descriptor, chunk)
                    while written < len(chunk):
                        written += os.write(descriptor, memoryview(chunk)[written:])
                except OSError as error:
                    raise unavailable(error, path) from error
            if hashed is not None:
                hashed.result()
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            _discard(path)
            raise
        try:
            try:
                if durable or self._each_file:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            _discard(path)
            raise unavailable(error, path) from error
        return path

    def _place(self, act: Callable[[bytes, bytes], None], temporary: bytes, path: bytes, key: str) -> bool:
        """Do act(temporary, path), making folders as needed. False: a file is at path, and act does not replace."""
        scaffold = temporary + b"-folders"
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    act(temporary, path)
                    return True
                except FileNotFoundError as error:
                    # Made only when missed: mostly they are there, and a delete may take them away at any moment.
                    if attempt < _MADE_BARE:
                        self._folders.make(parent(path))
                        continue
                    if attempt == _MADE_BARE:
                        planted = scaffold + path[len(self._root) :]
                        self._folders.make(parent(planted))
                        try:
                            act(temporary, planted)
                        except OSError:
                            raise unavailable(error, temporary) from error
                        temporary = planted
                    if self._folders.plant(scaffold, path):
                        return True
                except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
                    with suppress(NotADirectoryError):
                        try:
                            mode = os.lstat(path).st_mode
                        except FileNotFoundError:
                            continue
                        if stat.S_ISREG(mode) and act is not os.rename:
                            return False
                        if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and self._folders.prune(path)):
                            continue
                    raise Exists(
                        _("another key stands in the way: a key cannot lie below a key"),
                        subject=key,
                        remedy=_("Use another name, or delete the other key first."),
                    ) from error
                except OSError as error:
                    raise unavailable(error, path) from error
            raise StoreUnavailable(
                _("its folder disappears as often as it is made"),
                subject=os.fsdecode(path),
                remedy=_("See which other program deletes here, then try again."),
            )
        finally:
            if temporary.startswith(scaffold):
                shutil.rmtree(scaffold, ignore_errors=True)

    def _holds(self, key: str, temporary: bytes) -> bool:
        """Whether key has the bytes of the temporary file. NotFound."""
        with self.open(key) as theirs, reader(key, temporary) as ours:
            while chunk := ours.read(_CHUNK):
                if theirs.read(len(chunk)) != chunk:
                    return False
            return not theirs.read(1)

    def _make_durable(self, paths: Iterable[bytes]) -> None:
        """paths and the folders above them: whoever made those may not have synced them."""
        pending = self._folders.pending(paths)
        try:
            for _done in map(fsync, pending) if len(pending) <= _PARALLEL else self._threads.map(fsync, pending):
                pass
        except OSError as error:
            raise self._fail(error, self._root) from error
        self._folders.fsynced(pending)

    def _fail(self, error: OSError, path: bytes) -> StoreUnavailable:
        self._failure = (error, path)
        return unavailable(error, path, _("what was written may not have reached the disk: {reason}"))

    def _check(self) -> None:
        if self._failure is not None:
            raise self._fail(*self._failure)

    def _probe(self) -> bool:
        """Whether create can be kept: a second claim of one name must fail."""
        first, second = (self._write([b""], None, durable=False) for _attempt in range(2))
        target = first + b"-probe"
        try:
            claim(first, target)
            claim(second, target)
            return False
        except (OSError, UsageError) as error:
            return isinstance(error, FileExistsError)
        finally:
            for path in (first, second, target):
                _discard(path)


def _stat(key: str, seen: os.stat_result) -> Stat:
    return Stat(key, seen.st_size, datetime.fromtimestamp(seen.st_mtime, UTC), None)


def _are_plain(names: Sequence[bytes]) -> bool:
    """Whether these surely are names that keys can have. Asked of all at once, since to ask it of each costs as much as
    the listing.
    """
    return max(map(len, names)) <= MAX_COMPONENT and b"".join(names).decode(errors="surrogateescape").isprintable()


def _readable(path: bytes) -> str:
    """Of what is no key: its name, where each byte that is no text stands as \\xNN."""
    text = path.rstrip(b"/\0").decode(errors="backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda one: f"\\x{ord(one[0]):02x}", text)


def _discard(temporary: bytes) -> None:
    with suppress(OSError):  # swept later
        os.unlink(temporary)


def _conforms(store: FilesystemStore) -> Store:
    return store
