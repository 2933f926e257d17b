"""Stores for tests: one in memory, and two around another store that make trouble where a test wants it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Literal, TypeAlias

from lantai.digest import Algorithm, Digests, Hasher
from lantai.errors import Damaged, Exists, NotFound, StoreUnavailable
from lantai.storage import Body, Odd, Properties, Skip, Stat, Store, beyond, key_bytes, read_digests

_PROPERTIES = Properties(
    create_only=True, verifies_uploads=False, vouches=False, connections=2, durable=True, resumes=None
)


@dataclass(frozen=True, slots=True)
class _Kept:
    data: bytes
    modified: datetime


class MemoryStore:
    """Keys in a dictionary. clock times each write; power_cut() loses what no sync or create made durable."""

    def __init__(
        self, *, properties: Properties = _PROPERTIES, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._properties, self._clock = properties, clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._durable: dict[str, _Kept] = {}

    @property
    def properties(self) -> Properties:
        return self._properties

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        key_bytes(key)
        hasher = Hasher(dict.fromkeys((*algorithms, *(expect.values if expect else ()))))
        data = b"".join(hasher.through(body()))
        found = hasher.result()
        if expect is not None and expect.conflicts(found):
            raise Damaged("other bytes than expected", subject=key, remedy="Send it again.")
        with self._lock:
            self._kept[key] = _Kept(data, self._clock())
        return Digests(found.size, {name: found.values[name] for name in algorithms})

    def create(self, key: str, body: Body) -> None:
        key_bytes(key)
        data = b"".join(body())
        with self._lock:
            kept = self._kept.setdefault(key, _Kept(data, self._clock()))
            if kept.data != data:
                raise Exists("other bytes are here", subject=key, remedy="Read them.")
            self._durable[key] = kept

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        return io.BytesIO(self._get(key).data[start:stop])

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(self, keys, algorithm)

    def stat(self, key: str) -> Stat:
        return _stat(key, self._get(key))

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        past = after.encode(errors="surrogatepass")
        with self._lock:
            found = sorted((key.encode(), key) for key in self._kept if key.startswith(prefix))
        for raw, key in found:
            kept = self._kept.get(key)
            if raw > past and kept is not None:
                yield _stat(key, kept)
                if skip is not None and (folder := skip(key)):
                    past = beyond(folder)

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))

    def delete(self, key: str) -> None:
        key_bytes(key)
        with self._lock:
            self._kept.pop(key, None)

    def sync(self) -> None:
        with self._lock:
            self._durable = dict(self._kept)

    def copy(self) -> MemoryStore:
        """Another store with the same keys and bytes."""
        other = MemoryStore(properties=self._properties, clock=self._clock)
        with self._lock:
            other._kept, other._durable = dict(self._kept), dict(self._durable)
        return other

    def power_cut(self) -> None:
        """Back to what is on stable storage: puts and deletes since the last sync never were."""
        with self._lock:
            self._kept = dict(self._durable)

    def _get(self, key: str) -> _Kept:
        key_bytes(key)
        with self._lock:
            if key not in self._kept:
                raise NotFound("nothing is here", subject=key, remedy="Look elsewhere.")
            return self._kept[key]


class FaultyStore:
    """A store around a store, with the faults of a bad server; without arguments it has none.

    fail_puts          the first attempt of every put fails, half-way through its body
    lose_creates       the first attempt of every create takes effect, and the answer is lost
    failing_syncs      so many syncs fail; those after them succeed, as the kernel's do
    flip               reading one of these keys (or any, if True) gets one wrong bit, in the middle of what is read
    """

    def __init__(
        self,
        store: Store,
        *,
        fail_puts: bool = False,
        lose_creates: bool = False,
        failing_syncs: int = 0,
        flip: Collection[str] | Literal[True] = (),
    ) -> None:
        self.store = store
        self.fail_puts, self.lose_creates, self.failing_syncs, self.flip = fail_puts, lose_creates, failing_syncs, flip
        self._lock = threading.Lock()
        self._failed: set[tuple[str, str]] = set()

    @property
    def properties(self) -> Properties:
        return self.store.properties

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        if self.fail_puts and self._first("put", key):
            next(iter(body()), None)
            raise _fault("the connection was cut", key)
        return self.store.put(key, body, algorithms=algorithms, expect=expect)

    def create(self, key: str, body: Body) -> None:
        lose = self.lose_creates and self._first("create", key)
        self.store.create(key, body)
        if lose:
            raise _fault("the answer was lost", key)

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        opened = self.store.open(key, start, stop)
        if self.flip is True or key in self.flip:
            with opened as file:
                data = bytearray(file.read())
            if data:
                data[len(data) // 2] ^= 1
            return io.BytesIO(data)
        return opened

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(self, keys, algorithm)

    def stat(self, key: str) -> Stat:
        return self.store.stat(key)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        return self.store.list(prefix, after, skip)

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))

    def delete(self, key: str) -> None:
        self.store.delete(key)

    def sync(self) -> None:
        with self._lock:
            fails = self.failing_syncs > 0
            self.failing_syncs -= fails
        if fails:
            raise _fault("the disk lost what was written", "sync")
        self.store.sync()

    def _first(self, method: str, key: str) -> bool:
        """Whether this is a first attempt; the one after it is the second, the one after that a first again."""
        with self._lock:
            if (method, key) in self._failed:
                self._failed.remove((method, key))
                return False
            self._failed.add((method, key))
            return True


class Crash(BaseException):
    """The process is dead. No `except Exception` may save it."""


When: TypeAlias = Literal["before", "during", "after"]


class CrashingStore:
    """A store around a store that dies at its at-th change (put, create, delete, sync), counted from 1.

    before: it has no effect; during: the body was read, then no effect; after: it took effect, nobody heard of it.
    Afterwards everything raises Crash; the store inside is what the next process finds. at None: it lives, and
    operations counts, so that a test can go through every point of a run.
    """

    def __init__(self, store: Store, *, at: int | None = None, when: When = "before") -> None:
        self.store, self.at, self.when = store, at, when
        self.operations: list[str] = []  # "put KEY", in the order they began
        self._dead = False
        self._lock = threading.Lock()

    @property
    def properties(self) -> Properties:
        self._alive()
        return self.store.properties

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        with self._operation(f"put {key}", body):
            return self.store.put(key, body, algorithms=algorithms, expect=expect)

    def create(self, key: str, body: Body) -> None:
        with self._operation(f"create {key}", body):
            self.store.create(key, body)

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        self._alive()
        return self.store.open(key, start, stop)

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(self, keys, algorithm)

    def stat(self, key: str) -> Stat:
        self._alive()
        return self.store.stat(key)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        self._alive()
        for found in self.store.list(prefix, after, skip):
            yield found
            self._alive()

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))

    def delete(self, key: str) -> None:
        with self._operation(f"delete {key}"):
            self.store.delete(key)

    def sync(self) -> None:
        with self._operation("sync"):
            self.store.sync()

    def _alive(self) -> None:
        if self._dead:
            raise Crash

    @contextmanager
    def _operation(self, name: str, body: Body = lambda: ()) -> Iterator[None]:
        with self._lock:
            self._alive()
            self.operations.append(name)
            dies = len(self.operations) == self.at
            self._dead = dies and self.when != "after"
        if self._dead:
            if self.when == "during":
                for _chunk in body():
                    pass
            raise Crash(name)
        try:
            yield
        finally:
            if dies:
                self._dead = True
                raise Crash(name)
            self._alive()


def _stat(key: str, kept: _Kept) -> Stat:
    return Stat(key, len(kept.data), kept.modified, None)


def _fault(what: str, subject: str) -> StoreUnavailable:
    return StoreUnavailable(what, subject=subject, remedy="Try again.")


def _conform(memory: MemoryStore, faulty: FaultyStore, crashing: CrashingStore) -> tuple[Store, Store, Store]:
    return memory, faulty, crashing
