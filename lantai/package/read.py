"""A package read back from its own documents, as the catalogue is told of it: after a commit, after a crash, and when
the catalogue is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedReader, RawIOBase
from itertools import chain
from typing import TypeVar, cast

from ..digest import ALGORITHMS, Algorithm
from ..errors import Damaged
from ..messages import _
from ..metadata import bag, ead3, mets, premis
from ..model import Agent, Decision, Event, Package, PackageId, PayloadFile, Version
from ..storage.ocfl import Reader
from . import anatomy

Read = Callable[[str], Iterable[bytes]]
"""The bytes of a logical path of one version."""

T = TypeVar("T")


def read_package(
    package: PackageId, versions: Sequence[Version], read: Read, original: Iterable[premis.Statement] | None = None
) -> Package:
    """What a version's documents say of its package. original: what read_original gives, if that was read already.

    Raises Damaged for a document that is not lantai's.
    """
    place = anatomy.base(package)
    events: list[Event] = []
    agents: dict[str, Agent] = {}
    access: Decision | None = None
    submission = ""
    if original is None:
        original = statements(read, place + anatomy.ORIGINAL + anatomy.PREMIS, objects=False)
    for statement in chain(statements(read, place + anatomy.PREMIS), original):
        match statement:
            case Event():
                events.append(statement)
            case Agent():
                agents.setdefault(statement.id, statement)
            case Decision():
                access = statement
            case premis.Entity():
                submission = statement.submission
    with _reading(read, place + anatomy.EAD) as source:
        records, places = _parsed(lambda: ead3.read(source, package), place + anatomy.EAD)
    if access is None:
        raise _damaged(place + anatomy.PREMIS, "rights")
    tags = bag_info(read)
    return Package(
        package, tuple(versions), records, places, tuple(agents.values()), tuple(events), access, submission,
        tags.get(anatomy.CONTENT_TAG, ""),
    )  # fmt: skip


def read_original(package: PackageId, read: Read) -> Iterator[premis.Statement]:
    """Every statement of the original representation's PREMIS: its files in path order, then events and agents."""
    return statements(read, anatomy.base(package) + anatomy.ORIGINAL + anatomy.PREMIS)


def read_files(package: PackageId, read: Read) -> Iterator[PayloadFile]:
    """The payload files of a version in path order."""
    return (one for one in read_original(package, read) if isinstance(one, PayloadFile))


def statements(read: Read, path: str, *, objects: bool = True) -> Iterator[premis.Statement]:
    with _reading(read, path) as source:
        try:
            yield from premis.read(source, objects=objects)
        except ValueError as error:
            raise _damaged(path, error) from error


def _parsed(parse: Callable[[], T], path: str) -> T:
    try:
        return parse()
    except ValueError as error:
        raise _damaged(path, error) from error


def _damaged(path: str, reason: object) -> Damaged:
    return Damaged(
        _("the document is not as lantai wrote it ({reason})").format(reason=reason),
        subject=path,
        remedy=_("Run lantai validate on the package."),
    )


def _reading(read: Read, path: str) -> BufferedReader:
    return BufferedReader(cast(RawIOBase, _Chunks(read(path))), 64 * 1024)


class _Chunks(RawIOBase):
    """Chunks of bytes as a file that parsers can read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def parts(read: Read, path: str) -> Iterator[mets.Part]:
    """Every file that a METS document names, in its order."""
    with _reading(read, path) as source:
        try:
            yield from mets.read(source)
        except ValueError as error:
            raise _damaged(path, error) from error


def bag_info(read: Read) -> dict[str, str]:
    """The tags of a version's bag. Damaged."""
    return dict(_parsed(lambda: bag.read_info(b"".join(read("bag-info.txt"))), "bag-info.txt"))


def bag_manifest(read: Read, name: str) -> Iterator[tuple[str, str]]:
    """Path and digest of each line of a version's manifest. Damaged."""
    with _reading(read, name) as source:
        try:
            yield from bag.read_manifest(source)
        except ValueError as error:
            raise _damaged(name, error) from error


def bag_algorithms(version: Reader) -> tuple[Algorithm, ...]:
    """Those of a version's payload manifests, the object's own first."""
    return (
        version.algorithm,
        *(one for one in ALGORITHMS if one != version.algorithm
          and version.table.digest_of(version.number, bag.manifest_name(one))),
    )  # fmt: skip
