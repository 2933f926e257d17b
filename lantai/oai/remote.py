"""Another archive's server, as OAI-PMH has it: what it says of itself, and lists of records, an answer at a time.

The reading is that of the oaipmh package, with our own fetcher and parser in it. Its way through a list is not taken:
it ends at an answer without records, though the list goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import oaipmh.client  # type: ignore[import-untyped]
import oaipmh.error  # type: ignore[import-untyped]
from lxml import etree

from ..errors import UsageError
from ..messages import _
from ..model import Received, Scope
from .fetch import refused

_OAI = "{http://www.openarchives.org/OAI/2.0/}"
_STAMP = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?", re.ASCII)
_ENCODED = re.compile(r"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["'][^>]*\?>""")
_PROLOG = re.compile(r"\ufeff?\s*(?:<\?[^>]*\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_LONGEST = 4000
"""Characters of an identifier or a resumption token."""


class Ended(Exception):
    """A list cannot be gone on with where it was: the OAI-PMH error badResumptionToken."""


@dataclass(frozen=True, slots=True)
class About:
    """What a server says of itself. by_day: its datestamps are days; deleted: no, persistent or transient; xml: all."""

    name: str
    by_day: bool
    deleted: str
    xml: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A part of a list. at: its responseDate; token: where it goes on; None: nowhere."""

    at: str
    records: tuple[Received, ...]
    token: str | None


class Remote:
    """The server at url. get: gives the body of its answer to these arguments."""

    def __init__(self, url: str, get: Callable[[Mapping[str, str]], bytes]) -> None:
        self._url, self._client = url, _Client(url, get)

    def identify(self) -> About:
        with self._told(), self._read("verb=Identify"):
            tree = self._client.ask(verb="Identify")
            told = self._client.Identify_impl({}, tree)
            if told.protocolVersion() != "2.0":
                raise refused(self._url, _("the server does not speak OAI-PMH 2.0"))
            element = tree.find(f"{_OAI}Identify")
            return About(told.repositoryName(), len(told.granularity()) == 10, told.deletedRecord(), _text(element))

    def begin(self, asked: Scope) -> Answer:
        """The first answer of a list; an empty one where no record matches."""
        more = {"set": asked.spec, "from": asked.since, "until": asked.until}
        arguments = {"metadataPrefix": asked.prefix, **{name: value for name, value in more.items() if value}}
        return self._list(arguments)

    def go_on(self, token: str) -> Answer:
        """Ended."""
        return self._list({"resumptionToken": token})

    def _list(self, arguments: Mapping[str, str]) -> Answer:
        with self._told(), self._read("verb=ListRecords"):
            try:
                tree = self._client.ask(verb="ListRecords", **arguments)
            except oaipmh.error.NoRecordsMatchError:
                return Answer(self._client.at, (), None)
            found, token = self._client.buildRecords("", self._client.getNamespaces(), _AS_IT_IS, tree)
            records = tuple(self._record(header, metadata) for header, metadata, _none in found)
            return Answer(self._client.at, records, self._short(token.strip()) if token else None)

    def _record(self, header: Any, metadata: Any) -> Received:
        identifier, live = self._short(header.identifier().strip()), not header.isDeleted()
        stamp = (header.element().findtext(f"{_OAI}datestamp") or "").strip()
        if not identifier or not _STAMP.fullmatch(stamp):
            raise refused(self._url, _("a record has no identifier or no datestamp: {id}").format(id=identifier[:200]))
        inside = list(metadata.iterchildren(tag=etree.Element)) if metadata is not None and live else []
        if live and len(inside) != 1:
            raise refused(self._url, _("a record has no metadata: {id}").format(id=identifier[:200]))
        about = header.element().getparent().findall(f"{_OAI}about")
        return Received(
            identifier, stamp, live, tuple(sorted({spec.strip() for spec in header.setSpec()} - {""})),
            _text(inside[0]) if live else "", tuple(_text(one) for each in about for one in each.iterchildren("{*}*")),
        )  # fmt: skip

    def _short(self, text: str) -> str:
        if len(text) > _LONGEST:
            raise refused(self._url, _("an identifier or resumption token is longer than any should be"))
        return text

    @contextmanager
    def _read(self, what: str) -> Iterator[None]:
        """What the package makes of an answer that is none."""
        try:
            yield
        except oaipmh.error.DatestampError as error:
            why = _("this is no datestamp: {text}").format(text=str(error.datestamp)[:100])
            raise refused(f"{self._url}?{what}", why) from error
        except (oaipmh.error.UnknownError, IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise refused(f"{self._url}?{what}", _("this is no answer of OAI-PMH")) from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The errors of the protocol (OAI-PMH 2.0 section 3.6)."""
        try:
            yield
        except oaipmh.error.BadResumptionTokenError as error:
            raise Ended(str(error)) from error
        except oaipmh.error.ErrorBase as error:
            raise UsageError(
                _("the server refuses: {code} {reason}").format(code=error.oainame(), reason=str(error)[:500]),
                subject=self._url, remedy=_("Ask it what it has: ListMetadataFormats and ListSets tell."),
            ) from error  # fmt: skip


class _AsItIs:
    """Metadata as an element, whatever its format."""

    def readMetadata(self, _prefix: str, element: Any) -> Any:
        return element


_AS_IT_IS = _AsItIs()


class _Client(oaipmh.client.BaseClient):  # type: ignore[misc]
    """at: the responseDate of the newest answer."""

    def __init__(self, url: str, get: Callable[[Mapping[str, str]], bytes]) -> None:
        super().__init__(_AS_IT_IS)
        self._url, self._get, self.at = url, get, ""

    def ask(self, **arguments: str) -> Any:
        return self.makeRequestErrorHandling(**arguments)

    def makeRequest(self, **arguments: str) -> bytes:
        return self._get(arguments)

    def parse(self, xml: bytes) -> Any:
        """Well-formed UTF-8 without a document type, an OAI-PMH answer with its responseDate."""
        try:
            root = parsed(xml)
        except ValueError as error:
            raise refused(self._url, str(error)) from error
        self.at = (root.findtext(f"{_OAI}responseDate") or "").strip()
        if root.tag != f"{_OAI}OAI-PMH" or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", self.at, re.ASCII):
            raise refused(self._url, _("this is no answer of OAI-PMH"))
        return root


def parsed(xml: bytes) -> Any:
    """The root of a document that needs nothing outside and defines nothing. ValueError, with the reason."""
    try:
        text = xml.decode()
    except UnicodeDecodeError as error:
        raise ValueError(_("the answer is no UTF-8, which OAI-PMH asks for")) from error
    prolog = _PROLOG.match(text)
    assert prolog is not None
    encoded = _ENCODED.search(prolog[0])
    if encoded and encoded[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise ValueError(_("the answer is no UTF-8, which OAI-PMH asks for"))
    if text.startswith("<!DOCTYPE", prolog.end()):
        raise ValueError(_("the answer defines a document type of its own, which may hide anything"))
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(_("the answer is no well-formed XML ({reason})").format(reason=error.msg)) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError(_("the answer defines a document type of its own, which may hide anything"))
    return root


def _text(element: Any) -> str:
    """With the namespaces that it needs, which may be declared further up."""
    return str(etree.tostring(element, encoding="unicode", with_tail=False))
