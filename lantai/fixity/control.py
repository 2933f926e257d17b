"""An audit that audits itself: packages read through a store that damages what it gives, by the same code.

A run that does not find what its level promises to find has proven nothing, whatever it says of the packages.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import nsmallest
from random import Random
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeAlias, cast

from ..digest import digest_of
from ..messages import N_
from ..model import PackageId
from ..package import anatomy
from ..storage import Odd, Skip, Stat, Store, absent
from ..storage.ocfl import Root
from ..storage.views import ReadOnly
from ..storage.workers import unheard
from .audit import Level, audit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Damage: TypeAlias = Literal["flipped bit", "missing", "extra", "truncated", "swapped", "stale inventory"]

PROMISED: dict[Level, tuple[Damage, ...]] = {
    "listing": ("missing", "extra", "truncated", "swapped", "stale inventory"),
    "server": ("flipped bit", "missing", "extra", "truncated", "swapped", "stale inventory"),
    "full": ("flipped bit", "missing", "extra", "truncated", "swapped", "stale inventory"),
}
"""What an audit of each level promises to find; a listing that something was swapped for what is of another size."""
NAMES: dict[Damage, str] = {
    "flipped bit": N_("flipped bit"), "missing": N_("missing"), "extra": N_("extra"), "truncated": N_("truncated"),
    "swapped": N_("swapped"), "stale inventory": N_("stale inventory"),
}  # fmt: skip
"""As people are told them, to be translated."""

_SMALL, _SOME = 1024 * 1024, 4
"""Bytes of what is damaged, at most: it is held in memory; and of how many files one is chosen."""
_ALWAYS = ("bagit.txt", "bag-info.txt")
"""Small, of two sizes, and in every package."""
_SIZED = re.compile(r"/content/[^/]+/data/(?!.*METS\.xml$)")
"""Of what a listing reads nothing, and sees the size alone."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A damage that an audit did not find in a package."""

    damage: Damage
    package: PackageId
    key: str


def control(
    root: Root, package: PackageId, level: Level, damage: Damage, *, threads: Executor | None, chance: Random
) -> Missed | None:
    """Audit a package, which is whole, through a store that damages it; of its content only what is damaged and some
    beside it. What was missed, if it was.
    """
    store, only = _damaging(root, package, level, damage, chance)
    found = audit(
        Root(store, prefix=root.prefix), package, level, threads=threads, progress=unheard, only=only
    )  # fmt: skip
    is_found = any(one.fatal and one.subject.startswith(store.key) for one in found.findings)
    return None if is_found else Missed(damage, package, store.key)


def _damaging(
    root: Root, package: PackageId, level: Level, damage: Damage, chance: Random
) -> tuple[Damaging, Collection[str]]:
    """The store, and the content paths that are to be read."""
    with root.version(package) as head:
        place = root.object_key(package)
        if damage == "extra":
            return Damaging(root.store, damage, f"{place}/control-{chance.getrandbits(32):08x}", b""), ()
        if damage == "stale inventory":
            key = root.inventory_key(package, head.number)
            # Yesterday's: of the version before, or, where there is none, of an earlier second. It may be large.
            if head.number > 1:
                return Damaging(root.store, damage, key, instead=root.inventory_key(package, head.number - 1)), ()
            return Damaging(root.store, damage, key, patch=_place_of_century(root, key)), ()
        chosen = nsmallest(_SOME, head.table.contents(), key=lambda _line: chance.random())
        always = (*_ALWAYS, anatomy.base(package) + anatomy.DC)
        named = (head.table.content_of(head.table.digest_of(head.number, path) or "") for path in always)
        some = {*(path for path, _digest in chosen), *(path for path in named if path)}
        sizes = {f"{place}/{path}": root.store.stat(f"{place}/{path}").size for path in sorted(some)}
        small = [key for key, size in sizes.items() if 0 < size <= _SMALL]
        sized = [key for key in small if level == "listing" and _SIZED.search(key)]
        key = chance.choice(sized or small)
        data = bytearray(b"".join(root.chunks(key)))
        if damage == "flipped bit":
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif damage == "truncated":
            del data[chance.randrange(len(data)) :]
        elif damage == "swapped":
            others = (b"".join(root.chunks(other)) for other in small if other != key)
            looked_at = len if level == "listing" else bytes
            data = bytearray(next(one for one in others if looked_at(one) != looked_at(data)))
        only = {one.removeprefix(f"{place}/") for one in small}
        return Damaging(root.store, damage, key, bytes(data)), only


_CENTURY = b'"created": "2'


def _place_of_century(root: Root, key: str) -> int:
    """Where the first digit of a time stands in an inventory of ours."""
    before, end = 0, b""
    for chunk in root.chunks(key):
        if (at := (end + chunk).find(_CENTURY)) >= 0:
            return before - len(end) + at + len(_CENTURY) - 1
        before, end = before + len(chunk), (end + chunk)[1 - len(_CENTURY) :]
    return 0


class Damaging(ReadOnly):
    """Gives other bytes for one key, or does not have it, or has one more. instead: the key whose bytes it gives;
    patch: where it gives one wrong byte.
    """

    def __init__(
        self, store: Store, damage: Damage, key: str, data: bytes = b"", *, instead: str = "", patch: int | None = None
    ) -> None:
        super().__init__(store)
        self.damage, self.key, self._data, self._instead, self._patch = damage, key, data, instead, patch
        self._extra = Stat(key, len(data), datetime.now(UTC), None)

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        if key != self.key:
            return self.store.open(key, start, stop)
        if self.damage == "missing":
            raise absent(key)
        if self._instead:
            return self.store.open(self._instead, start, stop)
        if self._patch is not None:
            return self._patched(start, stop, self._patch)
        return io.BytesIO(self._data[start:stop])

    @contextmanager
    def _patched(self, start: int, stop: int | None, at: int) -> Iterator[BinaryIO]:
        with self.store.open(self.key, start, stop) as source:
            yield cast(BinaryIO, _Patched(source, at - start))

    def stat(self, key: str) -> Stat:
        if key != self.key:
            return self.store.stat(key)
        if self.damage == "missing":
            raise absent(key)
        if self.damage == "extra":
            return self._extra
        found = self.store.stat(self._instead or key)  # a server that vouches does so for what it holds
        if self._instead or self._patch is not None:
            return replace(found, key=key)
        return replace(
            found, size=len(self._data), digests=found.digests and digest_of(self._data, found.digests.values)
        )

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        for found in self.store.list(prefix, after, skip):
            if self.damage == "extra" and found.key > self.key > after and self.key.startswith(prefix):
                yield self._extra
                after = self.key
            if found.key != self.key:
                yield found
            elif self.damage != "missing":
                yield self.stat(found.key)

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))


class _Patched(io.RawIOBase):
    """With another byte in one place."""

    def __init__(self, source: BinaryIO, at: int) -> None:
        self._source, self._at, self._position = source, at, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        data = bytearray(self._source.read(len(memoryview(buffer))))
        if 0 <= (place := self._at - self._position) < len(data):
            data[place] ^= 3  # "2" becomes "1"
        self._position += len(data)
        memoryview(buffer)[: len(data)] = data
        return len(data)
