"""The journal: what happened to packages without changing them, and what people entered, append-only in every store.

One chain a writer, which is a home on a machine: journal/<writer>/<number>.ndjson, each segment created once and sealed
(segment.py). Since each chain has one writer, stores are brought together by copying the segments that they lack.
docs/journal.md publishes the format.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...errors import Damaged, Exists, NotFound, UsageError
from ...messages import _
from ...model import Entry
from .. import Store, load, whole
from ..chains import Chains, publish
from ..linux import fsync, unavailable, write_whole
from ..sealed import Newer, moment
from .segment import FORMAT, Link, Segment, decode, encode

__all__ = [
    "FORMAT", "MOST", "PREFIX", "Ahead", "Chain", "Journal", "Link", "Segment", "key_of", "moment", "numbers", "read",
    "segments", "strays", "writers",
]  # fmt: skip

_CHAINS = Chains("journal/", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PREFIX, key_of, numbers, strays, writers = (
    _CHAINS.prefix, _CHAINS.key_of, _CHAINS.numbers, _CHAINS.strays, _CHAINS.names,
)  # fmt: skip
MOST = 1000
"""Entries of a segment, so that it can be held in memory."""


def read(store: Store, archive: str, writer: str, number: int) -> tuple[Segment, str]:
    """A segment and its seal. NotFound; Damaged: it is not what its name says; UsageError: of a newer lantai."""
    key = key_of(writer, number)
    try:
        segment, seal = decode(load(store, key))
    except Newer as error:
        raise UsageError(
            _("this part of the journal was written by a newer lantai ({format})").format(format=error),
            subject=key, remedy=_("Install a newer lantai."),
        ) from error  # fmt: skip
    except ValueError as error:
        raise _damaged(key, str(error)) from error
    if (segment.archive, segment.writer, segment.number) != (archive, writer, number):
        raise _damaged(key, _("it is a segment of another archive, chain or place"))
    return segment, seal


def segments(store: Store, archive: str, writer: str, known: Link | None = None) -> Iterator[tuple[Segment, str]]:
    """Those of a chain that come after known, each proven to follow the one before. Damaged, UsageError."""
    number, seal = (known.number, known.seal) if known else (0, "")
    for there in numbers(store, writer, number):
        if there != number + 1:
            raise _damaged(key_of(writer, number + 1), _("it is missing, though a later one is there"))
        segment, own = read(store, archive, writer, there)
        if segment.previous != seal:
            raise _damaged(key_of(writer, there), _("it does not follow the segment before it"))
        yield segment, own
        number, seal = there, own


def _damaged(key: str, what: str) -> Damaged:
    return Damaged(
        what, subject=key, remedy=_("lantai journal verify tells more; lantai replicate takes it from another store.")
    )


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of this home: its writer and how far it has come. head None: it has no segment yet."""

    writer: str
    head: Link | None


