"""OAI-PMH 2.0: what is open, for whoever harvests it.

protocol: an answer to a request, as a pure function of arguments, records and time; formats: in which records are
given; files: a list of those of a record; plugins: formats that others bring; records: what the catalogue has,
rendered; sets: what those are called; provenance: where what is shown on came from; tokens: where a list goes on; key:
what signs them; provider: the same over HTTP; limit: how much one client may ask for; page: what a browser is shown;
server: the processes that answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..model import FileId, PayloadFile, RecordId


@dataclass(frozen=True, slots=True)
class Origin:
    """Of a record of another archive. identifier, datestamp: as its server, at base_url, had them in an answer with the
    responseDate harvested; namespace: of its metadata; about: the elements that it came with.
    """

    identifier: str
    datestamp: str
    base_url: str
    harvested: str
    namespace: str
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A record as a harvester sees it. stamp: its datestamp, seconds since 1970 in UTC; live False: it is deleted;
    sets: setSpecs, sorted; metadata: the element of the format asked for, empty where it is deleted or none was asked
    for; origin: None: it is ours, else record is the identifier that it has there.
    """

    record: RecordId
    stamp: int
    live: bool
    sets: tuple[str, ...]
    metadata: str
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Of a list: as many rows as were asked for; fewer where they are large, but one at least. count: of rows; last:
    (datestamp, id) of the last one, of a file (0, id); more: others follow. Where none are there and more is said, they
    will be shown within seconds.
    """

    rows: bytes
    count: int
    last: tuple[int, str] | None
    more: bool


@dataclass(frozen=True, slots=True)
class Set:
    """name, description: "" where there is none."""

    spec: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of a list: datestamps from since to until, both included (seconds; None: no bound), in the set of that spec.
    prefix: of the format that it was asked for in, be it one of headers.
    """

    since: int | None = None
    until: int | None = None
    spec: str | None = None
    prefix: str = ""


class NotYet(Exception):
    """It can be told a little later: a part of the work was done, or what is asked for is not shown yet."""


class Records(Protocol):
    """What is or was open. at: the responseDate, in seconds: what a record shows then, by datestamps before it."""

    def now(self, clock: datetime) -> int:
        """The responseDate of an answer that is given now: never later than clock, and after it nothing gets a
        datestamp before it.
        """
        ...

    def item(self, record: RecordId, at: int, prefix: str | None) -> Item | None:
        """None: there is none, or it was never open: nobody can tell the two apart. prefix: of the format in which it
        is given; None: in none.
        """
        ...

    def foreign(self, identifier: str) -> Mapping[str, Item]:
        """A record of another archive, by the prefix of each format that it is given in; {}: there is none. Asked only
        where the repository says union.
        """
        ...

    def items(
        self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int, prefix: str | None,
        row: Callable[[Item], bytes],
    ) -> Page:  # fmt: skip
        """In the order of (datestamp, id), from beyond after on (None: from the first), at most limit. row: what is
        given of an item: of one prefix always by the same function, so that what was given once may be kept.
        """
        ...

    def files(
        self, record: RecordId, at: int, after: FileId | None, limit: int, row: Callable[[PayloadFile], bytes]
    ) -> Page | None:
        """The files that belong to the record itself, as row gives each, beyond after, at most limit. None: there is no
        such record, its files are not open, or after is none of them: nobody can tell these apart.
        """
        ...

    def size(self, wanted: Wanted, at: int) -> int | None:
        """How many items there are. None: that is not known."""
        ...

    def days(self, prefix: str, spec: str, at: int, last: int) -> Sequence[tuple[int, int, str]]:
        """What a receipt says: (day since 1970, count, root in hexadecimal) of each day that has any item of the set of
        that spec ("": of all), with datestamps up to last. NotYet.
        """
        ...

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        """Those that hold anything at that time, by spec, from beyond after on."""
        ...

    def sets_held(self, at: int) -> int:
        """How many those are."""
        ...


@dataclass(frozen=True, slots=True)
class Brand:
    """What others may show beside our records. url: of an icon; link: where it leads; title: what it says."""

    url: str
    link: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """What Identify says. namespace: of oai-identifiers, a domain name; archive: its uuid, which tokens are bound to;
    earliest: the archive's first second, which every archive has and which tells nothing; friends: base URLs of other
    repositories; union: records of other archives are shown on; language: in which sets are named, en or zh.
    """

    name: str
    base_url: str
    admin_emails: tuple[str, ...]
    namespace: str
    archive: str
    earliest: datetime
    friends: tuple[str, ...] = ()
    brand: Brand | None = None
    union: bool = False
    language: str = "en"

    def identifier(self, record: RecordId) -> str:
        """Section 2.4, as oai-identifier has it."""
        return f"oai:{self.namespace}:{record.removeprefix('urn:uuid:')}"

    def record(self, identifier: str) -> RecordId | None:
        """The one that has this identifier, if any has. None: it is not written in the one way that we write it."""
        begins = f"oai:{self.namespace}:"
        uuid = identifier.removeprefix(begins)
        return RecordId("urn:uuid:" + uuid) if identifier.startswith(begins) and _UUID.fullmatch(uuid) else None


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
