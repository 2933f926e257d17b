"""OAI-PMH 2.0: what is open, for whoever harvests it.

protocol: an answer to a request, as a pure function of arguments, records and time; tokens: where a list goes on; key:
what signs them; provider: the same over HTTP; limit: how much one client may ask for; page: what a browser is shown;
server: the processes that answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..model import RecordId


@dataclass(frozen=True, slots=True)
class Item:
    """A record as a harvester sees it. stamp: its datestamp, seconds since 1970 in UTC; live False: it is deleted, and
    metadata is empty; metadata: the oai_dc element; sets: setSpecs, sorted.
    """

    record: RecordId
    stamp: int
    live: bool
    sets: tuple[str, ...]
    metadata: str


@dataclass(frozen=True, slots=True)
class Set:
    """name, description: "" where there is none."""

    spec: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of a list: datestamps from since to until, both included (seconds; None: no bound), in the set of that spec."""

    since: int | None = None
    until: int | None = None
    spec: str | None = None


class Records(Protocol):
    """What is or was open. at: the responseDate, in seconds: what a record shows then, by datestamps before it."""

    def now(self, clock: datetime) -> int:
        """The responseDate of an answer that is given now: never later than clock, and after it nothing gets a
        datestamp before it.
        """
        ...

    def item(self, record: RecordId, at: int) -> Item | None:
        """None: there is none, or it was never open: nobody can tell the two apart."""
        ...

    def items(self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int) -> Sequence[Item]:
        """In the order of (datestamp, id), from beyond after on, at most limit."""
        ...

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        """Those that hold anything at that time, by spec, from beyond after on."""
        ...


@dataclass(frozen=True, slots=True)
class Repository:
    """What Identify says. namespace: of oai-identifiers, a domain name; archive: its uuid, which tokens are bound to;
    earliest: the archive's first second, which every archive has and which tells nothing.
    """

    name: str
    base_url: str
    admin_emails: tuple[str, ...]
    namespace: str
    archive: str
    earliest: datetime
