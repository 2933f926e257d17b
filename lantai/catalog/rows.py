"""What the catalogue answers. Frozen, and complete when handed out: nothing is fetched later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..model import Description, Holdings, Level, PackageId, PayloadFile, Place, Record, RecordId, Scope, Shown

FONDS = "fonds"
"""The hierarchy in which a record has its one parent and its reference code (ISAD(G) 3.1.1)."""

UNKNOWN = "unknown"
"""Stands for the PUID of files whose format no tool knew."""


@dataclass(frozen=True, slots=True)
class Access:
    """What the decision in force shows, and from when (UTC)."""

    shown: Shown
    since: datetime


@dataclass(frozen=True, slots=True)
class PackageRow:
    """A package as a list shows it; title, level and reference code are its root record's."""

    id: PackageId
    title: str
    level: Level
    reference_code: str | None
    created: datetime  # of version 1, in UTC
    version: int  # the newest
    files: int
    bytes: int
    formats: Mapping[str, int]  # files by PUID, in the order of the PUIDs
    access: Access
    submission: str  # the name of what was handed over; undecodable bytes as surrogate escapes


@dataclass(frozen=True, slots=True)
class Copy:
    """A version of a package in the store of that name, and since when, by the store's clock (UTC)."""

    number: int
    store: str
    since: datetime


CHECK_LEVELS = ("listing", "server", "full")
"""Of a check, each closer than the one before."""


@dataclass(frozen=True, slots=True)
class Check:
    """The newest check of a package in the store of that name at a level, and by which version of lantai."""

    store: str
    level: str
    at: datetime
    valid: bool
    software: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the packages that lie in the store of that name are checked at that level, or a closer one."""

    store: str
    level: str
    packages: int
    unproven: int  # never checked, or not whole when last checked
    overdue: int  # whole, but that is longer ago than was asked for
    oldest: datetime | None  # of those that were whole, the check that is longest ago


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record, where it stands, and how much is below it."""

    id: RecordId
    package: PackageId | None
    description: Description
    paths: tuple[str, ...]  # the payload files or folders it describes
    places: tuple[Place, ...]  # in the order of their hierarchies
    files: int  # that belong to it and to no record below it
    children: int  # records right below it in the fonds

    @property
    def place(self) -> Place | None:
        """Where it stands in its fonds."""
        return next((place for place in self.places if place.hierarchy == FONDS), None)

    @property
    def parent(self) -> RecordId | None:
        return self.place.parent if self.place else None

    @property
    def reference_code(self) -> str | None:
        return self.place.reference_code if self.place else None


@dataclass(frozen=True, slots=True)
class FileRow:
    """A payload file of a package's newest version, and the record it belongs to.

    That is the record which describes the file itself, else the nearest folder above it, else the root record.
    """

    package: PackageId
    record: RecordId
    file: PayloadFile


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a text, as written, with text[start:end] being what was looked for."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RecordHit:
    """A record that a search found, by its description or by the name of a file of its own."""

    id: RecordId
    package: PackageId | None
    title: str
    level: Level
    reference_code: str | None
    path: str | None  # of the file whose name was found; None: its description was
    snippet: Snippet | None
    withdrawn: bool = False  # itself or with a record above it


@dataclass(frozen=True, slots=True)
class Exposed:
    """What harvesters see of a record. since: its datestamp; sets: setSpecs; live False: it is deleted. Where it was
    asked for: record; above: the records above it in the fonds that are live then, the nearest first, by level, title
    and reference code alone; holdings: its own files, None where they are not open.
    """

    id: RecordId
    since: int
    sets: tuple[str, ...]
    live: bool
    record: Record | None
    above: tuple[Record, ...]
    holdings: Holdings | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a person's short way of naming a thing stands for. A package stands for its root record too."""

    kind: Literal["package", "record", "file"]
    id: str


@dataclass(frozen=True, slots=True)
class Held:
    """A package in a store, since when it lies there, and its newest check there at a level. at None: never checked."""

    package: PackageId
    since: datetime
    at: datetime | None
    valid: bool


@dataclass(frozen=True, slots=True)
class Checks:
    """How many checks of packages in a store ended so within the hour that begins at hour (UTC)."""

    hour: datetime
    store: str
    valid: bool
    count: int


@dataclass(frozen=True, slots=True)
class Listed:
    """How far a list of a source was harvested. asked: with the from of one that was broken off; complete: up to which
    responseDate, None where none was; token, began: where the one that was broken off goes on, and its responseDate.
    """

    asked: Scope
    complete: str | None
    token: str | None
    began: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Another archive's server from which was harvested. at: last; identify: what it says of itself, as XML."""

    name: str
    url: str
    at: datetime
    identify: str
    live: int
    deleted: int
    lists: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """A record of another archive as it is shown on. since: its datestamp here; datestamp: there; namespace: of the
    element in metadata, "" where it is deleted; about: elements that came with it; url: of the server; answered: the
    responseDate of its answer. Without metadata and about where a header was asked for.
    """

    identifier: str
    prefix: str
    since: int
    live: bool
    namespace: str
    datestamp: str
    metadata: str
    about: tuple[str, ...]
    url: str
    answered: str


@dataclass(frozen=True, slots=True)
class RemoteHit:
    """A record of another archive that a search found."""

    source: str
    identifier: str
    title: str
    snippet: Snippet | None
