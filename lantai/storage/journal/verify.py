"""The journal held against itself: every seal, every link, every store against the others; and stores brought together.

A source is a store, or this home, which keeps its own chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ...errors import Exists, NotFound
from ...messages import _
from ...model import Finding
from .. import Store, load, whole
from ..sealed import Newer
from . import Link, key_of, numbers, writers
from .segment import Segment, decode

Keep: TypeAlias = Callable[[str, Iterable[bytes]], None]
"""Told of a key and of the bytes that lie there, before they are replaced; on stable storage on return."""

HOME = "the home"
"""How this home is called among the sources: no store can have a name with a space in it."""


def called(source: str) -> str:
    """The name of a source as people are told it."""
    return _("the home") if source == HOME else source


@dataclass(slots=True)
class Count:
    """What was found in a source. ends: the number of the last segment of each chain, by its writer."""

    chains: int = 0
    segments: int = 0
    entries: int = 0
    ends: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """A segment that a store was given. lost: what was wrong with what it had of it; None: it had not come so far."""

    store: str
    key: str
    writer: str
    number: int
    lost: Finding | None


@dataclass(slots=True)
class _Chain:
    """What was seen of one chain in one source, so far. seal None: not known, since the segment before is damaged."""

    left: Iterator[int]
    next: int | None = None
    seal: str | None = ""
    last: int = 0
    ended: bool = False

    def advance(self) -> None:
        self.next = next(self.left, None)


def verify(
    sources: Mapping[str, Store], archive: str, *, heads: Mapping[str, Link], counts: dict[str, Count],
    held: Mapping[str, Mapping[str, int]],
) -> Iterator[tuple[str, Finding]]:  # fmt: skip
    """What is wrong, and in which source. heads: how far the catalogue took each chain in; counts: filled; held: of a
    source, how far it was ever seen to hold each chain, by which one that was away is told from one that has lost
    something. Of a source that is not in it nothing is known, and it is taken for the worse.

    Memory does not grow with the journal; each segment is read once.
    """
    counts.update({name: Count() for name in sources})
    noted: dict[str, dict[int, tuple[str, str]]] = {}
    for writer, link in heads.items():
        noted.setdefault(writer, {})[link.number] = (link.seal, _("the catalogue"))
    for writer in sorted({writer for store in sources.values() for writer in writers(store)}):
        chains = {name: _Chain(numbers(store, writer)) for name, store in sources.items()}
        yield from _walk(sources, archive, writer, chains, noted, counts, held)
    for writer, links in sorted(noted.items()):
        for number, (seal, by) in sorted(links.items()):
            yield from _held_against(sources, archive, writer, Link(number, seal), by)


def _walk(
    sources: Mapping[str, Store], archive: str, writer: str, chains: Mapping[str, _Chain],
    noted: dict[str, dict[int, tuple[str, str]]], counts: Mapping[str, Count],
    held: Mapping[str, Mapping[str, int]],
) -> Iterator[tuple[str, Finding]]:  # fmt: skip
    """One chain in all sources at once, segment by segment."""
    for name, chain in chains.items():
        chain.advance()
        counts[name].chains += chain.next is not None
    number = 0
    while any(chain.next is not None for chain in chains.values()):
        number += 1
        key, seals = key_of(writer, number), dict[str, str]()
        for name, chain in chains.items():
            if chain.next != number:
                chain.seal = None
                if chain.next is not None:
                    yield name, Finding.of("journal-missing", key)
                # This home holds nothing of others' chains, and may have been put back from a backup.
                elif not chain.ended and name != HOME:
                    others = (other for other, one in chains.items() if one.next == number or one.last == number)
                    by = ", ".join(map(called, others))
                    never_had = name in held and held[name].get(writer, 0) < number
                    yield name, Finding.of("journal-behind" if never_had else "journal-cut", key, by=by)
                    chain.ended = True
                continue
            chain.advance()
            chain.last = counts[name].ends[writer] = number
            counts[name].segments += 1
            segment, seal, finding = _judged(sources[name], archive, writer, number)
            if finding is not None:
                chain.seal = None
                yield name, finding
                continue
            assert segment is not None
            if chain.seal is not None and segment.previous != chain.seal:
                yield name, Finding.of("journal-link", key)
            chain.seal = seals[name] = seal
            counts[name].entries += len(segment.entries)
            for other, link in segment.heads.items():
                links = noted.setdefault(other, {})
                if link.number >= max(links, default=0):
                    # The highest note of each chain is enough: its seal vouches for all that came before.
                    noted[other] = {link.number: (link.seal, key)}
        if len(set(seals.values())) > 1:
            for name in seals:
                yield name, Finding.of("journal-differs", key, stores=", ".join(map(called, seals)))


def _judged(store: Store, archive: str, writer: str, number: int) -> tuple[Segment | None, str, Finding | None]:
    key = key_of(writer, number)
    try:
        segment, seal = decode(load(store, key))
    except Newer as error:
        return None, "", Finding.of("journal-newer", key, format=str(error))
    except (ValueError, NotFound) as error:
        return None, "", Finding.of("journal-damaged", key, reason=str(error))
    if (segment.archive, segment.writer, segment.number) != (archive, writer, number):
        return None, "", Finding.of("journal-foreign", key)
    return segment, seal, None


def _held_against(
    sources: Mapping[str, Store], archive: str, writer: str, link: Link, by: str
) -> Iterator[tuple[str, Finding]]:
    """Whether each source that holds the chain holds it as far as somebody saw it, and so."""
    key = key_of(writer, link.number)
    there = {name: store for name, store in sources.items() if next(store.keys(key), None) is not None}
    if not there:  # else it was missed already, where it is missing
        for name in sources:
            if name != HOME:
                yield name, Finding.of("journal-cut", key, by=by)
    for name, store in there.items():
        _segment, seal, finding = _judged(store, archive, writer, link.number)
        if finding is None and seal != link.seal:
            yield name, Finding.of("journal-otherwise", key, by=by)


def merge(
    sources: Mapping[str, Store], targets: Mapping[str, Store], archive: str, *, keep: Callable[[str], Keep],
    lacks: Callable[[str, str], bool],
) -> Iterator[Given]:  # fmt: skip
    """Give each target what it lacks and any source holds whole, byte for byte, and put that in the place of what is
    not whole. What was written where. Where two whole ones differ nothing is done: verify tells.

    keep: of a target, told what lies there before it is replaced; lacks: whether a target should have a writer's chain
    to its end; as far as it has come there, each should have it whole.
    """
    for writer in sorted({writer for store in sources.values() for writer in writers(store)}):
        ends = {name: max(numbers(store, writer), default=0) for name, store in sources.items()}
        for number in range(1, max(ends.values()) + 1):
            key = key_of(writer, number)
            judged = {name: _judged(store, archive, writer, number) for name, store in sources.items()}
            whole = {name: seal for name, (segment, seal, _finding) in judged.items() if segment is not None}
            lacking = [one for one in targets if one not in whole and (number <= ends[one] or lacks(one, writer))]
            if len(set(whole.values())) == 1 and lacking:
                data = load(sources[next(iter(whole))], key)
                for name in lacking:
                    was_there = _give(targets[name], key, data, keep(name))
                    lost = judged[name][2] if was_there else Finding.of("journal-missing", key)
                    yield Given(name, key, writer, number, lost if number <= ends[name] else None)


def shares(store: Store, archive: str, others: Iterable[Store]) -> bool:
    """Whether a store holds a segment of the archive's journal that another source has too, byte for byte, and no chain
    of another archive.
    """
    others, found = tuple(others), False
    for writer in writers(store):
        for number in reversed(list(numbers(store, writer))):
            data = load(store, key_of(writer, number))
            try:
                segment, _seal = decode(data)
            except ValueError:  # a damaged one tells nothing
                continue
            if segment.archive != archive:
                return False
            if found := found or any(_holds(other, key_of(writer, number), data) for other in others):
                break
    return found


def _holds(store: Store, key: str, data: bytes) -> bool:
    try:
        return load(store, key) == data
    except NotFound:
        return False


def _give(store: Store, key: str, data: bytes, keep: Keep) -> bool:
    """Whether anything lay there."""
    body = whole(data)
    try:
        store.create(key, body)
    except Exists:
        keep(key, (load(store, key),))
        store.put(key, body, algorithms=())
        store.sync()
        return True
    return False
