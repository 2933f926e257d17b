"""The catalogue told of a package from its own documents alone: after a crash, and when it is made anew."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ..model import Package, PackageId, PayloadFile
from ..storage.ocfl import Reader, Root
from ..storage.ocfl.inventory import to_version
from . import anatomy
from .read import bag_info, read_files, read_original, read_package

if TYPE_CHECKING:  # a process that only reads packages needs no database
    from ..catalog import Catalog

_HELD = 100
"""Files that are held in memory."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the catalogue is told of a package. files None: they are too many to be held, and must be read as a stream.

    earlier: Package.content of the versions before.
    """

    package: Package
    files: tuple[PayloadFile, ...] | None
    earlier: tuple[str, ...]


def read(root: Root, package: PackageId, number: int) -> Told:
    """The head of package, which is version number; each document is read once. NotFound, Damaged."""
    with root.known(package, number) as head:
        return _read(root, head)


def index(catalog: Catalog, root: Root, package: PackageId) -> None:
    """Tell the catalogue of the head of package, however many files it has. NotFound, Damaged."""
    with root.version(package) as head:
        told = _read(root, head)
        files = read_files(package, head) if told.files is None else told.files
        catalog.index(told.package, files, earlier=told.earlier)


def _read(root: Root, head: Reader) -> Told:
    before = (Reader(root, head.package, number, head.table) for number in range(1, head.number))
    earlier = tuple(bag_info(one).get(anatomy.CONTENT_TAG, "") for one in before)
    statements = tuple(islice(read_original(head.package, head), _HELD + 1))
    original = statements if len(statements) <= _HELD else None
    package = read_package(head.package, tuple(map(to_version, head.table.versions())), head, original)
    files = None if original is None else tuple(one for one in original if isinstance(one, PayloadFile))
    return Told(package, files, earlier)
