"""One package in one store, held against its own inventories; a store held against the catalogue, and against another.

Each direction finds what the others cannot. A level says what was looked at, and promises nothing of a higher one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from ..catalog import Catalog
from ..errors import Damaged, NotFound
from ..model import Finding, PackageId
from ..storage.ocfl import Reader, Root, digest_of_chunks
from ..storage.ocfl.validate import packages as packages_in
from ..storage.ocfl.validate import structure

Level: TypeAlias = Literal["listing", "full"]
"""listing: everything is there and nothing else; inventories are read and hashed, content is not. full: every byte of
content is read and hashed as well.
"""

Progress: TypeAlias = Callable[[int, int], None]
"""So many files, so many bytes more."""

Thing = TypeVar("Thing")
Seen = TypeVar("Seen")

_WAITING = 64
"""Files of one package that are under way at once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one package in one store. files, bytes: of content, that were read and hashed."""

    package: PackageId
    level: Level
    files: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        return not any(finding.fatal for finding in self.findings)


def audit(root: Root, package: PackageId, level: Level, *, threads: Executor, progress: Progress) -> Verdict:
    """A package in a store, against its own inventories: what is missing, extra, damaged. StoreUnavailable.

    Content that is not what it should be is read once more before that is told: a bad cable is not bit rot.
    """
    findings = list(structure(root, package))
    files = octets = 0
    if level == "full":
        with suppress(Damaged, NotFound), root.version(package) as head:  # what keeps it from being read was told
            for size, finding in _in_order(threads, partial(_content, head), head.table.manifest()):
                if size is not None:
                    files, octets = files + 1, octets + size
                    progress(1, size)
                findings += [finding] if finding else []
    return Verdict(package, level, files, octets, tuple(findings))


def _content(head: Reader, line: tuple[str, str]) -> tuple[int | None, Finding | None]:
    """The size of one line of the manifest, and what is wrong. (None, None): it is not there, as structure told."""
    digest, path = line
    key = head.key(path, path)
    try:
        size, found = _digest(head, key)
        if found == digest:
            return size, None
        size, again = _digest(head, key)
    except NotFound:
        return None, None
    if again == digest:
        return size, Finding.of("audit-read", key, found=found)
    return size, Finding.of("E092", key, expected=digest, found=again)


def _digest(head: Reader, key: str) -> tuple[int, str]:
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in head.root.chunks(key):
            size += len(chunk)
            yield chunk

    digest = digest_of_chunks(counted(), head.algorithm)
    return size, digest


def _in_order(threads: Executor, work: Callable[[Thing], Seen], things: Iterable[Thing]) -> Iterator[Seen]:
    waiting: deque[Future[Seen]] = deque()
    try:
        for thing in things:
            waiting.append(threads.submit(work, thing))
            if len(waiting) >= _WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def store_to_catalog(root: Root, catalog: Catalog) -> Iterator[tuple[PackageId, bool]]:
    """Every package of which the store holds anything; whether the catalogue knows its head."""
    for package in packages_in(root):
        with suppress(Damaged):
            yield package, catalog.version_of(package) == root.head(package)
            continue
        yield package, True  # what is wrong, an audit of the package tells


def catalog_to_store(
    catalog: Catalog, packages: Iterable[PackageId], root: Root, store: str
) -> Iterator[tuple[PackageId, Finding]]:
    """Which of these packages the catalogue knows to lie in the store of that name, and the store has lost."""
    for package in packages:
        known = max((one.number for one in catalog.copies(package) if one.store == store), default=0)
        with suppress(Damaged):  # an audit of the package tells
            if (has := root.head(package)) < known:
                yield package, Finding.of("audit-lost", package, known=known, has=has)


def store_to_store(root: Root, other: Root, package: PackageId) -> Iterator[Finding]:
    """Versions of a package that are others in the other store: nobody settles that but a person."""
    with suppress(Damaged, NotFound):  # an audit of the package tells
        for number in range(1, min(root.head(package), other.head(package)) + 1):
            mine, theirs = (
                digest_of_chunks(one.chunks(one.inventory_key(package, number)), "sha256") for one in (root, other)
            )
            if mine != theirs:
                yield Finding.of("audit-diverged", root.inventory_key(package, number))
