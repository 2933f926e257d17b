"""What actors share, and how they ask for it: every operation on the store, or on a home's locks, is one step.

World:  the store, the locks of the homes, and what is still under way of those who no longer wait for it
Port:   the store as one actor sees it: real code on this side, steps on the other
Drafts: the folder of draft locks of one home, likewise (in the place of lantai.storage.ocfl.lock)
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO, Literal, TypeAlias

from lantai.digest import Algorithm, Digests, digest_of
from lantai.errors import Damaged, Exists, StoreUnavailable
from lantai.storage import Body, Odd, Properties, Skip, Stat, Store, absent, read_digests

NOW = datetime(2026, 3, 1, tzinfo=UTC)
"""Time stands still: who is taken for dead is decided by what a clean is told, not by a clock."""

_PROPERTIES = Properties(
    create_only=True, verifies_uploads=False, vouches=False, connections=1, durable=True, resumes=None
)

Kind: TypeAlias = Literal[
    "put", "create", "delete", "open", "stat", "next", "sync",
    "lock", "note", "log", "logged", "end", "locks", "take", "staging", "release", "forget", "pulse", "quiet",
]  # fmt: skip
CHANGES = frozenset({"put", "create", "delete"})
READS = frozenset({"open", "stat", "next"})
AT_HOME = frozenset({"lock", "note", "log", "logged", "end", "locks", "take", "staging", "release", "forget"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One step. next: the first key that begins with key and comes after data. who: the actor, where it matters."""

    kind: Kind
    key: str
    data: bytes = b""
    who: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.data[:32]!r}" if self.data else f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class Answer:
    """lost: no answer came, StoreUnavailable; again: none came, and the store repeats what it was asked for."""

    kind: Literal["done", "found", "absent", "taken", "lost", "again"]
    data: bytes | str | tuple[str, ...] = b""
    size: int = 0

    def __str__(self) -> str:
        shown = repr(self.data[:32]) if isinstance(self.data, (bytes, str)) and self.data else ""
        return f"{self.kind} {shown}".rstrip()


