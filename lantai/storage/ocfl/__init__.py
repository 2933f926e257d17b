"""OCFL 1.1 on any store: written once, for all of them.

Root:       a storage root; reads objects, finishes and settles versions
draft:      a version being written; resume: what an earlier attempt at it has stored
inventory:  the inventory as a stream; table: as questions asked of it
layout:     where an object lies
clean:      what dead writers left
validate:   every digest, inventory against content
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote

from ...digest import Algorithm, Digests, Hasher, digests_of
from ...errors import Damaged, Exists, NotFound
from ...messages import _
from ...model import PackageId, Version
from .. import Body, Store
from . import inventory, layout, resume
from .draft import Draft
from .incoming import Incoming
from .inventory import Content, Field, Row, State, VersionInfo
from .lock import DraftLock
from .table import Inventory

__all__ = ["PREFIX", "Draft", "Incoming", "Inventory", "Reader", "Root"]

PREFIX = "ocfl/"
"""Where the storage root lies in a store of ours."""
DECLARATION, DECLARED = "0=ocfl_object_1.1", b"ocfl_object_1.1\n"
CHUNK = 1024 * 1024
_BEGINNING = 512
"""Bytes of an inventory that are parsed at once where its head is looked for, which stands before all that is long."""


class Root:
    """An OCFL storage root below prefix, and the staging area beside it.

    home: the id of the home that writes; drafts: its folder of locks; new_draft: eight hex digits, never the same.
    A root without these is for reading.
    """

    def __init__(
        self,
        store: Store,
        *,
        prefix: str = PREFIX,
        home: str = "",
        drafts: Path | None = None,
        new_draft: Callable[[], str] | None = None,
    ) -> None:
        self.store, self.prefix, self.home, self.drafts, self._new_draft = store, prefix, home, drafts, new_draft

    # -- keys

    def object_key(self, package: PackageId) -> str:
        return self.prefix + layout.object_path(package)

    def staging_key(self, package: PackageId, number: int, draft: str) -> str:
        return f"staging/{layout.encoded(package)}/v{number}-{draft}/"

    def inventory_key(self, package: PackageId, number: int) -> str:
        return f"{self.object_key(package)}/v{number}/inventory.json"

    # -- reading

    def chunks(self, key: str) -> Iterator[bytes]:
        with self.store.open(key) as source:
            while chunk := source.read(CHUNK):
                yield chunk

    def small(self, key: str) -> bytes | None:
        """The whole of a small thing; None if there is none."""
        try:
            return b"".join(self.chunks(key))
        except NotFound:
            return None

    def exists(self, key: str) -> bool:
        try:
            self.store.stat(key)
        except NotFound:
            return False
        return True

    def packages(self, after: PackageId | None = None) -> Iterator[PackageId]:
        """Every package that has a version, in the order of their places in the layout; one that is Damaged as well,
        so that it is not passed over.
        """
        for package in self.places(after):
            try:
                found = self.head(package) > 0
            except Damaged:
                found = True
            if found:
                yield package

    def places(self, after: PackageId | None = None) -> Iterator[PackageId]:
        """Every package of which the storage root holds anything, be it only what a draft left."""
        past = self.object_key(after) + "0" if after else ""  # "0" comes after "/"
        for key in self.store.keys(self.prefix, past, self._object_of):
            if folder := self._object_of(key):
                yield PackageId(unquote(folder.split("/")[-2]))

    def _object_of(self, key: str) -> str:
        """The folder of the object that key is a part of; "": of none."""
        parts = key[len(self.prefix) :].split("/")
        is_part = len(parts) > 4 and re.fullmatch(r"[0-9a-f]{3}", parts[0])
        return f"{self.prefix}{'/'.join(parts[:4])}/" if is_part else ""

    def package_at(self, place: str) -> PackageId:
        """The package whose object lies at place below the root. NotFound if that is no object's place."""
        package = PackageId(unquote(place.rsplit("/", 1)[-1]))
        if layout.object_path(package) != place:
            raise NotFound(
                _("no object of this layout lies here"), subject=place, remedy=_("Name the object's own folder.")
            )
        return package

    def head(self, package: PackageId) -> int:
        """The highest N whose inventory exists, whatever the root inventory says; 0: there is no such package.

        Raises Damaged if the root inventory knows a higher version.
        """
        claimed = self._claimed_head(package)
        number = claimed or 0
        if claimed and not self.exists(self.inventory_key(package, claimed)):
            raise _missing(package, claimed)
        while self.exists(self.inventory_key(package, number + 1)):
            number += 1
        return number

    def _claimed_head(self, package: PackageId) -> int | None:
        key = f"{self.object_key(package)}/inventory.json"
        try:
            with self.store.open(key) as source:
                if number := inventory.stated_head(source.read(_BEGINNING)):
                    return number
            with self.store.open(key) as source:
                for row in inventory.read(source, subject=key, buffered=_BEGINNING):
                    if isinstance(row, Field) and row.name == "head":
                        return inventory.version_number(row.value)
                    if isinstance(row, State):
                        break
        except NotFound:
            return None
        except ValueError:
            pass
        return None

    def whole_head(self, package: PackageId) -> int:
        """As head. Raises Damaged also if a version up to it, or below a later one that is there or that the root
        inventory or a sidecar knows, has no inventory: no writer starts from it, and nothing of it is removed.
        """
        head = self.head(package)
        later = [number for number in self._version_folders(package, 1 if head else 0) if number > head]
        # A sidecar comes after its inventory, and so tells of one that was lost.
        known = (one for one in later if next(self.store.keys(self.inventory_key(package, one)), None) is not None)
        highest = max(known, default=head)
        for number in range(1, highest + 1):
            if number != head and not self.exists(self.inventory_key(package, number)):
                raise _missing(package, number)
        return head

    def _version_folders(self, package: PackageId, after: int) -> Iterator[int]:
        """Of each that comes after vN in byte order (0: of all) one key is looked at: the listing skips from folder to
        folder.
        """
        place = f"{self.object_key(package)}/v"

        def folder(key: str) -> str:
            match = re.match(r"[1-9][0-9]{0,8}/", key[len(place) :])
            return place + match[0] if match else ""

        past = f"{place}{after}/\U0010ffff" if after else ""
        for key in self.store.keys(place, past, folder):
            if name := folder(key):
                yield int(name[len(place) : -1])

    def inventory(self, package: PackageId, number: int) -> Iterator[Row]:
        """The rows of version number's own inventory. NotFound, Damaged."""
        key = self.inventory_key(package, number)
        with self.store.open(key) as source:
            yield from inventory.read(source, subject=key)

    def versions(self, package: PackageId) -> Iterator[Version]:
        """1 to the head. NotFound if there is no such package."""
        head = self._require(package, None)
        for row in self.inventory(package, head):
            if isinstance(row, VersionInfo):
                yield inventory.to_version(row)

    def loaded(self, package: PackageId, number: int) -> Inventory:
        """The inventory of a version, ready for questions, with its own digest; close it. NotFound, Damaged."""
        table = Inventory()
        key = self.inventory_key(package, number)
        try:
            with self.store.open(key) as source:
                beginning = source.read(CHUNK)
                if len(beginning) < CHUNK and table.take(beginning):
                    table.digest = digest_of_chunks((beginning,), table.algorithm)
                else:
                    hashed = _Hashed(source, Hasher(inventory.ALGORITHMS), beginning)
                    table.load(inventory.read(cast(BinaryIO, hashed), subject=key))
                    table.digest = hashed.hasher.result().values[table.algorithm]
        except BaseException:
            table.close()
            raise
        return table

    @contextmanager
    def version(self, package: PackageId, number: int | None = None) -> Iterator[Reader]:
        """A version (the head by default), ready to be read. NotFound, Damaged."""
        with self.known(package, self._require(package, number)) as reader:
            yield reader

    @contextmanager
    def known(self, package: PackageId, number: int) -> Iterator[Reader]:
        """A version that the caller knows to be there. NotFound, Damaged."""
        table = self.loaded(package, number)
        try:
            yield Reader(self, package, number, table)
        finally:
            table.close()

    def _require(self, package: PackageId, number: int | None) -> int:
        head = self.head(package)
        if not head or (number is not None and not 1 <= number <= head):
            raise NotFound(
                _("there is no such package") if not head else _("there is no version {number}").format(number=number),
                subject=package,
                remedy=_("lantai list shows the packages, lantai show ID their versions."),
            )
        return number or head

    # -- writing

    def draft(self, package: PackageId, *, algorithms: Sequence[Algorithm], base: int = 0, source: str = "") -> Draft:
        """Version base + 1 of package. algorithms: the first, sha256 or sha512, is the object's own; source: what a
        later attempt is recognized by.
        """
        assert self.drafts is not None, "this root is open for reading only"
        assert self._new_draft is not None
        while (lock := DraftLock.begin(self.drafts, self._new_draft())) is None:
            pass
        return Draft(self, package, number=base + 1, algorithms=algorithms, lock=lock, source=source)

    def resumed(self, source: str, *, algorithms: Sequence[Algorithm]) -> Draft | None:
        """The next attempt at a draft of this home that was broken off, of the same source. None: there is none."""
        assert self.drafts is not None, "this root is open for reading only"
        found = resume.find(self, self.drafts, source)
        if found is None:
            return None
        lock, staged, attempt = found
        return Draft(
            self, staged.package, number=staged.number, algorithms=algorithms, lock=lock, source=source, attempt=attempt
        )

    def is_ours(self, package: PackageId, number: int, draft: str) -> bool:
        """Whether vN is the version that draft (or a later attempt of it) wrote: it names content of its own."""
        ours = re.compile(rf"v{number}/content/{draft}(-[0-9a-f]+)?/")
        try:
            return any(isinstance(row, Content) and ours.match(row.path) for row in self.inventory(package, number))
        except NotFound:
            return False

    def act(self, package: PackageId, number: int, draft: str, *, body: Body) -> bool:
        """Create vN/inventory.json: the one atomic act of a commit. Exists: another draft has N, or this is gone.

        False: the draft has become vN already, and perhaps by another attempt at it.
        """
        try:
            self.store.create(self.inventory_key(package, number), body)
        except (Exists, NotFound) as error:
            # NotFound: the staged inventory was taken away, by a clean that has completed this draft, or removed it.
            if self.is_ours(package, number, draft):
                return False
            what = (
                _("another writer stored version {number} first; nothing of this one was kept").format(number=number)
                if isinstance(error, Exists)
                else _("this draft was given up by a clean, since it showed no sign of life")
            )
            raise Exists(what, subject=package, remedy=_("Run the same command again.")) from None
        return True

    def finish(self, package: PackageId, *, head: int | None = None, digest: str | None = None) -> int:
        """Derive again what follows from the versions' inventories: sidecars, declaration, root pair. Return the head.

        Idempotent; safe beside other writers. head, digest: what the caller knows already of the head's inventory.
        Raises Damaged if a version is missing.
        """
        place = self.object_key(package)
        whole = self.whole_head(package)
        number = head or whole
        changed = False
        while True:
            for version in range(1, number + 1):
                changed |= self._put_sidecar(package, version, digest if version == head else None)
            if self.small(f"{place}/{DECLARATION}") != DECLARED:
                self.store.put(f"{place}/{DECLARATION}", lambda: (DECLARED,), algorithms=())
                changed = True
            if not self._root_is_current(package, number):
                for name in ("inventory.json", self._sidecar_name(package, number)):
                    own = partial(self.chunks, f"{place}/v{number}/{name}")
                    self.store.put(f"{place}/{name}", own, algorithms=())
                changed = True
            if not self.exists(self.inventory_key(package, number + 1)):
                if changed:
                    self.store.sync()
                return number
            number += 1

    def _algorithm(self, package: PackageId, number: int) -> Algorithm:
        for row in self.inventory(package, number):
            if isinstance(row, Field) and row.name == "digestAlgorithm":
                return "sha512" if row.value == "sha512" else "sha256"
        return "sha256"

    def _sidecar_name(self, package: PackageId, number: int) -> str:
        return f"inventory.json.{self._algorithm(package, number)}"

    def _put_sidecar(self, package: PackageId, number: int, digest: str | None) -> bool:
        key = f"{self.object_key(package)}/v{number}/{self._sidecar_name(package, number)}"
        if self.exists(key):
            return False
        if digest is None:
            algorithm = self._algorithm(package, number)
            digest = digest_of_chunks(self.chunks(self.inventory_key(package, number)), algorithm)
        text = inventory.sidecar(digest)
        self.store.put(key, lambda: (text,), algorithms=())
        return True

    def _root_is_current(self, package: PackageId, number: int) -> bool:
        place, name = self.object_key(package), self._sidecar_name(package, number)
        try:
            return (
                self._claimed_head(package) == number
                and self.store.stat(f"{place}/inventory.json").size
                == self.store.stat(self.inventory_key(package, number)).size
                and self.small(f"{place}/{name}") == self.small(f"{place}/v{number}/{name}")
            )
        except (NotFound, Damaged):
            return False


