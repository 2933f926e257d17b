"""One package in one store, held against its own inventories; a store held against the catalogue, and against another.

Each direction finds what the others cannot. A level says what was looked at, and promises nothing of a higher one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from ..digest import Algorithm
from ..errors import Damaged, NotFound
from ..model import Finding, PackageId
from ..storage.ocfl import Reader, Root, digest_of_chunks
from ..storage.ocfl.inventory import sidecar
from ..storage.ocfl.layout import DRAFT_CONTENT
from ..storage.ocfl.validate import is_package, structure
from ..storage.workers import Progress
from . import sizes

if TYPE_CHECKING:
    from ..catalog import Catalog

Level: TypeAlias = Literal["listing", "server", "full"]
"""listing: everything is there, each file of the size that METS says, and nothing else; of content only METS and the
bags' own tag files are read and hashed: it does not see that two of one size were exchanged. server: the server vouches
for the SHA-256 of every content; where it does not, or for another, that is read. full: every byte of content is read
and hashed. Inventories always are.
"""

Thing = TypeVar("Thing")
Seen = TypeVar("Seen")

_WAITING = 64
"""Files of one package that are under way at once."""
_READ = 1000
"""Content paths that a store is asked for at once."""
_TOGETHER = 50
"""Packages that the catalogue is asked about at once. Until then nobody has anything to do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one package in one store. head: that was looked at; None: it could not be made out. files, bytes: of content,
    that were read and hashed.
    """

    package: PackageId
    level: Level
    head: int | None
    files: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        return not any(finding.fatal for finding in self.findings)


def audit(
    root: Root, package: PackageId, level: Level, *, threads: Executor | None, progress: Progress,
    only: Collection[str] | None = None,
) -> Verdict:  # fmt: skip
    """A package in a store, against its own inventories: what is missing, extra, damaged. StoreUnavailable.

    Content that is not what it should be is read once more before that is told: a bad cable is not bit rot.
    only: the content paths that are read, where it is not all of them.
    """
    files = octets = 0
    number: int | None = None

    def content(head: Reader) -> Iterator[Finding]:
        nonlocal files, octets, number
        files, octets, number = 0, 0, head.number
        # In the order of paths: so they lie on a disk, if they lie in any order.
        lines = head.table.contents() if level != "listing" else sizes.differing(head)
        if only is not None:
            lines = (line for line in lines if line[0] in only)
        if threads is None and level != "server":
            answers = _contents(head, lines)
        else:
            answers = _in_order(threads, partial(_vouched if level == "server" else _content, head), lines)
        for size, finding in answers if level != "listing" else chain(sizes.note(head), answers):
            if size is not None:
                files, octets = files + 1, octets + size
                progress(1, size)
            if finding:
                yield finding

    findings = list(structure(root, package, content))
    if number is None:
        with suppress(Damaged):  # what keeps it from being read was told
            try:
                with root.version(package) as head:
                    findings += content(head)
            except NotFound:
                number = 0
    return Verdict(package, level, number, files, octets, tuple(findings))


def _vouched(head: Reader, line: tuple[str, str]) -> tuple[int | None, Finding | None]:
    """As _content, of what the server says; what it does not say, or says otherwise, is read."""
    path, digest = line
    try:
        stated = head.root.store.stat(head.key(path, path)).digests
    except NotFound:
        return None, None
    if stated is not None and stated.values.get(head.algorithm) == digest:
        return 0, None
    return _content(head, line)


def _content(head: Reader, line: tuple[str, str]) -> tuple[int | None, Finding | None]:
    return next(_contents(head, (line,)))


def _contents(head: Reader, lines: Iterable[tuple[str, str]]) -> Iterator[tuple[int | None, Finding | None]]:
    """The size of each content path, and what is wrong. (None, None): it is not there, as structure told."""
    store, every = head.root.store, iter(lines)
    while some := list(islice(every, _READ)):
        keys = [head.key(path, path) for path, _digest in some]
        for key, (_path, digest), seen in zip(keys, some, store.digests(keys, head.algorithm), strict=True):
            size, found = seen or (None, digest)
            if found == digest:
                yield size, None
            else:
                yield _again(head, key, digest, found)


def _again(head: Reader, key: str, digest: str, first: str) -> tuple[int | None, Finding | None]:
    """The same, of what was not what it should be, read once more."""
    (seen,) = head.root.store.digests((key,), head.algorithm)
    if seen is None:
        return None, None
    size, found = seen
    if found == digest:
        return size, Finding.of("audit-read", key, found=first)
    return size, Finding.of("E092", key, expected=digest, found=found)


def _in_order(threads: Executor | None, work: Callable[[Thing], Seen], things: Iterable[Thing]) -> Iterator[Seen]:
    return map(work, things) if threads is None else _beside(threads, work, things)


def _beside(threads: Executor, work: Callable[[Thing], Seen], things: Iterable[Thing]) -> Iterator[Seen]:
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


def store_to_catalog(root: Root, catalog: Catalog, store: str) -> Iterator[PackageId]:
    """Every package of which the store of that name holds anything, whether the catalogue knows of it or not."""
    found = root.places()
    while some := list(islice(found, _TOGETHER)):
        known = catalog.held_in(store, some)
        yield from (package for package in some if package in known or is_package(root, package))


def catalog_to_store(
    catalog: Catalog, heads: Iterable[tuple[PackageId, int | None]], root: Root, store: str
) -> Iterator[tuple[PackageId, Finding]]:
    """Which of these packages the catalogue knows to lie in the store of that name, and the store has lost. heads: as
    they were seen there; None: not yet.
    """
    every = iter(heads)
    while some := dict(islice(every, _TOGETHER)):
        for package, known in catalog.held_in(store, some).items():
            has = some[package]
            with suppress(Damaged):  # an audit of the package tells
                # Seen before the catalogue was asked, it may have got a version since.
                if (has is None or has < known) and (has := root.head(package)) < known:
                    yield package, Finding.of("audit-lost", package, known=known, has=has)


def store_to_store(root: Root, other: Root, package: PackageId) -> Iterator[Finding]:
    """Versions of a package that are others in the other store: nobody settles that but a person."""
    with suppress(Damaged, NotFound):  # an audit of the package tells
        for number in range(1, min(root.head(package), other.head(package)) + 1):
            mine, theirs = (whole(one, one.inventory_key(package, number)) for one in (root, other))
            if None not in (mine, theirs) and mine != theirs:
                yield Finding.of("audit-diverged", root.inventory_key(package, number))


def is_being_copied(root: Root, primary: Root, package: PackageId, finding: Finding) -> bool:
    """Whether what is too much in a copy is content of a version that the primary has, and the copy not yet."""
    match = finding.code == "E023" and DRAFT_CONTENT.match(finding.subject.removeprefix(f"{root.object_key(package)}/"))
    if not match:
        return False
    with suppress(Damaged, NotFound):  # an audit of the package tells
        return root.head(package) < int(match[1]) <= primary.head(package) and primary.exists(finding.subject)
    return False


def whole(root: Root, key: str) -> str | None:
    """The digest of an inventory whose sidecar agrees with it. None: there is none, or one of the two is damaged."""
    algorithms: tuple[Algorithm, ...] = ("sha256", "sha512")
    for algorithm in algorithms:
        stated = root.small(f"{key}.{algorithm}")
        if stated is not None and root.exists(key):
            digest = digest_of_chunks(root.chunks(key), algorithm)
            return digest if stated == sidecar(digest) else None
    return None
