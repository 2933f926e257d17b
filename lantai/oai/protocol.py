"""An answer to an OAI-PMH 2.0 request, as a pure function. Sections named are those of the protocol document,
https://www.openarchives.org/OAI/openarchivesprotocol.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import LiteralString

from ..metadata.xml import attribute
from ..model import RecordId
from . import Brand, Item, NotYet, Records, Repository, Wanted
from .arguments import Code, Refused, echoed, read, second
from .formats import FORMATS, Format
from .provenance import abouts
from .tokens import BadToken, Token, seal, unseal


def respond(
    arguments: Sequence[tuple[str, str]],
    records: Records,
    *,
    repository: Repository,
    now: datetime,
    key: bytes,
    page_size: int,
    token_ttl: int,
    formats: Mapping[str, Format] = FORMATS,
) -> bytes:
    """The whole response, in UTF-8. arguments: those of the query (GET) or of the body (POST), decoded, in any order,
    as they came: whatever they are, there is a valid answer. key: signs the tokens, which hold for token_ttl seconds;
    page_size: items or sets in a page, at least 1; formats: by prefix. NotYet: the rest of a list will be shown within
    seconds.
    """
    at = records.now(now)
    given: Mapping[str, str] = {}
    try:
        given = read(arguments)
        asked = _Asked(given, records, repository, at, int(now.timestamp()), key, page_size, token_ttl, formats)
        body = _ANSWERS[given["verb"]](asked)
    except Refused as refused:
        body = _joined(_fill('<error code="%s">%s</error>\n', code, why) for code, why in refused.errors).encode()
    # Section 3.2: after badVerb and badArgument, which read raises and nothing else does, no attributes.
    echo = _joined(_fill(' %s="%s"', name, value) for name, value in given.items() if echoed(name, value))
    return b"".join((_fill(_RESPONSE, _stamp(at), echo, repository.base_url).encode(), body, b"</OAI-PMH>\n"))


_RESPONSE = """\
<?xml version="1.0" encoding="UTF-8"?>
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://www.openarchives.org/OAI/2.0/ http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd">
<responseDate>%s</responseDate>
<request%s>%s</request>
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request without badVerb and badArgument. at: its responseDate; clock: the second it is in."""

    given: Mapping[str, str]
    records: Records
    repository: Repository
    at: int
    clock: int
    key: bytes
    page_size: int
    token_ttl: int
    formats: Mapping[str, Format]


# XML. What comes from elsewhere is a str and gets escaped; only what _fill made of it, and what Item says is an
# element, is an _Xml and does not. A str in the place of an _Xml fails mypy, and shows as escaped twice.


class _Xml(str):
    __slots__ = ()


def _fill(template: LiteralString, *values: str) -> _Xml:
    """Escaped for character data and for a quoted attribute alike."""
    return _Xml(template % tuple([one if type(one) is _Xml else _escaped(one) for one in values]))


def _escaped(value: str) -> str:
    return attribute(value)[1:-1] if _SPECIAL.search(value) else value  # a look costs a fifth of the work


_SPECIAL = re.compile(r"[^ !#-%\'-;=?-~]")
"""All but the characters of ASCII that stand for themselves."""


def _joined(parts: Iterable[_Xml]) -> _Xml:
    return _Xml("".join(parts))


# What the items of a page have in common is made once.


def _stamp(seconds: int) -> _Xml:
    """Section 3.3: UTCdatetime, YYYY-MM-DDThh:mm:ssZ."""
    day, second = divmod(seconds, 86_400)
    return _Xml(f"{_day(day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z")


@lru_cache(256)
def _day(since_1970: int) -> str:
    return (_EPOCH + timedelta(since_1970)).isoformat()


_EPOCH = date(1970, 1, 1)


@lru_cache(4096)
def _specs(sets: tuple[str, ...]) -> _Xml:
    return _joined(_fill("<setSpec>%s</setSpec>", spec) for spec in sets)


# Section 4: the verbs.


def _identify(asked: _Asked) -> _Xml:
    one = asked.repository
    return _fill(
        _IDENTIFY,
        one.name,
        one.base_url,
        _joined(_fill("<adminEmail>%s</adminEmail>\n", email) for email in one.admin_emails),
        _stamp(int(one.earliest.timestamp())),
        one.namespace,
        one.identifier(RecordId("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057")),
        _friends(one),
        _brand(one.brand) if one.brand else _Xml(),
    )


_IDENTIFY = """\
<Identify>
<repositoryName>%s</repositoryName>
<baseURL>%s</baseURL>
<protocolVersion>2.0</protocolVersion>
%s<earliestDatestamp>%s</earliestDatestamp>
<deletedRecord>persistent</deletedRecord>
<granularity>YYYY-MM-DDThh:mm:ssZ</granularity>
<compression>gzip</compression>
<description>
<oai-identifier xmlns="http://www.openarchives.org/OAI/2.0/oai-identifier" \
xsi:schemaLocation="http://www.openarchives.org/OAI/2.0/oai-identifier \
http://www.openarchives.org/OAI/2.0/oai-identifier.xsd">
<scheme>oai</scheme>
<repositoryIdentifier>%s</repositoryIdentifier>
<delimiter>:</delimiter>
<sampleIdentifier>%s</sampleIdentifier>
</oai-identifier>
</description>
%s%s</Identify>
"""


def _friends(one: Repository) -> _Xml:
    """http://www.openarchives.org/OAI/2.0/guidelines-friends.htm."""
    if not one.friends:
        return _Xml()
    return _fill(_FRIENDS, _joined(_fill("<baseURL>%s</baseURL>\n", url) for url in one.friends))