class Journal:
    """The chain that this home on this machine writes: HOME/journal/ holds all of it, and what was not sent yet too."""

    def __init__(self, folder: Path, *, archive: str, machine: str, new_writer: Callable[[], str]) -> None:
        self._folder, self._archive, self._machine, self._new_writer = folder, archive, machine, new_writer

    @contextmanager
    def writing(self) -> Iterator[Chain]:
        """One process of the home writes at a time. The chain as it stands, a new one where none is ours.

        Raises StoreUnavailable: the home's disk fails.
        """
        try:
            self._folder.mkdir(exist_ok=True)
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise unavailable(error, os.fsencode(self._folder)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.chain() or self.begin()
        finally:
            os.close(descriptor)

    def chain(self) -> Chain | None:
        """None: there is no writer, or the end of its chain cannot be read any more."""
        if (writer := self.writer()) is None:
            return None
        try:
            number = max(self._numbers(writer), default=0)
            return Chain(writer, Link(number, decode(self._load(writer, number))[1]) if number else None)
        except (OSError, ValueError):
            return None

    def writer(self) -> str | None:
        """Whose chain is ours. None: this home has written nothing on this machine, or what it wrote came here with a
        copy of the home.
        """
        try:
            values = json.loads((self._folder / "writer.json").read_text("utf-8"))
            return str(values["writer"]) if str(values["machine"]) == self._here() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _here(self) -> str:
        """This folder on this machine: a copy of the home must not go on with the chain of its original."""
        return f"{self._machine} {self._folder.stat().st_ino}"

    def begin(self) -> Chain:
        """A new chain: the first, or the next where the catalogue knows more of ours than the home."""
        return self._ours(Chain(self._new_writer(), None))

    def begin_again(self, old: Chain, store: Store, *, at: datetime) -> Chain:
        """A new chain, where store is Ahead of the old one. What the old one has no place for any more stands in it."""
        chain, files = Chain(self._new_writer(), None), []
        for number, entries in self._without_place(old, store):
            chain = self.append(chain, entries, heads={}, at=at)
            files.append(self._folder / old.writer / f"{number:010}.ndjson")
        self._ours(chain)
        for file in files:  # only now: nothing is forgotten before it stands elsewhere
            file.unlink()
        return chain

    def _without_place(self, chain: Chain, store: Store) -> Iterator[tuple[int, tuple[Entry, ...]]]:
        """The segments of the home of which store holds others, as whole as they."""
        for number in range(1, (chain.head.number if chain.head else 0) + 1):
            with suppress(OSError, ValueError, NotFound, Damaged):  # lost or damaged here or there says nothing
                data = self._load(chain.writer, number)
                if data != load(store, key_of(chain.writer, number)):
                    read(store, self._archive, chain.writer, number)
                    yield number, decode(data)[0].entries

    def _ours(self, chain: Chain) -> Chain:
        values = {"writer": chain.writer, "machine": self._here()}
        self._write(self._folder / "writer.json", json.dumps(values).encode())
        return chain

    def _numbers(self, writer: str) -> Iterator[int]:
        with suppress(FileNotFoundError):
            for file in (self._folder / writer).iterdir():
                if (number := _CHAINS.number_of(f"{PREFIX}{writer}/{file.name}")) is not None:
                    yield number

    def _load(self, writer: str, number: int) -> bytes:
        return (self._folder / writer / f"{number:010}.ndjson").read_bytes()

    def append(self, chain: Chain, entries: Sequence[Entry], *, heads: Mapping[str, Link], at: datetime) -> Chain:
        """Write the next segment, at most MOST entries, to the home's stable storage. It counts once it was sent."""
        assert 0 < len(entries) <= MOST
        number, previous = (chain.head.number + 1, chain.head.seal) if chain.head else (1, "")
        segment = Segment(self._archive, chain.writer, number, previous, heads, at, tuple(entries))
        data = encode(segment)
        folder = self._folder / chain.writer
        try:
            folder.mkdir(exist_ok=True)
            fsync(os.fsencode(self._folder))
        except OSError as error:
            raise unavailable(error, os.fsencode(folder)) from error
        self._write(folder / f"{number:010}.ndjson", data)
        return Chain(chain.writer, Link(number, decode(data)[1]))

    def segments(self, chain: Chain, known: Link | None = None) -> Iterator[tuple[Segment, str]]:
        """Those of the chain that come after known. ValueError, OSError: one cannot be read."""
        for number in range((known.number if known else 0) + 1, (chain.head.number if chain.head else 0) + 1):
            yield decode(self._load(chain.writer, number))

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_whole(path, (data,))
        except OSError as error:
            raise unavailable(error, os.fsencode(path)) from error

    def send(self, chain: Chain, store: Store) -> None:
        """Create in store what it lacks of the chain, in order. Raises Ahead (it holds more than the home, or other),
        Damaged.
        """
        last = max(numbers(store, chain.writer), default=0)
        head = chain.head.number if chain.head else 0
        if last > head:
            raise Ahead
        if head > last:
            publish(store, __package__, FORMAT)
        for number in range(last if last else 1, head + 1):
            key = key_of(chain.writer, number)
            try:
                data = self._load(chain.writer, number)
            except OSError as error:
                raise unavailable(error, os.fsencode(self._folder / chain.writer)) from error
            try:
                store.create(key, whole(data))
            except Exists:
                if load(store, key) != data:
                    read(store, self._archive, chain.writer, number)  # Damaged: it is not one at all
                    raise Ahead from None


class Ahead(Exception):
    """A store knows more of a chain than the home that writes it, which was put back from a backup; or other, since the
    whole machine was, or was cloned.
    """
