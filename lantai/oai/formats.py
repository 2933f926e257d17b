"""Formats in which records are given: a table, each line a function of what is shown of a record. Pure.

Another one joins it by an entry point (plugins.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import UsageError
from ..messages import _
from ..metadata import dc, ead3, mets, premis, premis_objects, qdc
from ..metadata.xml import href
from ..model import Holdings, Record, RecordId
from . import files


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a record at a time, and all that a format may know of it.

    record: without its package and paths, which are the store's. above: the records above it in the fonds that are
    themselves live then, the nearest first, each with its level, title and reference code alone. holdings: its own
    files, by their names and no place; None: they are not open, or the format does not tell of files. stamp: its
    datestamp, in seconds since 1970; oai: its oai-identifier; base_url: of the repository; agency: the archive's name.
    """

    record: Record
    above: tuple[Record, ...]
    holdings: Holdings | None
    stamp: int
    oai: str
    base_url: str
    agency: str

    @property
    def part_of(self) -> RecordId | None:
        """The record nearest above it that is live."""
        return self.above[0].id if self.above else None

    @property
    def since(self) -> datetime:
        return datetime.fromtimestamp(self.stamp, UTC)

    def link(self, prefix: str) -> str:
        """Where it is asked for in that format."""
        joint = "&" if "?" in self.base_url else "?"
        return f"{self.base_url}{joint}verb=GetRecord&metadataPrefix={prefix}&identifier={self.oai}"

    @property
    def all_files(self) -> str:
        """Where its own files are listed, however many they are."""
        return files.address(self.base_url, self.oai)


@dataclass(frozen=True, slots=True)
class Format:
    """A row of ListMetadataFormats. render: an XML element without declaration, for whatever is shown; files: it tells
    of a record's files; version: of what render says, for harvesters get all records anew with another one. "": that of
    the package that brings it.
    """

    prefix: str
    schema: str
    namespace: str
    render: Callable[[Shown], str]
    files: bool = False
    version: str = ""


def _dc(shown: Shown) -> str:
    return b"".join(dc.element(shown.record, located=True, part_of=shown.part_of)).decode()


def _qdc(shown: Shown) -> str:
    return b"".join(qdc.element(shown.record, part_of=shown.part_of)).decode()


def _ead3(shown: Shown) -> str:
    told = ead3.element(
        shown.record, shown.above, at=shown.since, agency=shown.agency, oai=shown.oai, link=shown.link("ead3")
    )
    return b"".join(told).decode()


def _mets(shown: Shown) -> str:
    told = mets.element(
        shown.record, shown.holdings, at=shown.since, agency=shown.agency, oai=shown.oai, ead=shown.link("ead3"),
        dc=_dc(shown), premis=shown.link("premis"), files=shown.all_files,
    )  # fmt: skip
    return b"".join(told).decode()


def _premis(shown: Shown) -> str:
    told = premis_objects.element(
        shown.record, shown.holdings, part_of=shown.part_of, oai=shown.oai, files=shown.all_files
    )
    return b"".join(told).decode()


FORMATS: Mapping[str, Format] = {
    one.prefix: one
    for one in (
        Format(
            "oai_dc",
            "http://www.openarchives.org/OAI/2.0/oai_dc.xsd",
            "http://www.openarchives.org/OAI/2.0/oai_dc/",
            _dc,
        ),
        Format("oai_qdc", qdc.SCHEMA, qdc.NAMESPACE, _qdc),
        Format("ead3", ead3.SCHEMA, ead3.NAMESPACE, _ead3),
        Format("mets", mets.SCHEMA, mets.NAMESPACE, _mets, files=True),
        Format("premis", premis_objects.SCHEMA, premis.NAMESPACE, _premis, files=True),
    )
}
"""Those that every archive has."""

CROSSWALK = 2
"""To be raised whenever a format says something else of what is the same: harvesters then get all records anew."""


def crosswalk(formats: Mapping[str, Format]) -> str:
    """The version of all that these formats say: a word for those that every archive has, and for each other one."""
    others = sorted(formats.keys() - FORMATS.keys())
    return " ".join((str(CROSSWALK), *(f"{prefix}={href(formats[prefix].version)}" for prefix in others)))


_PREFIX = re.compile(r"[A-Za-z0-9\-_.!~*'()]{1,100}")
_REST = r"([A-Za-z0-9._~!$&'()*+,;=:@/?#-]|%[0-9A-Fa-f]{2})+"
_URL = re.compile("https?://" + _REST)
_URI = re.compile("[A-Za-z][A-Za-z0-9+.-]*:" + _REST)
_RESPONSE = "http://www.openarchives.org/OAI/2.0/"


def joined(more: Iterable[tuple[str, Format]], known: Mapping[str, Format] = FORMATS) -> Mapping[str, Format]:
    """The known formats and more, each with the name of who brings it. UsageError for one that harvesters could not be
    given (OAI-PMH.xsd), or that takes the prefix of another.
    """
    found = dict(known)
    for bringer, one in more:
        if not _PREFIX.fullmatch(one.prefix):
            raise _refused(bringer, _("harvesters cannot ask for the metadataPrefix {given}").format(given=one.prefix))
        if one.prefix in found:
            raise _refused(bringer, _("there is a format {prefix} already").format(prefix=one.prefix))
        if not _URL.fullmatch(one.schema):
            raise _refused(bringer, _("its schema {given} is no address of the web").format(given=one.schema))
        if not _URI.fullmatch(one.namespace) or one.namespace == _RESPONSE:
            raise _refused(bringer, _("its namespace {given} cannot stand in an answer").format(given=one.namespace))
        found[one.prefix] = one
    return found


def _refused(bringer: str, what: str) -> UsageError:
    return UsageError(what, subject=bringer, remedy=_("Correct the package that brings this format, or uninstall it."))
