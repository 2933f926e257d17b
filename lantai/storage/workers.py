"""Work on what a store holds, by processes beside this one where it is much: Python lets one thread at a time compute.

Parent and child speak pickles over the child's standard input and output: a batch, then what came of it, and before
that how far it is. A child ends with its input, however the parent ends; what one that died had in hand is done here.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

from ..errors import LantaiError
from ..messages import language, use
from . import Bucket, open_store
from .ocfl import Root

Progress: TypeAlias = Callable[[int, int], None]
"""So many files, so many bytes more."""

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")

Work: TypeAlias = Callable[[Root, Executor | None, Batch, Progress], Answer]
"""A function of a module. The threads are for what waits for a network; None: there is none to wait for."""

_TELL_EVERY = 0.25
"""Seconds between two words of how far a child is: they must fit into its pipe while the parent listens to another."""


class Workers(Generic[Batch, Answer]):
    """alone: so many batches are done here, before processes are worth their start; threads: for work done here, even
    where there is no network.
    """

    def __init__(
        self, root: Root, place: Path | Bucket, work: Work[Batch, Answer], *, alone: int, threads: int | None = None
    ) -> None:
        self._root, self._place, self._work, self._alone, self._most = root, place, work, alone, threads
        self._children: list[_Child[Batch, Answer]] = []
        self._begun = 0
        self._until = ExitStack()

    def __enter__(self) -> Workers[Batch, Answer]:
        self._threads = self._until.enter_context(_threads(self._place, self._most))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._until.close()

    def answers(self, batches: Iterable[Batch], progress: Progress) -> Iterator[Answer]:
        """What comes of each batch, in their order. StoreUnavailable, and what else work raises of LantaiError."""
        waiting: deque[tuple[_Child[Batch, Answer], Batch]] = deque()
        for batch in batches:
            self._begun += 1
            if self._begun <= self._alone:
                yield self._work(self._root, self._threads, batch, progress)
                continue
            if not self._children:
                self._children += [
                    self._until.enter_context(_Child(self._place, self._work)) for _core in range(os.cpu_count() or 1)
                ]
            child = self._children[self._begun % len(self._children)]
            child.send(batch)
            waiting.append((child, batch))
            if len(waiting) > 2 * len(self._children):
                yield self._answer(waiting, progress)
        while waiting:
            yield self._answer(waiting, progress)

    def _answer(self, waiting: deque[tuple[_Child[Batch, Answer], Batch]], progress: Progress) -> Answer:
        child, batch = waiting.popleft()
        try:
            return child.answer(progress)
        except (EOFError, pickle.UnpicklingError):
            return self._work(self._root, self._threads, batch, progress)


@dataclass(frozen=True, slots=True)
class _Far:
    files: int
    octets: int


class _Child(Generic[Batch, Answer]):
    def __init__(self, place: Path | Bucket, work: Work[Batch, Answer]) -> None:
        # A module of its own rather than multiprocessing, whose children would outlive a parent that is killed.
        # In a group of its own, so that Ctrl-C is the parent's to handle.
        path = os.pathsep.join(one or str(Path.cwd()) for one in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        self.send((place, language(), work))

    def __enter__(self) -> _Child[Batch, Answer]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        with suppress(BrokenPipeError), self._process:  # closes the pipes and waits
            pass

    def send(self, said: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # who asks for the answer sees the end
            pickle.dump(said, self._process.stdin)
            self._process.stdin.flush()

    def answer(self, progress: Progress) -> Answer:
        """EOFError, pickle.UnpicklingError: the process came to an end. What work raised."""
        assert self._process.stdout is not None
        while isinstance(said := pickle.load(self._process.stdout), _Far):
            progress(said.files, said.octets)
        if isinstance(said, LantaiError):
            raise said
        answer: Answer = said
        return answer


@dataclass(slots=True)
class _Teller:
    """Tells the parent how far it is, from time to time."""

    answers: Any
    files: int = 0
    octets: int = 0
    told: float = 0.0

    def __call__(self, files: int, octets: int) -> None:
        self.files, self.octets = self.files + files, self.octets + octets
        if time.monotonic() - self.told > _TELL_EVERY:
            self.tell()

    def tell(self) -> None:
        if self.files or self.octets:
            pickle.dump(_Far(self.files, self.octets), self.answers)
            self.answers.flush()
        self.files, self.octets, self.told = 0, 0, time.monotonic()


def serve() -> None:
    """The child: answers until its input ends."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library might print must not get between the answers
    with suppress(EOFError, BrokenPipeError):
        place, spoken, work = pickle.load(questions)
        use(spoken)
        root = Root(open_store(place))
        with _threads(place) as threads:
            while True:
                batch = pickle.load(questions)
                teller = _Teller(answers)
                try:
                    said = work(root, threads, batch, teller)
                except LantaiError as error:
                    said = error
                teller.tell()
                pickle.dump(said, answers)
                answers.flush()


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
