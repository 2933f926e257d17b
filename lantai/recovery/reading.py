"""Packages read from a store, by processes beside this one where they are many: parsing holds the interpreter's lock.

The two speak pickles over the child's standard input and output: packages, then what was read of them. A child ends
with its input, however the parent ends.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from ..errors import Damaged, LantaiError
from ..messages import language, use
from ..model import PackageId
from ..package.index import Told, read
from ..storage import Bucket, open_store
from ..storage.ocfl import Root

_ALONE = 2
"""Batches that are read here: for so few no process is worth its start."""

Asked: TypeAlias = tuple[PackageId, int | None]
"""A package, and the version of it that is known already."""


@dataclass(frozen=True, slots=True)
class Seen:
    """head: 0 where there is no version. told None: nothing that is not known. damage: why it cannot be read."""

    package: PackageId
    head: int
    told: Told | None = None
    damage: str = ""


def look(root: Root, asked: Asked) -> Seen:
    """StoreUnavailable."""
    package, known = asked
    try:
        head = root.head(package)
        return Seen(package, head, read(root, package, head) if head and head != known else None)
    except Damaged as error:
        return Seen(package, 0, damage=f"{error.subject}: {error.what}")


def look_at(place: Path | Bucket, batches: Iterable[Sequence[Asked]]) -> Iterator[Sequence[Seen]]:
    """What the store at place has of the packages of each batch, batch by batch in their order. StoreUnavailable."""
    children: list[_Child] = []
    waiting: deque[tuple[_Child, Sequence[Asked]]] = deque()
    with _Reader(place) as here, ExitStack() as until:
        for number, batch in enumerate(batches):
            if number < _ALONE:
                yield here.look_at(batch)
                continue
            if not children:
                children += [until.enter_context(_Child(place)) for _core in range(os.cpu_count() or 1)]
            child = children[number % len(children)]
            child.ask(batch)
            waiting.append((child, batch))
            if len(waiting) > 2 * len(children):
                yield _answer(waiting, here)
        while waiting:
            yield _answer(waiting, here)


def _answer(waiting: deque[tuple[_Child, Sequence[Asked]]], here: _Reader) -> Sequence[Seen]:
    """The first that is waited for; read here if its child came to an end."""
    child, batch = waiting.popleft()
    return child.answer() or here.look_at(batch)


class _Reader:
    """Reads in this process. Over a network it waits for several packages at once."""

    def __init__(self, place: Path | Bucket) -> None:
        self._root = Root(open_store(place))
        self._pool = ThreadPoolExecutor(place.connections) if isinstance(place, Bucket) else None

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def look_at(self, batch: Sequence[Asked]) -> Sequence[Seen]:
        each = map if self._pool is None else self._pool.map
        return list(each(partial(look, self._root), batch))


class _Child:
    """Reads in another process."""

    def __init__(self, place: Path | Bucket) -> None:
        # A module of its own rather than multiprocessing, whose children would outlive a parent that is killed.
        # In a group of its own, so that Ctrl-C is the parent's to handle.
        path = os.pathsep.join(one or str(Path.cwd()) for one in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        self._send((place, language()))

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        with suppress(BrokenPipeError), self._process:  # closes the pipes and waits
            pass

    def ask(self, batch: Sequence[Asked]) -> None:
        self._send(batch)

    def _send(self, said: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # who asks for the answer sees the end
            pickle.dump(said, self._process.stdin)
            self._process.stdin.flush()

    def answer(self) -> Sequence[Seen] | None:
        """None: the process came to an end. StoreUnavailable."""
        assert self._process.stdout is not None
        try:
            said: Sequence[Seen] | LantaiError = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            return None
        if isinstance(said, LantaiError):
            raise said
        return said


def serve() -> None:
    """The child: answers until its input ends."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library might print must not get between the answers
    with suppress(EOFError, BrokenPipeError):
        place, spoken = pickle.load(questions)
        use(spoken)
        with _Reader(place) as reader:
            while True:
                batch = pickle.load(questions)
                said: Sequence[Seen] | LantaiError
                try:
                    said = reader.look_at(batch)
                except LantaiError as error:
                    said = error
                pickle.dump(said, answers)
                answers.flush()