_FRIENDS = """\
<description>
<friends xmlns="http://www.openarchives.org/OAI/2.0/friends/" \
xsi:schemaLocation="http://www.openarchives.org/OAI/2.0/friends/ http://www.openarchives.org/OAI/2.0/friends.xsd">
%s</friends>
</description>
"""


def _brand(one: Brand) -> _Xml:
    """http://www.openarchives.org/OAI/2.0/guidelines-branding.htm."""
    link = _fill("<link>%s</link>\n", one.link) if one.link else _Xml()
    title = _fill("<title>%s</title>\n", one.title) if one.title else _Xml()
    return _fill(_BRANDING, one.url, link, title)


_BRANDING = """\
<description>
<branding xmlns="http://www.openarchives.org/OAI/2.0/branding/" \
xsi:schemaLocation="http://www.openarchives.org/OAI/2.0/branding/ http://www.openarchives.org/OAI/2.0/branding.xsd">
<collectionIcon>
<url>%s</url>
%s%s</collectionIcon>
</branding>
</description>
"""


def _list_metadata_formats(asked: _Asked) -> _Xml:
    """Of a deleted record those it had, which are all there are."""
    identifier, formats = asked.given.get("identifier"), asked.formats
    if identifier is not None and _is_foreign(asked, identifier):
        formats = {prefix: formats[prefix] for prefix in asked.records.foreign(identifier)}
        if not formats:
            raise Refused(_ABSENT)
    elif identifier is not None and _found(asked, identifier, None) is None:
        raise Refused(_ABSENT)
    rows = (
        _fill(
            "<metadataFormat><metadataPrefix>%s</metadataPrefix><schema>%s</schema>"
            "<metadataNamespace>%s</metadataNamespace></metadataFormat>\n",
            one.prefix,
            one.schema,
            one.namespace,
        )
        for one in formats.values()
    )
    return _fill("<ListMetadataFormats>\n%s</ListMetadataFormats>\n", _joined(rows))


def _list_sets(asked: _Asked) -> _Xml:
    here = _here(asked)
    found = asked.records.sets(asked.at, here.last[1], asked.page_size + 1)
    if not found and here.cursor:
        # The sets that were left hold nothing any more, and ListSets has no error for an empty page: with this one a
        # harvester asks for the list again, which has become shorter.
        raise Refused(("badResumptionToken", "The list of sets has changed."))
    if not found:
        raise Refused(("noSetHierarchy", "There are no sets."))
    page, more = found[: asked.page_size], len(found) > asked.page_size
    rows = _joined(
        _fill(
            "<set><setSpec>%s</setSpec><setName>%s</setName>%s</set>\n",
            one.spec,
            one.name,
            _fill(_SET_DESCRIPTION, one.description) if one.description else _Xml(),
        )
        for one in page
    )
    onward = None
    if more:
        size = here.size if here.cursor else asked.records.sets_held(asked.at)
        onward = replace(here, last=(0, page[-1].spec), cursor=here.cursor + len(page), size=size)
    return _fill("<ListSets>\n%s%s</ListSets>\n", rows, _resumption(asked, here, onward))


_SET_DESCRIPTION = """\
<setDescription><oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" \
xmlns:dc="http://purl.org/dc/elements/1.1/" \
xsi:schemaLocation="http://www.openarchives.org/OAI/2.0/oai_dc/ http://www.openarchives.org/OAI/2.0/oai_dc.xsd">\
<dc:description>%s</dc:description></oai_dc:dc></setDescription>"""


def _get_record(asked: _Asked) -> _Xml:
    prefix = asked.given["metadataPrefix"]
    is_known = prefix in asked.formats
    if _is_foreign(asked, asked.given["identifier"]):
        held = asked.records.foreign(asked.given["identifier"])
        item, is_there = held.get(prefix), bool(held)
    else:
        item = _found(asked, asked.given["identifier"], prefix if is_known else None)
        is_there = item is not None
    errors: list[tuple[Code, str]] = []
    if not is_there:
        errors.append(_ABSENT)
    if not is_known or (is_there and item is None):
        errors.append(_NO_FORMAT)
    if errors or item is None:
        raise Refused(*errors)
    return _fill("<GetRecord>\n%s</GetRecord>\n", record(asked.repository, item))


def _list_identifiers(asked: _Asked) -> bytes:
    return _listed(asked, "ListIdentifiers", _header, is_rendered=False)


def _list_records(asked: _Asked) -> bytes:
    return _listed(asked, "ListRecords", record, is_rendered=True)


