"""Before the commit: does the package say of itself what is in it? (Nothing else looks inside a representation.)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from ..digest import Digests
from ..errors import Damaged
from ..messages import _
from ..metadata import premis
from ..model import Agent, Decision, Event, Package, PackageId, PayloadFile
from . import anatomy
from .read import Read, parts, read_package, statements

Paths = Iterable[tuple[str, Digests]]


def verify(package: Package, paths: Paths, original: Paths, read: Read) -> None:
    """As verify_documents; and what the documents say reads back as package, which is what the catalogue is told."""
    verify_documents(package.id, paths, original, read)
    if read_package(package.id, package.versions, read) != package:
        place = anatomy.base(package.id) + anatomy.ROOT_METS
        raise _unequal(place, _("the documents read back differently from what was meant"))


def verify_documents(package: PackageId, paths: Paths, original: Paths, read: Read) -> None:
    """Raises Damaged unless every reference resolves, nothing is named twice or left out, no event or agent stands
    alone, and METS, PREMIS and what is stored are equal.

    paths: of the CSIP package, without the original representation's payload; original: that payload. Both in byte
    order of path.
    """
    _verify_root(package, dict(paths), read)
    _verify_original(package, original, read)


def _verify_root(package: PackageId, present: dict[str, Digests], read: Read) -> None:
    place = anatomy.base(package)
    unnamed = dict(present)
    unnamed.pop(place + anatomy.ROOT_METS, None)
    for folder in (place, place + anatomy.ORIGINAL):
        for part in parts(read, folder + anatomy.ROOT_METS):
            path = folder + part.path
            if path.startswith(anatomy.payload(package)):
                continue
            known = unnamed.pop(path, None)
            if known is None or known.conflicts(part.digests):
                raise _unequal(path, _("METS names this file otherwise than it is stored, or twice"))
    for path in unnamed:
        raise _unequal(path, _("METS does not name this file"))


def _verify_original(package: PackageId, stored: Paths, read: Read) -> None:
    """Three lists in one order: what METS says, what PREMIS says, what is stored."""
    place, payload = anatomy.base(package) + anatomy.ORIGINAL, anatomy.payload(package)
    listed = (part for part in parts(read, place + anatomy.ROOT_METS) if part.path.startswith("data/"))
    references = _References({anatomy.representation_id(package), package})
    described = references.files(statements(read, place + anatomy.PREMIS))
    for one, part, file in zip_longest(stored, listed, described):
        if one is None or part is None or file is None:
            odd = one[0] if one else part.path if part else file.path if file else payload
            raise _unequal(odd, _("METS, PREMIS and what is stored do not list the same files"))
        path, digests = one
        same = path == place + part.path == payload + file.path
        if not same or digests.conflicts(part.digests) or digests.conflicts(file.digests):
            raise _unequal(path, _("METS, PREMIS and what is stored differ"))
    references.require(place + anatomy.PREMIS)
    root = _References({package, anatomy.representation_id(package)})
    for _file in root.files(statements(read, anatomy.base(package) + anatomy.PREMIS)):
        raise _unequal(anatomy.base(package) + anatomy.PREMIS, _("the package's PREMIS describes files"))
    root.require(anatomy.base(package) + anatomy.PREMIS)


class _References:
    """Which identifiers a PREMIS document defines and which it uses."""

    def __init__(self, objects: set[str]) -> None:
        self._objects = objects
        self._events: set[str] = set()
        self._used_events: set[str] = set()
        self._agents: set[str] = set()
        self._used_agents: set[str] = set()
        self._used_objects: set[str] = set()

    def files(self, statements: Iterable[premis.Statement]) -> Iterator[PayloadFile]:
        for one in statements:
            match one:
                case PayloadFile():
                    self._used_events.update(one.events)
                    yield one
                case Event():
                    self._events.add(one.id)
                    self._used_agents.update(one.agents)
                    if one.objects:
                        self._used_objects.add(one.objects)
                        self._used_events.add(one.id)
                case Agent():
                    self._agents.add(one.id)
                case Decision():
                    self._used_objects.add(one.record)

    def require(self, document: str) -> None:
        if (
            self._events != self._used_events
            or self._agents != self._used_agents
            or not self._used_objects <= self._objects
        ):
            raise _unequal(document, _("an event, agent or object is named and not there, or there and not named"))


def _unequal(subject: str, what: str) -> Damaged:
    return Damaged(what, subject=subject, remedy=_("Nothing was kept; this is a fault of lantai, please report it."))
