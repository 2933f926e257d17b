"""A package put together from several stores, each thing from one that has it whole: where no store has all of it."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import BinaryIO, TypeAlias

from ..digest import Algorithm
from ..errors import NotFound
from ..messages import _
from ..model import PackageId
from ..storage import Odd, Skip, Stat, absent, beyond
from ..storage.ocfl import DECLARATION, DECLARED, Root, digest_of_chunks
from ..storage.ocfl.copy import Diverged
from ..storage.ocfl.inventory import sidecar
from ..storage.views import ReadOnly

_Whole: TypeAlias = tuple[Root, str, str, Algorithm]
"""An inventory: where it lies, under which key; its digest, as a sidecar in any of the stores states it."""


class Pieced(ReadOnly):
    """A Store with one package. head: the highest version up to which every inventory is whole somewhere.

    An inventory is whole that any store's sidecar agrees with; content, that the head's inventory names by its digest.
    Raises Diverged (two are whole, and differ).
    """

    def __init__(self, roots: Sequence[Root], package: PackageId) -> None:
        super().__init__(roots[0].store)
        self._roots, self._place = roots, roots[0].object_key(package)
        self._small: dict[str, bytes] = {f"{self._place}/{DECLARATION}": DECLARED}
        self._inventories: dict[str, tuple[Root, str]] = {}
        self._content: dict[str, str] = {}
        self._algorithm: Algorithm = "sha256"
        self.head = 0
        for number in count(1):
            whole = self._whole(roots[0].inventory_key(package, number), package, number)
            if whole is None:
                break
            self.head = number
            root, own, digest, self._algorithm = whole
            for key in (own, f"{self._place}/inventory.json"):
                self._inventories[key] = root, own
                self._small[f"{key}.{self._algorithm}"] = sidecar(digest)
        if self.head:
            with closing(root.loaded(package, self.head)) as table:
                self._content = {f"{self._place}/{path}": digest for path, digest in table.contents()}
        self._root_of = lru_cache(None)(self._first_whole)

    def _whole(self, key: str, package: PackageId, number: int) -> _Whole | None:
        found: dict[str, _Whole] = {}
        algorithms: tuple[Algorithm, ...] = ("sha256", "sha512")
        for algorithm in algorithms:
            stated = {text for root in self._roots if (text := root.small(f"{key}.{algorithm}")) is not None}
            for root in self._roots if stated else ():
                if root.exists(key) and sidecar(digest := digest_of_chunks(root.chunks(key), algorithm)) in stated:
                    found.setdefault(digest, (root, key, digest, algorithm))
        if len(found) > 1:
            raise Diverged(
                _("version {number} is another one in each of the two stores").format(number=number), subject=package,
                remedy=_("Nothing was changed. Export it from both, and decide which is right."),
            )  # fmt: skip
        return next(iter(found.values()), None)

    def _first_whole(self, key: str) -> Root:
        """The first that has content as it should be. NotFound."""
        digest = self._content.get(key)
        for root in self._roots if digest else ():
            if root.exists(key) and digest_of_chunks(root.chunks(key), self._algorithm) == digest:
                return root
        raise absent(key)

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        if key in self._small:
            return io.BytesIO(self._small[key][start:stop])
        if key in self._inventories:
            root, own = self._inventories[key]
            return root.store.open(own, start, stop)
        return self._root_of(key).store.open(key, start, stop)

    def stat(self, key: str) -> Stat:
        if key in self._inventories:
            root, own = self._inventories[key]
            return replace(root.store.stat(own), key=key)
        if key in self._small:
            return Stat(key, len(self._small[key]), datetime.now(UTC), None)
        return self._root_of(key).store.stat(key)

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        past = after.encode()
        for key in heapq.merge(sorted((*self._small, *self._inventories)), sorted(self._content)):
            if key.startswith(prefix) and key.encode() > past:
                try:
                    yield self.stat(key)
                except NotFound:
                    continue  # whole in none of them
                if skip is not None and (folder := skip(key)):
                    past = beyond(folder)

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))
