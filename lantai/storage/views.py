"""A store seen through something: only read, read no faster than it may be, or no longer than is wished."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, cast

from ..digest import Algorithm, Digests
from . import Body, Odd, Properties, Skip, Stat, Store, read_digests
from .stop import Stop, Stopped

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ReadOnly:
    """A Store that gives what another has, and is never written to."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def properties(self) -> Properties:
        return self.store.properties

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        return self.store.open(key, start, stop)

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(self, keys, algorithm)

    def stat(self, key: str) -> Stat:
        return self.store.stat(key)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        return self.store.list(prefix, after, skip)

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return self.store.keys(prefix, after, skip, odd)

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        raise AssertionError("it is only read")

    def create(self, key: str, body: Body) -> None:
        raise AssertionError("it is only read")

    def delete(self, key: str) -> None:
        raise AssertionError("it is only read")

    def sync(self) -> None:
        raise AssertionError("it is only read")


class Paced(ReadOnly):
    """rate: bytes a second that are read at most, by all threads together, so that who else uses the disk or the line
    is not kept waiting.
    """

    def __init__(
        self, store: Store, rate: int, *, clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        super().__init__(store)
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._lock = threading.Lock()
        self._free = clock()

    @contextmanager
    def open(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[BinaryIO]:
        with self.store.open(key, start, stop) as source:
            yield cast(BinaryIO, _Source(source, self._wait))

    def _wait(self, octets: int) -> None:
        """Until what was read before has had its time."""
        with self._lock:
            now = self._clock()
            begins = max(self._free, now)
            self._free = begins + octets / self._rate
        if begins > now:
            self._sleep(begins - now)


_PIECE = 256 * 1024
"""Bytes after which a reader waits for its turn."""


class _Source(io.RawIOBase):
    def __init__(self, source: BinaryIO, wait: Callable[[int], None]) -> None:
        self._source, self._wait = source, wait

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        data = self._source.read(min(len(memoryview(buffer)), _PIECE))
        if data:
            self._wait(len(data))
        memoryview(buffer)[: len(data)] = data
        return len(data)


class Heeding(ReadOnly):
    """Nothing more is read once it was asked to stop, be it in the midst of a file: Stopped."""

    def __init__(self, store: Store, stop: Stop) -> None:
        super().__init__(store)
        self._stop = stop

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        self._heed()
        return cast(AbstractContextManager[BinaryIO], _Heeded(self.store.open(key, start, stop), self._heed))

    def stat(self, key: str) -> Stat:
        self._heed()
        return self.store.stat(key)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        for found in self.store.list(prefix, after, skip):
            self._heed()
            yield found

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        for key in self.store.keys(prefix, after, skip, odd):
            self._heed()
            yield key

    def _heed(self) -> None:
        if self._stop.asked:
            raise Stopped


class _Heeded(io.RawIOBase):
    """heed: called before each read. A class and no generator, since there may be many small files."""

    def __init__(self, opened: AbstractContextManager[BinaryIO], heed: Callable[[], None]) -> None:
        self._opened, self._heed = opened, heed

    def __enter__(self) -> _Heeded:
        self._source = self._opened.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.__exit__(kind, error, at)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self._heed()
        return self._source.read(size)

    def readinto(self, buffer: WriteableBuffer) -> int:
        data = self.read(len(memoryview(buffer)))
        memoryview(buffer)[: len(data)] = data
        return len(data)


def _conforms(store: ReadOnly) -> Store:
    return store