def _listed(asked: _Asked, verb: str, row: Callable[[Repository, Item], _Xml], *, is_rendered: bool) -> bytes:
    here = _here(asked)
    if here.prefix not in asked.formats:
        raise Refused(_NO_FORMAT)
    wanted = Wanted(second(here.since), second(here.until, end=True), here.spec, here.prefix or "")
    # A set that is unknown, closed or empty is asked for like any other: nothing tells them apart.
    found = asked.records.items(
        wanted, asked.at, here.last if here.cursor else None, asked.page_size, here.prefix if is_rendered else None,
        lambda item: row(asked.repository, item).encode(),
    )  # fmt: skip
    if found.last is None and found.more:
        # To say that none match would be final: harvesters give up.
        raise NotYet
    if found.last is None:
        # Of a resumed list too: the items that were left have got datestamps after its until, or left its set. The
        # token is good and the list is at its end, but the schema has no empty list. Nothing is lost: what left this
        # list has a newer datestamp, which the next harvest sees.
        raise Refused(("noRecordsMatch", "No records match."))
    onward = None
    if found.more:
        size = here.size if here.cursor else asked.records.size(wanted, asked.at)
        onward = replace(here, last=found.last, cursor=here.cursor + found.count, size=size)
    end = f"{_resumption(asked, here, onward)}</{verb}>\n"
    return b"".join((f"<{verb}>\n".encode(), found.rows, end.encode()))


def _here(asked: _Asked) -> Token:
    """Where the page begins: what the token says, or at the beginning of the list that is asked for."""
    given = asked.given.get
    text = given("resumptionToken")
    if text is None:
        list_of = given("metadataPrefix"), given("set"), given("from"), given("until")
        return Token(asked.given["verb"], *list_of, (0, ""), 0, None, 0)
    try:
        token = unseal(text, asked.key, asked.repository.archive, asked.clock)
    except BadToken as bad:
        raise Refused(("badResumptionToken", str(bad))) from bad
    if token.verb != asked.given["verb"]:
        raise Refused(("badResumptionToken", f"The resumptionToken is one of {token.verb}."))
    return token


def _resumption(asked: _Asked, here: Token, onward: Token | None) -> _Xml:
    """Section 3.5. onward: where the next page begins, if there is one. The last page of a list in pages has an empty
    resumptionToken; a list in one page has none. completeListSize is what it was when the list began.
    """
    cursor = str(here.cursor)
    size = (onward or here).size
    told = _Xml() if size is None else _fill(' completeListSize="%s"', str(size))
    if onward is None:
        return _fill('<resumptionToken%s cursor="%s"/>\n', told, cursor) if here.cursor else _Xml()
    onward = replace(onward, expires=asked.clock + asked.token_ttl)
    return _fill(
        '<resumptionToken expirationDate="%s"%s cursor="%s">%s</resumptionToken>\n',
        _stamp(onward.expires),
        told,
        cursor,
        seal(onward, asked.key, asked.repository.archive),
    )


# Items.

_ABSENT: tuple[Code, str] = ("idDoesNotExist", "There is no item with this identifier.")
_NO_FORMAT: tuple[Code, str] = ("cannotDisseminateFormat", "There is no metadata in a format of this metadataPrefix.")


def _is_foreign(asked: _Asked, identifier: str) -> bool:
    """It may be one of another archive, and those are shown on."""
    return asked.repository.union and not identifier.startswith(f"oai:{asked.repository.namespace}:")


def _found(asked: _Asked, identifier: str, prefix: str | None) -> Item | None:
    """In that format. None as well for what is no identifier of ours in the one way that we write it: section 3.6 has
    one error for unknown and illegal.
    """
    record = asked.repository.record(identifier)
    return asked.records.item(record, asked.at, prefix) if record else None


def _header(repository: Repository, item: Item) -> _Xml:
    """Section 2.5.1: deleted ones have the sets they last had."""
    return _fill(
        "<header%s><identifier>%s</identifier><datestamp>%s</datestamp>%s</header>\n",
        _LIVE if item.live else _DELETED,
        item.origin.identifier if item.origin else repository.identifier(item.record),
        _stamp(item.stamp),
        _specs(item.sets),
    )


_LIVE, _DELETED = _Xml(), _Xml(' status="deleted"')


def record(repository: Repository, item: Item) -> _Xml:
    """The element (section 2.5)."""
    header = _header(repository, item)
    if not item.live:
        return _fill("<record>\n%s</record>\n", header)
    about = _Xml()
    if item.origin:
        about = _joined(_fill("<about>%s</about>\n", _Xml(one)) for one in abouts(item.origin))
    return _fill("<record>\n%s<metadata>%s</metadata>\n%s</record>\n", header, _Xml(item.metadata), about)


_ANSWERS: Mapping[str, Callable[[_Asked], bytes]] = {
    "Identify": lambda asked: _identify(asked).encode(),
    "ListMetadataFormats": lambda asked: _list_metadata_formats(asked).encode(),
    "ListSets": lambda asked: _list_sets(asked).encode(),
    "GetRecord": lambda asked: _get_record(asked).encode(),
    "ListIdentifiers": _list_identifiers,
    "ListRecords": _list_records,
}
