"""What an archive is made of. Frozen; knows no file, network, clock or database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, NewType, TypeAlias

from .digest import Digests
from .messages import FINDINGS, finding_text

PackageId = NewType("PackageId", str)
"""urn:uuid: with a UUIDv7."""
RecordId = NewType("RecordId", str)
"""urn:uuid:; a package's root record has its package's."""
FileId = NewType("FileId", str)
"""urn:uuid: with a UUIDv5 of package, path and digest: the same file keeps its id through all versions."""

Level: TypeAlias = Literal["fonds", "subfonds", "series", "subseries", "file", "item"]
"""ISAD(G) 3.1.4: 全宗, 子全宗, 系列, 子系列, 案卷, 件."""
LEVELS: tuple[Level, ...] = ("fonds", "subfonds", "series", "subseries", "file", "item")

Shown: TypeAlias = Literal["closed", "description", "open"]


@dataclass(frozen=True, slots=True)
class Format:
    """One tool's answer. basis and warning are kept: an answer without its reason is no evidence."""

    puid: str | None  # PRONOM: fmt/43, x-fmt/111; None: unknown
    name: str
    version: str
    mime: str | None
    basis: str
    warning: str
    tool: str  # siegfried 1.11.2
    signature: str  # default.sig (PRONOM v125)


@dataclass(frozen=True, slots=True)
class PayloadFile:
    """A file as the producer gave it."""

    id: FileId
    path: str  # safe, relative, POSIX: below representations/original/data/
    original_name: str  # as the producer wrote it, undecodable bytes as surrogate escapes
    digests: Digests
    formats: tuple[Format, ...]  # the first is the answer that counts, the others are second opinions
    modified: datetime | None  # in UTC
    events: tuple[str, ...] = ()  # ids of the events that concern this file but not all others


@dataclass(frozen=True, slots=True)
class Agent:
    id: str
    kind: Literal["person", "organization", "software"]
    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """PREMIS 3.0 event. Those that hold for many files stand once."""

    id: str
    kind: str  # eventType of the Library of Congress vocabulary
    at: datetime
    outcome: Literal["success", "warning", "fail"]
    detail: str
    agents: tuple[str, ...]
    objects: str | None  # id of the package or representation it holds for; None: the files that name it


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check or audit found. code is from messages.FINDINGS, a closed, documented set."""

    code: str
    subject: str
    message: str
    fatal: bool
    english: str  # the message as evidence keeps it, whatever the language in use

    @classmethod
    def of(cls, code: str, subject: str, **values: object) -> Finding:
        """The finding as the table words it, in the language in use; values fill the text's {names}."""
        english = finding_text(code, values, "en")
        return cls(code, subject, finding_text(code, values), FINDINGS[code].fatal, english)


@dataclass(frozen=True, slots=True)
class Element:
    """One statement of a description. term: of Dublin Core (dc.title), of ISAD(G) (isadg.…), or the sheet's own column;
    all are repeatable.
    """

    term: str
    value: str
    language: str | None = None
    scheme: str | None = None


@dataclass(frozen=True, slots=True)
class DateSpan:
    """A date as it was written, and what it means: earliest and latest day, and whether it is only approximate."""

    text: str
    earliest: date | None
    latest: date | None
    approximate: bool
    edtf: str | None = None  # the same in EDTF (ISO 8601-2) where it fits


@dataclass(frozen=True, slots=True)
class Extent:
    """How much: ISAD(G) 3.1.5. unit as written: 卷 件 张 页 分钟 字节."""

    number: float
    unit: str


@dataclass(frozen=True, slots=True)
class Description:
    """dates and extents are read off the elements: metadata.elements.description() makes both together."""

    level: Level
    elements: tuple[Element, ...]
    dates: tuple[DateSpan, ...] = ()
    extents: tuple[Extent, ...] = ()

    def values(self, term: str) -> tuple[str, ...]:
        return tuple(element.value for element in self.elements if element.term == term)

    def first(self, term: str) -> str | None:
        return next((element.value for element in self.elements if element.term == term), None)

    @property
    def title(self) -> str:
        return self.first("dc.title") or ""


@dataclass(frozen=True, slots=True)
class Record:
    """A described unit at any level. package is None for paper and for levels above a package."""

    id: RecordId
    package: PackageId | None
    description: Description
    paths: tuple[
        str, ...
    ] = ()  # the payload files or folders it describes, as PayloadFile.path; the root record has none


