"""Chains of sealed files in a store: <room>/<chain>/<number>.ndjson, in one order, each created once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources

from ..model import Finding
from . import Store, still_odd, whole

SCHEMAS = "schemas/"
"""Where the schemas of all that a store holds lie in it."""


class Chains:
    """The keys of a room's chains. prefix: of all of them, as "journal/"; name: what a chain may be called, a regular
    expression without groups.
    """

    def __init__(self, prefix: str, name: str) -> None:
        self.prefix = prefix
        self._key = re.compile(rf"{re.escape(prefix)}({name})/([0-9]{{10}})\.ndjson")

    def key_of(self, chain: str, number: int) -> str:
        return f"{self.prefix}{chain}/{number:010}.ndjson"

    def number_of(self, key: str) -> int | None:
        """None: it is no key of a chain."""
        match = self._key.fullmatch(key)
        return int(match[2]) if match else None

    def names(self, store: Store) -> Iterator[str]:
        """Of every chain of which the store holds anything, in order. One key of each is listed."""
        for key in store.keys(self.prefix, skip=self._folder_of):
            if folder := self._folder_of(key):
                yield folder.split("/")[-2]

    def _folder_of(self, key: str) -> str:
        """The folder of the chain of which key is; "": of none."""
        match = self._key.fullmatch(key)
        return f"{self.prefix}{match[1]}/" if match else ""

    def numbers(self, store: Store, chain: str, after: int = 0) -> Iterator[int]:
        """Of what the store holds of a chain, beyond after, in order."""
        for key in store.keys(f"{self.prefix}{chain}/", self.key_of(chain, after)):
            if (number := self.number_of(key)) is not None:
                yield number

    def strays(self, store: Store) -> Iterator[Finding]:
        """What lies below the prefix and is no part of a chain."""
        odd: list[str] = []
        for key in store.keys(self.prefix, odd=odd.append):
            if not self._key.fullmatch(key):
                yield Finding.of("store-stray", key)
        yield from (Finding.of("store-odd", name) for name in still_odd(store, odd))


def publish(store: Store, room: str, edition: int) -> None:
    """Lay the schemas of the format that is written now, in a store that was made before there was such a format.

    room: the package that has them; edition: of the format.
    """
    for schema in resources.files(room).joinpath("schemas").iterdir():
        key = SCHEMAS + schema.name
        if schema.name.endswith(f"-{edition}.json") and next(store.keys(key), None) is None:
            store.put(key, whole(schema.read_bytes()), algorithms=())
            store.sync()
