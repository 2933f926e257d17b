"""Work on what a store holds, by processes beside this one where it is much: Python lets one thread at a time compute.

A child is told batches; it tells how far it is, and what came of each. It ends with its input, however the parent ends;
what one that died had in hand is done here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from pickle import UnpicklingError
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from ..errors import LantaiError
from ..messages import language, use
from . import Bucket, open_store
from .ocfl import Root

Progress: TypeAlias = Callable[[int, int], None]
"""So many files, so many bytes more."""

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")

Work: TypeAlias = Callable[[Root, Executor | None, Batch, Progress], Answer]
"""A function of a module, or a partial of one. The threads are for what waits, for a network or for large files; None:
there is nothing to wait for.
"""

ALONE = 0.2
"""Seconds of work that are done here, before processes are worth their start. 0: they do all, if they are several."""
_OF_A_BUCKET = 15
"""Times as long of a bucket: a process must first load what speaks to the server, and threads do much of the work."""
_IN_HAND = 2
"""Batches that a child has at once, so that it need not wait for the next."""
_TELL_EVERY = 0.25
"""Seconds between two words of how far a child is."""


def unheard(_files: int, _octets: int) -> None:
    """Progress that nobody asks for."""


class Workers:
    """ahead: so many batches are given at most, counted from the first whose answer was not told: what comes after one
    that takes long is held in memory. processes: so many beside this one; 0: all is done here.
    """

    def __init__(self, root: Root, place: Path | Bucket, *, ahead: int, processes: int | None = None) -> None:
        self._root, self._place, self._ahead = root, place, ahead
        self._processes = (os.cpu_count() or 1) if processes is None else processes
        self._is_near = not isinstance(place, Bucket)
        self._children: list[_Child] = []
        self._alone = 0.0
        self._until = ExitStack()
        self.here = 0
        """Batches that were done in this process."""

    def __enter__(self) -> Workers:
        self._threads = self._until.enter_context(_threads(self._place))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._until.close()

    def answers(
        self, work: Work[Batch, Answer], batches: Iterable[Batch], progress: Progress,
        *, heavy: Callable[[Batch], bool] = lambda _batch: False,
    ) -> Iterator[Answer]:  # fmt: skip
        """What comes of each batch, in their order. StoreUnavailable, and what else work raises of LantaiError.

        heavy: whether a batch is worth processes by itself, if it is not the only one.
        """
        coming = iter(batches)
        first = list(islice(coming, 2))
        if len(first) == 1 and not self._children:
            with _threads(self._place, os.cpu_count()) as threads:  # large files are hashed beside each other
                yield self._do(work, first[0], progress, threads)
            return
        coming = chain(first, coming)
        for batch in coming:
            begun = any(child.has_begun for child in self._children)
            large = self._is_near and not begun and heavy(batch)
            patience = ALONE if self._is_near else ALONE * _OF_A_BUCKET
            if not self._children and (self._alone >= patience or large):
                for _core in range(self._processes):
                    self._children.append(self._until.enter_context(_Child(self._place, work)))
            # While they start this process goes on, but not with what might take it long.
            if begun or (self._alive and (large or ALONE == 0)):
                yield from self._spread(work, chain((batch,), coming), progress)
                continue  # with what is left, where all children have come to an end
            began = time.monotonic()
            answer = self._do(work, batch, progress, self._threads)
            self._alone += time.monotonic() - began
            yield answer

    def _do(self, work: Work[Batch, Answer], batch: Batch, progress: Progress, threads: Executor | None) -> Answer:
        self.here += 1
        return work(self._root, threads, batch, progress)

    @property
    def _alive(self) -> list[_Child]:
        return [child for child in self._children if not child.ended]

    def _spread(self, work: Work[Batch, Answer], batches: Iterator[Batch], progress: Progress) -> Iterator[Answer]:
        """By the children, each next by the one that has the least in hand."""
        answers: dict[int, Answer | LantaiError] = {}
        given = told = 0
        while True:
            while given - told < self._ahead and (child := self._free()) and (some := list(islice(batches, 1))):
                child.give(given, work, some[0])
                given += 1
            if told == given:
                return
            if told not in answers:
                answers.update(self._heard(work, progress))
                continue
            if isinstance(answer := answers.pop(told), LantaiError):
                raise answer
            told += 1
            yield answer

    def _free(self) -> _Child | None:
        idlest = min(self._alive, key=lambda child: len(child.in_hand), default=None)
        return idlest if idlest and len(idlest.in_hand) < _IN_HAND else None

    def _heard(self, work: Work[Any, Answer], progress: Progress) -> Iterator[tuple[int, Answer | LantaiError]]:
        """What the children have to say, as soon as one has: the answers among it, by the numbers of their batches."""
        lines = {child.line: child for child in self._alive}
        for line in wait(list(lines)):
            child = lines[line]  # type: ignore[index]
            try:
                said = child.line.recv()
            except (EOFError, OSError, UnpicklingError):
                child.ended = True
                for number, batch in child.in_hand:
                    yield number, self._do(work, batch, progress, self._threads)
                child.in_hand.clear()
                continue
            child.begun = True
            if isinstance(said, _Far):
                progress(said.files, said.octets)
            else:
                yield child.in_hand.popleft()[0], said


@dataclass(frozen=True, slots=True)
class _Far:
    files: int = 0
    octets: int = 0


class _Child:
    """in_hand: the batches that it was given and has not answered, with their numbers."""

    def __init__(self, place: Path | Bucket, work: Work[Any, Any]) -> None:
        self.in_hand: deque[tuple[int, Any]] = deque()
        self.begun = self.ended = False
        # A program of its own rather than multiprocessing's, whose children would outlive a parent that is killed.
        # In a group of its own, so that Ctrl-C is the parent's to handle. What a library might print goes to 2.
        path = os.pathsep.join(one or str(Path.cwd()) for one in sys.path)
        self.line, other = Pipe()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"],
                stdin=other.fileno(), stdout=2, process_group=0, env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip
        self._send((place, language(), work))

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self.line.close()
        self._process.wait()

    @property
    def has_begun(self) -> bool:
        """Its first word is that it is ready, or that it has come to its end."""
        return not self.ended and (self.begun or self.line.poll())

    def give(self, number: int, work: Work[Batch, Any], batch: Batch) -> None:
        self.in_hand.append((number, batch))
        self._send((work, batch))

    def _send(self, said: object) -> None:
        with suppress(OSError):  # who listens sees the end
            self.line.send(said)


@dataclass(slots=True)
class _Teller:
    """Tells the parent how far it is, from time to time."""

    line: Connection
    files: int = 0
    octets: int = 0
    told: float = 0.0

    def __call__(self, files: int, octets: int) -> None:
        self.files, self.octets = self.files + files, self.octets + octets
        if time.monotonic() - self.told > _TELL_EVERY:
            self.tell()

    def tell(self) -> None:
        if self.files or self.octets:
            self.line.send(_Far(self.files, self.octets))
        self.files, self.octets, self.told = 0, 0, time.monotonic()


def serve() -> None:
    """The child: answers until its input ends."""
    line = Connection(0)
    with suppress(EOFError, OSError):
        place, spoken, _first = line.recv()  # what it will do is loaded now, while nobody waits for it
        use(spoken)
        root = Root(open_store(place))
        teller = _Teller(line)
        with _threads(place) as threads:
            line.send(_Far())
            while True:
                work, batch = line.recv()
                try:
                    said = work(root, threads, batch, teller)
                except LantaiError as error:
                    said = error
                teller.tell()
                line.send(said)


@contextmanager
def _threads(place: Path | Bucket, most: int | None = None) -> Iterator[Executor | None]:
    """Over a network as many as there are connections; what waits in them is given up at the end."""
    number = place.connections if isinstance(place, Bucket) else most
    pool = ThreadPoolExecutor(number) if number else None
    try:
        yield pool
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
