"""A store that stops at one of its operations until it is let go: two runs, interleaved as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

from lantai.digest import Algorithm, Digests
from lantai.storage import Body, Odd, Properties, Skip, Stat, Store, read_digests

PATIENCE = 60.0
"""Seconds after which a test that hangs is given up."""


class Gate:
    """A store around a store that stops before its at-th operation (counted from 1; reads count if asked for)."""

    def __init__(self, store: Store, *, at: int, reads: bool) -> None:
        self.store, self._at, self._reads = store, at, reads
        self._operations = 0
        self._lock = threading.Lock()
        self.reached, self._open = threading.Event(), threading.Event()

    def run(self, work: Callable[[Store], object]) -> Run:
        """Start work on this store; return when it stops at the gate, or is done."""
        return Run(self, work)

    def go(self) -> None:
        self._open.set()

    @property
    def properties(self) -> Properties:
        return self.store.properties

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        self._pass()
        return self.store.put(key, body, algorithms=algorithms, expect=expect)

    def create(self, key: str, body: Body) -> None:
        self._pass()
        self.store.create(key, body)

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        self._pass(reading=True)
        return self.store.open(key, start, stop)

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(self, keys, algorithm)

    def stat(self, key: str) -> Stat:
        self._pass(reading=True)
        return self.store.stat(key)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        self._pass(reading=True)
        return self.store.list(prefix, after, skip)

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        self._pass(reading=True)
        return self.store.keys(prefix, after, skip, odd)

    def delete(self, key: str) -> None:
        self._pass()
        self.store.delete(key)

    def sync(self) -> None:
        self._pass()
        self.store.sync()

    def _pass(self, *, reading: bool = False) -> None:
        if reading and not self._reads:
            return
        with self._lock:
            self._operations += 1
            stops = self._operations == self._at
        if stops:
            self.reached.set()
            assert self._open.wait(PATIENCE)


class Run:
    """Work in a thread of its own, at the gate or done."""

    def __init__(self, gate: Gate, work: Callable[[Store], object]) -> None:
        self._gate, self._work = gate, work
        self._result: object = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert gate.reached.wait(PATIENCE), "it hangs"

    def _run(self) -> None:
        try:
            self._result = self._work(self._gate)
        except BaseException as error:
            self._result = error
        finally:
            self._done.set()
            self._gate.reached.set()

    def waits(self) -> bool:
        """Whether it stopped at the gate."""
        return not self._done.is_set()

    def finish(self) -> object:
        """Let it go; what it returned or raised."""
        self._gate.go()
        self._thread.join(PATIENCE)
        assert self._done.is_set(), "it hangs"
        return self._result