@dataclass(slots=True)
class _Hashed:
    """What is read to its end, hashed on the way. before: of what was read already, what is still to be read."""

    source: BinaryIO
    hasher: Hasher
    before: bytes = b""

    def read(self, size: int = -1) -> bytes:
        if self.before:
            size = len(self.before) if size < 0 else size
            data, self.before = self.before[:size], self.before[size:]
        else:
            data = self.source.read(size)
        self.hasher.update(data)
        return data


class Reader:
    """One version of a package: its logical files."""

    def __init__(self, root: Root, package: PackageId, number: int, table: Inventory) -> None:
        self.package, self.number, self.table = package, number, table
        self.root, self._place = root, root.object_key(package)
        self.algorithm = table.algorithm

    def __call__(self, path: str) -> Iterator[bytes]:
        """The bytes of a logical path. NotFound, Damaged."""
        digest = self.table.digest_of(self.number, path)
        if digest is None:
            raise NotFound(
                _("version {number} of the package has no such file").format(number=self.number),
                subject=path,
                remedy=_("lantai show PACKAGE --files lists them."),
            )
        return self.root.chunks(self.key(path, self.table.content_of(digest)))

    def key(self, path: str, content: str | None) -> str:
        """Where the content of a logical path lies in the store. Damaged if the manifest does not say."""
        if content is None:
            raise Damaged(
                _("the inventory names no content for this file"),
                subject=path,
                remedy=_("Run lantai validate on the package."),
            )
        return f"{self._place}/{content}"

    def paths(self, prefix: str = "") -> Iterator[tuple[str, Digests]]:
        """Logical path and digest, in byte order of path."""
        for path, digest in self.table.state(self.number, prefix):
            yield path, Digests(None, {self.algorithm: digest})


def digest_of_chunks(chunks: Iterable[bytes], algorithm: Algorithm) -> str:
    """The digest of a stream, by one algorithm."""
    return digests_of(chunks, (algorithm,)).values[algorithm]


def _missing(package: PackageId, number: int) -> Damaged:
    return Damaged(
        _("the inventory of version {number} is missing, though a later one is known").format(number=number),
        subject=package,
        remedy=_("Restore it from a copy; until then the package is not written to."),
    )
