"""Work on what a store holds, by processes beside this one where it is much: Python lets one thread at a time compute.

A child is told batches; it tells how far it is, and what came of each. It ends with its parent, however that ends; what
one that died had in hand is done here.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
import warnings
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
from . import Bucket
from .linux import end_with_parent
from .ocfl import Root
from .stop import Stop, Stopped
from .views import Heeding

Progress: TypeAlias = Callable[[int, int], None]
"""So many files, so many bytes more."""

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")

Work: TypeAlias = Callable[[Root, Executor | None, Batch, Progress], Answer]
"""The threads are for what waits, for a network or for large files; None: there is nothing to wait for."""

PROCESSES = len(os.sched_getaffinity(0))
"""Beside this one, at most. 0: all is done here."""
_IN_HAND = 2
"""Batches that a child has at once, so that it need not wait for the next."""
_BESIDE = 4
"""Batches that a child works on at once where it waits for a network."""
_TELL_EVERY = 0.25
"""Seconds between two words of how far a child is, and after which a wish to stop is heard at the latest."""


def unheard(_files: int, _octets: int) -> None:
    """Progress that nobody asks for."""


class Workers:
    """ahead: so many batches are given at most, counted from the first whose answer was not told: what comes after one
    that takes long is held in memory. processes: so many beside this one; 0: all is done here.
    """

    def __init__(self, root: Root, place: Path | Bucket, *, ahead: int, processes: int | None = None) -> None:
        self._root, self._ahead = root, ahead
        self._connections = place.connections if isinstance(place, Bucket) else 0
        self._processes = PROCESSES if processes is None else processes
        self._children: list[_Child] = []
        self._until = ExitStack()

    def __enter__(self) -> Workers:
        self._threads = self._until.enter_context(_threads(self._connections))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._until.close()

    def answers(
        self, work: Work[Batch, Answer], batches: Iterable[Batch], progress: Progress, stop: Stop | None = None
    ) -> Iterator[Answer]:  # fmt: skip
        """What comes of each batch, in their order. StoreUnavailable, and what else work raises of LantaiError.

        Once stop is asked for, what came of those that were wholly done, and nothing of those under way.
        """
        # Children can be ended from without; this process reads so that it can be.
        here = Root(Heeding(self._root.store, stop), prefix=self._root.prefix) if stop else self._root
        with suppress(Stopped):
            yield from self._answers(work, here, iter(batches), progress, stop or Stop())

    def _answers(
        self, work: Work[Batch, Answer], here: Root, coming: Iterator[Batch], progress: Progress, stop: Stop
    ) -> Iterator[Answer]:  # fmt: skip
        first = list(islice(coming, 2))
        if len(first) == 1 and not self._children:
            with _threads(self._connections or PROCESSES) as threads:  # large files are hashed beside each other
                yield work(here, threads, first[0], progress)
            return
        coming = chain(first, coming)
        if not self._children:
            for _process in range(self._processes):
                share = -(-self._connections // self._processes)
                self._children.append(self._until.enter_context(_Child(self._root, share)))
        yield from self._spread(work, here, coming, progress, stop)
        for batch in coming:  # where there are no children, or all have come to an end
            yield work(here, self._threads, batch, progress)

    @property
    def _alive(self) -> list[_Child]:
        return [child for child in self._children if not child.ended]

    def _spread(
        self, work: Work[Batch, Answer], here: Root, batches: Iterator[Batch], progress: Progress, stop: Stop
    ) -> Iterator[Answer]:  # fmt: skip
        """By the children, each next by the one that has the least in hand."""
        answers: dict[int, Answer | LantaiError] = {}
        given = told = 0
        while not stop.asked:
            while given - told < self._ahead and (child := self._free()) and (some := list(islice(batches, 1))):
                child.give(given, work, some[0])
                given += 1
            if told == given:
                return
            if told not in answers:
                with suppress(Stopped):
                    answers.update(self._heard(work, here, progress))
                continue
            if isinstance(answer := answers.pop(told), LantaiError):
                raise answer
            told += 1
            yield answer
        answers.update(self._given_up())
        yield from (one for _number, one in sorted(answers.items()) if not isinstance(one, LantaiError))

    def _free(self) -> _Child | None:
        idlest = min(self._alive, key=lambda child: len(child.in_hand), default=None)
        return idlest if idlest and len(idlest.in_hand) < idlest.most else None

    def _heard(
        self, work: Work[Any, Answer], here: Root, progress: Progress
    ) -> Iterator[tuple[int, Answer | LantaiError]]:  # fmt: skip
        """What the children have to say, as soon as one has, or after a while: the answers among it, by the numbers of
        their batches.
        """
        lines = {child.line: child for child in self._alive}
        for line in wait(list(lines), _TELL_EVERY):
            child = lines[line]  # type: ignore[index]
            try:
                said = child.line.recv()
            except (EOFError, OSError, UnpicklingError):
                child.ended = True
                for number, batch in child.in_hand.items():
                    yield number, work(here, self._threads, batch, progress)
                child.in_hand.clear()
                continue
            if isinstance(said, _Far):
                progress(said.files, said.octets)
            else:
                number, answer = said
                del child.in_hand[number]
                yield number, answer

    def _given_up(self) -> Iterator[tuple[int, Any]]:
        """The answers that children had given until now; those that have more in hand are ended with it."""
        for child in self._alive:
            with suppress(EOFError, OSError, UnpicklingError):
                while child.in_hand and child.line.poll():
                    if not isinstance(said := child.line.recv(), _Far):
                        number, answer = said
                        del child.in_hand[number]
                        yield number, answer
            if child.in_hand:
                child.end()


@dataclass(frozen=True, slots=True)
class _Far:
    files: int
    octets: int


class _Child:
    """in_hand: the batches that it was given and has not answered, by their numbers; most: of them."""

    def __init__(self, root: Root, threads: int) -> None:
        self.in_hand: dict[int, Any] = {}
        self.ended = False
        self.most = 2 * _BESIDE if threads else _IN_HAND
        self.line, other = Pipe()
        with other, warnings.catch_warnings():
            # From Python 3.12 on it warns of other threads: what they may hold, a child does not ask for. It reads from
            # the store, over connections of its own, and writes to its line.
            warnings.simplefilter("ignore", DeprecationWarning)
            context = multiprocessing.get_context("fork")
            self._process = context.Process(target=_serve, args=(other, root, threads, os.getpid()), daemon=True)
            self._process.start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
        self.line.close()
        self._process.join()

    def end(self) -> None:
        self.ended = True
        self.in_hand.clear()
        self._process.kill()

    def give(self, number: int, work: Work[Batch, Any], batch: Batch) -> None:
        self.in_hand[number] = batch
        with suppress(OSError):  # who listens sees the end
            self.line.send((number, work, batch))


class _Teller:
    """Tells the parent how far the child is, from time to time, and what came of each batch."""

    def __init__(self, line: Connection) -> None:
        self._line, self._lock = line, threading.Lock()
        self._files = self._octets = 0
        self._told = 0.0

    def progress(self, files: int, octets: int) -> None:
        with self._lock:
            self._files, self._octets = self._files + files, self._octets + octets
            if time.monotonic() - self._told > _TELL_EVERY:
                self._tell()

    def answer(self, number: int, answer: object) -> None:
        with self._lock:
            self._tell()
            self._line.send((number, answer))

    def _tell(self) -> None:
        if self._files or self._octets:
            self._line.send(_Far(self._files, self._octets))
        self._files, self._octets, self._told = 0, 0, time.monotonic()


def _serve(line: Connection, root: Root, threads: int, parent: int) -> None:
    """The child: answers until it is ended. What it does not expect ends it."""
    os.setpgid(0, 0)  # Ctrl-C is the parent's to handle
    end_with_parent(parent)
    gc.freeze()  # what the parent made is not looked at again and again
    teller = _Teller(line)

    def answer(number: int, work: Work[Any, Any], batch: object) -> None:
        try:
            said = work(root, pool, batch, teller.progress)
        except LantaiError as error:
            said = error
        except BaseException:
            os._exit(1)  # the parent does it once more, and tells what is wrong
        teller.answer(number, said)

    with suppress(EOFError, OSError), _threads(threads) as pool:
        if pool is None:
            while True:
                answer(*line.recv())
        with ThreadPoolExecutor(_BESIDE) as several:
            while True:
                several.submit(answer, *line.recv())


@contextmanager
def _threads(number: int) -> Iterator[Executor | None]:
    """What waits in them is given up at the end."""
    pool = ThreadPoolExecutor(number) if number else None
    try:
        yield pool
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