@dataclass(frozen=True, slots=True)
class Holdings:
    """The files that belong to a record and to no record below it: how many, their bytes, how many of each PUID.
    listed: all of them, or none where they are too many to be listed.
    """

    files: int
    bytes: int
    formats: Mapping[str, int]
    listed: tuple[PayloadFile, ...]

    @property
    def are_counted(self) -> bool:
        return self.files > len(self.listed)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands in one hierarchy: "fonds", an event, a theme."""

    record: RecordId
    hierarchy: str
    parent: RecordId | None
    position: int
    reference_code: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """opens_after years from the end of the year of creation, for records it applies to, from valid_from on."""

    id: str
    valid_from: date
    opens_after: int
    applies_to: str
    clause: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided of a record's access; replaces names the decisions it supersedes, nearly always one."""

    id: str
    record: RecordId
    shown: Shown
    since: datetime  # a date resolved to its first second in the archive's time zone
    ground: str
    at: datetime
    by: str
    reason: str
    replaces: tuple[str, ...] = ()
    clause: str = ""  # of the ground: article, paragraph, number


EntryKind: TypeAlias = Literal[
    "decision", "withdrawal", "export", "check", "replication", "store", "agent", "repair", "run", "exposure"
]
"""The kinds of journal entry that this lantai writes (docs/journal.md)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened without changing a package, or what a person entered: the full new state of one thing."""

    id: str  # urn:uuid: with a UUIDv7
    kind: EntryKind
    subject_type: str  # package, record, store, agent, run
    subject: str
    at: datetime  # in UTC
    by: Agent
    state: Mapping[str, Any]  # as the kind has it
    organization: str = ""  # on whose behalf
    ground: str = ""  # statute, agreement, donor, copyright, policy, default
    clause: str = ""  # of the ground: article, paragraph, number
    replaces: tuple[str, ...] = ()  # the entries that it takes the place of


@dataclass(frozen=True, slots=True)
class Received:
    """A record as another archive's server gave it (OAI-PMH 2.0 section 2.5). datestamp: as its header has it; sets:
    setSpecs; metadata: the element in <metadata> as text, "" if the record is deleted; about: what each <about> holds.
    """

    identifier: str
    datestamp: str
    live: bool
    sets: tuple[str, ...]
    metadata: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked of another archive's server: a format, and a set and datestamps from and until, if they were."""

    prefix: str
    spec: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """A part of a harvest, as it is kept: records of a list, in the order in which they came.

    source: the name of the server at url; number: of the parts of that source; began, answered: the responseDates of
    the list's first answer and of the last one that is in this part; token: where the list goes on, None where it
    ended; identify: what the server says of itself, "" where that is what it said before.
    """

    archive: str
    source: str
    number: int
    previous: str  # the seal of the part before, "" of the first
    at: datetime  # in UTC
    by: Agent
    software: str
    url: str
    asked: Scope
    began: str
    answered: str
    token: str | None
    identify: str
    records: tuple[Received, ...]


RunVerdict: TypeAlias = Literal["passed", "faults", "incomplete", "void", "failed"]
"""passed: all that was to be seen was seen, and is whole; incomplete: not all was seen; void: the audit did not find
the damage that it made itself.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command over the archive, as its newest entry has it."""

    id: str
    command: str  # audit, replicate, clean
    asked: Mapping[str, Any]
    began: datetime
    ended: datetime | None  # None: not yet, or it was killed
    verdict: RunVerdict | None
    by: str
    reason: str  # why it failed or is incomplete
    counts: Mapping[str, int]  # packages, files, bytes, faults, repaired, lost: those that the command has

    @property
    def broken_off(self) -> bool:
        """Killed or interrupted, or under way."""
        return self.verdict is None or (self.verdict == "incomplete" and not self.counts)


_UNITS: Mapping[str, int] = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Budget:
    """What an audit may take: bytes that it reads, or seconds. What is under way when it is used up is finished."""

    bytes: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Of 500GB (MB, GB, TB: powers of ten) or 2h (m, h, d). ValueError."""
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(MB|GB|TB|m|h|d)", text)
        if match is None or not float(match[1]):
            raise ValueError(text)
        amount = float(match[1]) * _UNITS[match[2]]
        return cls(bytes=max(1, int(amount))) if match[2].endswith("B") else cls(seconds=amount)


@dataclass(frozen=True, slots=True)
class Version:
    """One OCFL version of a package: who made it, when, why."""

    number: int
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Package:
    """What the catalogue is told of a package; all of it stands in the store, its files are told beside it."""

    id: PackageId
    versions: tuple[Version, ...]  # 1 to head
    records: tuple[Record, ...]  # the root record first
    places: tuple[Place, ...]
    agents: tuple[Agent, ...]
    events: tuple[Event, ...]
    access: Decision  # the first decision
    submission: str  # the name of what was handed over
    content: str  # SHA-256 over sorted path, size and SHA-256 of the submission's files

    @property
    def version(self) -> int:
        return self.versions[-1].number
