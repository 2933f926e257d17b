"""Digests: many algorithms over one read. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from lxml import etree

if TYPE_CHECKING:
    from hashlib import _Hash

Algorithm: TypeAlias = Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sm3", "blake2b-512"]

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

_HASHLIB: Mapping[str, str] = {"blake2b-512": "blake2b"}


def hashing(algorithm: Algorithm) -> Callable[[bytes], _Hash]:
    """What begins a digest with its first bytes. sm3 needs a hashlib on OpenSSL 1.1.1 or newer."""
    name = _HASHLIB.get(algorithm, algorithm)
    return partial(getattr(hashlib, name, partial(hashlib.new, name)), usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Mismatch:
    of: Algorithm | Literal["size"]
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Digests:
    """Lower-case hex by algorithm, and the number of bytes they were taken over.

    size None: not stated, as in a bag manifest.
    """

    size: int | None
    values: Mapping[Algorithm, str]

    def conflicts(self, other: Digests) -> tuple[Mismatch, ...]:
        """Every algorithm (and the size) that both know and disagree on; empty means nothing contradicts."""
        found: list[Mismatch] = []
        if self.size is not None and other.size is not None and self.size != other.size:
            found.append(Mismatch("size", str(self.size), str(other.size)))
        for algorithm, value in self.values.items():
            theirs = other.values.get(algorithm)
            if theirs is not None and theirs.lower() != value.lower():
                found.append(Mismatch(algorithm, value, theirs))
        return tuple(found)


def of_element(element: Any) -> str:
    """SHA-256, in hexadecimal, by exclusive XML canonicalisation 1.0 without comments, so that it does not matter in
    what document the element stands.
    """
    canonical: bytes = etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    return hashlib.sha256(canonical).hexdigest()


class Hasher:
    """Digests what passes through it, by every algorithm at once."""

    def __init__(self, algorithms: Iterable[Algorithm]) -> None:
        self.algorithms = tuple(algorithms)
        self._sums = [hashing(name)(b"") for name in self.algorithms]
        self._size = 0

    def update(self, chunk: bytes | memoryview) -> None:
        for one in self._sums:
            one.update(chunk)
        self._size += len(chunk)

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield chunks unchanged, digesting them on the way."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk

    def result(self) -> Digests:
        return Digests(
            self._size, {name: one.hexdigest() for name, one in zip(self.algorithms, self._sums, strict=True)}
        )


def digests_of(chunks: Iterable[bytes], algorithms: Iterable[Algorithm]) -> Digests:
    """The digests of what comes in chunks and is not kept."""
    hasher = Hasher(algorithms)
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.result()


def digest_of(data: bytes, algorithms: Iterable[Algorithm]) -> Digests:
    """The digests of a small thing that is in memory anyway."""
    return digests_of((data,), algorithms)