DONE, ABSENT, TAKEN, LOST, AGAIN = (
    Answer("done"), Answer("absent"), Answer("taken"), Answer("lost"), Answer("again")
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Immutable. locks: by home/draft, its note with its log, a line each, and the actor that holds it; pulses: by
    actor, what its sign of life would put; late: changes asked for by somebody who was told nothing, and which may yet
    take effect.
    """

    things: Mapping[str, bytes]
    locks: Mapping[str, tuple[str, str]]
    pulses: Mapping[str, Operation]
    late: tuple[Operation, ...] = ()

    def identity(self) -> tuple[object, ...]:
        return (
            frozenset(self.things.items()), frozenset(self.locks.items()), frozenset(self.pulses.items()), self.late
        )  # fmt: skip

    def after(self, step: Operation) -> tuple[World, Answer]:
        """This world after a step, and the answer to who took it."""
        kind, key, things = step.kind, step.key, self.things
        if kind in AT_HOME:
            return self._at_home(step)
        if kind == "put" or (kind == "create" and key not in things):
            return (self if things.get(key) == step.data else replace(self, things={**things, key: step.data})), DONE
        if kind == "create":
            return self, TAKEN
        if kind == "delete" and key in things:
            return replace(self, things={name: data for name, data in things.items() if name != key}), DONE
        if kind == "open":
            return self, Answer("found", things[key]) if key in things else ABSENT
        if kind == "stat":
            return self, Answer("found", size=len(things[key])) if key in things else ABSENT
        if kind == "next":
            found = min((name for name in things if name.startswith(key) and name > step.data.decode()), default=None)
            return self, ABSENT if found is None else Answer("found", found, len(things[found]))
        if kind == "pulse":
            return replace(self, pulses={**self.pulses, step.who: Operation("put", key, step.data)}), DONE
        if kind == "quiet":
            return replace(self, pulses={who: put for who, put in self.pulses.items() if who != step.who}), DONE
        return self, DONE

    def _at_home(self, step: Operation) -> tuple[World, Answer]:
        kind, key, locks = step.kind, step.key, self.locks
        if kind == "locks":
            return self, Answer("found", tuple(sorted(name for name in locks if name.startswith(key))))
        note, holder = locks.get(key, ("", ""))
        if kind == "staging":
            return self, Answer("found", note.partition("\n")[0])
        if kind == "logged":
            return self, Answer("found", note.partition("\n")[2])
        if kind == "take" and (key not in locks or holder):
            return self, ABSENT
        if kind == "lock" and key in locks:
            return self, TAKEN
        if kind == "forget":
            return replace(self, locks={name: lock for name, lock in locks.items() if name != key}), DONE
        if kind == "log":
            note = f"{note}\n{step.data.decode()}"
        elif kind == "end":
            note = note.partition("\n")[0]
        lock = (step.data.decode() if kind == "note" else note, "" if kind == "release" else step.who)
        return replace(self, locks={**locks, key: lock}), DONE

    def without(self, who: str, *, still: Sequence[Operation] = ()) -> World:
        """This world after who died; still: what it had asked for, and which may yet take effect."""
        return replace(
            self,
            locks={key: (note, "" if holder == who else holder) for key, (note, holder) in self.locks.items()},
            pulses={name: put for name, put in self.pulses.items() if name != who},
            late=tuple(sorted({*self.late, *still}, key=str)),
        )

    def landed(self, late: Operation) -> World:
        """This world once something late took effect."""
        return replace(self.after(late)[0], late=tuple(one for one in self.late if one != late))


EMPTY = World({}, {}, {})


class Port:
    """The store as actor who sees it. What it asks is answered by script first, then by world, in which it is alone.

    A listing is asked for key by key, so that others may come in between any two; of one that is read at once it is
    the same as of several pages.
    """

    def __init__(self, who: str, script: Sequence[Answer] = (), world: World = EMPTY) -> None:
        self.who, self.world = who, world
        self.asked: list[tuple[Operation, Answer]] = []
        self._script = script

    def ask(self, kind: Kind, key: str, data: bytes = b"", who: str = "") -> Answer:
        step = Operation(kind, key, data, who)
        if len(self.asked) < len(self._script):
            answer = self._script[len(self.asked)]
        else:
            self.world, answer = self.world.after(step)
        self.asked.append((step, answer))
        if answer == LOST:
            raise StoreUnavailable("no answer", subject=key, remedy="Try again.")
        return answer

    @property
    def properties(self) -> Properties:
        return _PROPERTIES

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        while True:
            data = b"".join(body())
            found = digest_of(data, dict.fromkeys((*algorithms, *(expect.values if expect else ()))))
            if expect is not None and expect.conflicts(found):
                raise Damaged("other bytes than expected", subject=key, remedy="Send it again.")
            if self.ask("put", key, data) != AGAIN:
                return Digests(found.size, {name: found.values[name] for name in algorithms})

    def create(self, key: str, body: Body) -> None:
        while True:
            data = b"".join(body())
            answer = self.ask("create", key, data)
            if answer == DONE:
                return
            if answer == TAKEN:  # read back, as the contract says; if it is gone since, begin again
                there = self.ask("open", key)
                if there == Answer("found", data):
                    return
                if there != ABSENT:
                    raise Exists("other bytes are here", subject=key, remedy="Read them.")

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        answer = self.ask("open", key)
        if not isinstance(answer.data, bytes) or answer == ABSENT:
            raise absent(key)
        return io.BytesIO(answer.data[start:stop])

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(self, keys, algorithm)

    def stat(self, key: str) -> Stat:
        answer = self.ask("stat", key)
        if answer == ABSENT:
            raise absent(key)
        return Stat(key, answer.size, NOW, None)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        past = after.encode()
        while (answer := self.ask("next", prefix, past)) != ABSENT:
            key = str(answer.data)
            yield Stat(key, answer.size, NOW, None)
            folder = skip(key) if skip is not None else ""
            past = f"{folder}\U0010ffff".encode() if folder else key.encode()

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))

    def delete(self, key: str) -> None:
        while self.ask("delete", key) == AGAIN:
            pass

    def sync(self) -> None:
        self.ask("sync", "")


@dataclass(frozen=True, slots=True)
class Drafts:
    """What HOME/drafts is, with lock.py's functions on it: stands in for DraftLock and for a Path."""

    port: Port
    home: str


class Lock:
    """As DraftLock. The kernel lets go of it when its actor dies: World.without."""

    def __init__(self, drafts: Drafts, draft: str) -> None:
        self._port, self.draft, self._key = drafts.port, draft, f"{drafts.home}/{draft}"

    @classmethod
    def begin(cls, drafts: Drafts, draft: str) -> Lock | None:
        lock = cls(drafts, draft)
        return lock if lock._ask("lock") == DONE else None

    def note(self, staging: str) -> None:
        self._ask("note", staging.encode())

    def staging(self) -> str | None:
        return str(self._ask("staging").data) or None

    def log(self, facts: Iterable[Mapping[str, object]]) -> None:
        if lines := "\n".join(json.dumps(one) for one in facts):
            self._ask("log", lines.encode())

    def logged(self) -> Iterator[dict[str, object]]:
        lines = self._ask("logged").data
        assert isinstance(lines, str)
        yield from (json.loads(line) for line in lines.splitlines())

    def end(self) -> None:
        self._ask("end")

    def release(self, *, settled: bool) -> None:
        self._ask("forget" if settled else "release")

    def take(self) -> bool:
        return self._ask("take") == DONE

    def _ask(self, kind: Kind, data: bytes = b"") -> Answer:
        return self._port.ask(kind, self._key, data, self._port.who)


def dead_drafts(drafts: Drafts) -> Iterator[Lock]:
    """As lock.dead_drafts."""
    names = drafts.port.ask("locks", f"{drafts.home}/").data
    assert isinstance(names, tuple)
    for name in names:
        lock = Lock(drafts, name.rpartition("/")[2])
        if lock.take():
            yield lock


class Pulse:
    """As the thread that gives signs of life: it is the explorer that says when there is one, between pulse and quiet.

    target: Draft._live, bound.
    """

    def __init__(self, target: Callable[[], None], daemon: bool) -> None:
        draft = target.__self__  # type: ignore[attr-defined]
        self._port: Port = draft.root.store
        self._key, self._sign = draft.staging + "draft.json", draft._sign()
        self._alive = False

    def start(self) -> None:
        self._alive = True
        self._port.ask("pulse", self._key, self._sign, self._port.who)

    def is_alive(self) -> bool:
        return self._alive

    def join(self) -> None:
        self._alive = False
        self._port.ask("quiet", self._key, b"", self._port.who)


def _conforms(port: Port) -> Store:
    return port
