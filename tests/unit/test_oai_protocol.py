"""What a harvester is answered. Every response in here is judged by OAI-PMH.xsd, and its oai_dc by oai_dc.xsd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from lantai.metadata.xml import text
from lantai.model import RecordId
from lantai.oai import Brand, Item, NotYet, Repository, Set, Wanted
from lantai.oai.formats import FORMATS
from lantai.oai.protocol import respond
from lantai.oai.tokens import unseal
from tests.conformance.shelf import Shelf

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "lantai" / "metadata" / "schemas"

OAI = "{http://www.openarchives.org/OAI/2.0/}"
DC = "{http://purl.org/dc/elements/1.1/}"
OAI_DC = "{http://www.openarchives.org/OAI/2.0/oai_dc/}"

KEY = b"k" * 32
ARCHIVE = "01890a5d-ac96-774b-bcce-b302099a8057"
BASE = "https://archive.example.org/oai?a=1&b=2"
REPOSITORY = Repository(
    "云岭县档案馆 <R&D>", BASE, ("a@example.org", "b@example.org"), "example.org", ARCHIVE,
    datetime(2024, 3, 1, 8, 30, 15, 999_999, tzinfo=UTC),
)  # fmt: skip
NOW = datetime(2026, 1, 5, 12, 0, 0, 500_000, tzinfo=UTC)
CLOCK = int(NOW.timestamp())


class Beside(etree.Resolver):
    """The schemas that a schema names by their address stand beside it."""

    def resolve(self, url: str, id: str, context: Any) -> Any:  # type: ignore[override]
        return self.resolve_filename(str(SCHEMAS / url.rsplit("/", 1)[-1]), context)  # type: ignore[attr-defined]


def schema(path: Path) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Beside())
    return etree.XMLSchema(etree.parse(str(path), parser))


ENVELOPE = schema(ROOT / "tests" / "data" / "OAI-PMH.xsd")
INSIDE = schema(SCHEMAS / "oai_dc.xsd")


def uuid(number: int) -> str:
    return f"01890a5d-ac96-774b-bcce-{number:012x}"


def oai(number: int) -> str:
    return f"oai:example.org:{uuid(number)}"


def dc(title: str) -> str:
    return (
        '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{text(title)}</dc:title></oai_dc:dc>'
    )


def item(number: int, stamp: int, sets: tuple[str, ...] = (), *, live: bool = True) -> Item:
    return Item(RecordId("urn:uuid:" + uuid(number)), stamp, live, sets, dc(f"第{number}件 <&>") if live else "")


def ask(
    shelf: Shelf, *arguments: tuple[str, str], now: datetime = NOW, page_size: int = 2, token_ttl: int = 600
) -> etree._Element:
    """The answer, judged."""
    told = respond(
        arguments, shelf, repository=REPOSITORY, now=now, key=KEY, page_size=page_size, token_ttl=token_ttl
    )  # fmt: skip
    root = etree.fromstring(told, etree.XMLParser(resolve_entities=False))
    ENVELOPE.assertValid(root)
    for inside in root.iter(OAI_DC + "dc"):
        INSIDE.assertValid(etree.fromstring(etree.tostring(inside, with_tail=False)))
    assert root.findtext(OAI + "request") == BASE
    return root


def get(shelf: Shelf, verb: str, page_size: int = 2, /, **arguments: str) -> etree._Element:
    pairs = [("verb", verb), *((name.rstrip("_"), value) for name, value in arguments.items())]
    return ask(shelf, *pairs, page_size=page_size)


def errors(root: etree._Element) -> list[str | None]:
    return [one.get("code") for one in root.findall(OAI + "error")]


def texts(root: etree._Element, name: str) -> list[str]:
    return [one.text or "" for one in root.iter(OAI + name)]


def attributes(root: etree._Element) -> dict[str, str]:
    request = root.find(OAI + "request")
    assert request is not None
    return {str(name): str(value) for name, value in request.attrib.items()}


def token_of(root: etree._Element) -> str:
    return next(iter(texts(root, "resumptionToken")), "")


def pages(shelf: Shelf, verb: str, page_size: int, /, **arguments: str) -> Iterator[etree._Element]:
    """A whole list, and never more."""
    root = get(shelf, verb, page_size, **arguments)
    yield root
    for _ in range(20):
        if not (token := token_of(root)):
            return
        root = get(shelf, verb, page_size, resumptionToken=token)
        yield root
    pytest.fail("the list has no end")


FIVE = [item(number, CLOCK - 100 + number, ("fonds:z109", "type:Text")) for number in range(5)]


# Identify, formats, sets, one record.


def test_identify_tells_all_of_it() -> None:
    root = get(Shelf(), "Identify")
    assert attributes(root) == {"verb": "Identify"}
    assert texts(root, "responseDate") == ["2026-01-05T12:00:00Z"]
    told = root.find(OAI + "Identify")
    assert told is not None
    assert [(etree.QName(one).localname, one.text) for one in told][:-1] == [
        ("repositoryName", "云岭县档案馆 <R&D>"),
        ("baseURL", BASE),
        ("protocolVersion", "2.0"),
        ("adminEmail", "a@example.org"),
        ("adminEmail", "b@example.org"),
        ("earliestDatestamp", "2024-03-01T08:30:15Z"),
        ("deletedRecord", "persistent"),
        ("granularity", "YYYY-MM-DDThh:mm:ssZ"),
        ("compression", "gzip"),
    ]
    own = "{http://www.openarchives.org/OAI/2.0/oai-identifier}"
    (scheme,) = told.iter(own + "oai-identifier")
    assert [(one.tag, one.text) for one in scheme] == [
        (own + "scheme", "oai"),
        (own + "repositoryIdentifier", "example.org"),
        (own + "delimiter", ":"),
        (own + "sampleIdentifier", "oai:example.org:01890a5d-ac96-774b-bcce-b302099a8057"),
    ]


def identified(repository: Repository) -> etree._Element:
    told = respond([("verb", "Identify")], Shelf(), repository=repository, now=NOW, key=KEY, page_size=1, token_ttl=1)
    root = etree.fromstring(told)
    ENVELOPE.assertValid(root)
    return root


FRIENDS = "{http://www.openarchives.org/OAI/2.0/friends/}"
BRANDING = "{http://www.openarchives.org/OAI/2.0/branding/}"
LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"


def test_identify_names_friends() -> None:
    """As guidelines-friends.htm has it: a list of baseURL."""
    urls = ("https://a.example.org/oai", "http://b.example.org/oai?x=1&y=2")
    (friends,) = identified(replace(REPOSITORY, friends=urls)).iter(FRIENDS + "friends")
    assert [(one.tag, one.text) for one in friends] == [(FRIENDS + "baseURL", url) for url in urls]
    assert friends.get(LOCATION) == f"{FRIENDS[1:-1]} http://www.openarchives.org/OAI/2.0/friends.xsd"
    parent = friends.getparent()
    assert parent is not None
    assert parent.tag == OAI + "description"


@pytest.mark.parametrize(
    ("brand", "told"),
    [
        (Brand("https://a.example.org/i.png"), {"url": "https://a.example.org/i.png"}),
        (
            Brand("https://a.example.org/i.png?a=1&b=2", "https://a.example.org/", "云岭 <&>"),
            {"url": "https://a.example.org/i.png?a=1&b=2", "link": "https://a.example.org/", "title": "云岭 <&>"},
        ),
    ],
)
def test_identify_has_an_icon(brand: Brand, told: dict[str, str]) -> None:
    """As guidelines-branding.htm has it: a collectionIcon, whose url comes first and is the only one that must be."""
    (branding,) = identified(replace(REPOSITORY, brand=brand)).iter(BRANDING + "branding")
    (icon,) = branding
    assert icon.tag == BRANDING + "collectionIcon"
    assert [(one.tag, one.text) for one in icon] == [(BRANDING + name, value) for name, value in told.items()]
    assert branding.get(LOCATION) == f"{BRANDING[1:-1]} http://www.openarchives.org/OAI/2.0/branding.xsd"


def test_without_friends_and_icon_nothing_is_said_of_them() -> None:
    root = identified(REPOSITORY)
    assert len(root.findall(f".//{OAI}description")) == 1


def test_the_response_date_is_what_the_records_say_and_may_lag() -> None:
    assert texts(ask(Shelf(lag=90), ("verb", "Identify")), "responseDate") == ["2026-01-05T11:58:30Z"]


def test_the_schemas_are_located() -> None:
    where = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
    for root in (get(Shelf(), "Identify"), get(Shelf(), "")):
        assert root.get(where) == "http://www.openarchives.org/OAI/2.0/ http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd"


def test_the_formats_of_all_of_an_item_and_of_a_deleted_one() -> None:
    shelf = Shelf([item(1, CLOCK - 9), item(2, CLOCK - 9, live=False)])
    for arguments in ({}, {"identifier": oai(1)}, {"identifier": oai(2)}):
        root = get(shelf, "ListMetadataFormats", **arguments)
        assert texts(root, "metadataPrefix") == ["oai_dc", "oai_qdc", "ead3", "mets", "premis"]
        assert texts(root, "schema")[0] == "http://www.openarchives.org/OAI/2.0/oai_dc.xsd"
        assert texts(root, "metadataNamespace")[0] == "http://www.openarchives.org/OAI/2.0/oai_dc/"
        assert attributes(root) == {"verb": "ListMetadataFormats", **arguments}
    assert errors(get(shelf, "ListMetadataFormats", identifier=oai(3))) == ["idDoesNotExist"]


def test_a_record() -> None:
    root = get(Shelf(FIVE), "GetRecord", identifier=oai(3), metadataPrefix="oai_dc")
    assert attributes(root) == {"verb": "GetRecord", "identifier": oai(3), "metadataPrefix": "oai_dc"}
    assert texts(root, "identifier") == [oai(3)]
    assert texts(root, "datestamp") == ["2026-01-05T11:58:23Z"]
    assert texts(root, "setSpec") == ["fonds:z109", "type:Text"]
    assert [one.text for one in root.iter(DC + "title")] == ["第3件 <&>"]
    assert [one.get("status") for one in root.iter(OAI + "header")] == [None]


def test_a_deleted_record_has_a_header_with_its_sets_and_no_metadata() -> None:
    shelf = Shelf([item(1, CLOCK - 9, ("fonds:a",)), item(1, CLOCK - 5, ("fonds:a",), live=False)])
    for root in (
        get(shelf, "GetRecord", identifier=oai(1), metadataPrefix="oai_dc"),
        get(shelf, "ListRecords", metadataPrefix="oai_dc"),
        get(shelf, "ListIdentifiers", metadataPrefix="oai_dc"),
    ):
        assert [one.get("status") for one in root.iter(OAI + "header")] == ["deleted"]
        assert texts(root, "setSpec") == ["fonds:a"]
        assert texts(root, "datestamp") == ["2026-01-05T11:59:55Z"]
        assert not list(root.iter(OAI + "metadata"))


def test_sets_in_pages() -> None:
    shelf = Shelf(named=tuple(Set(f"type:{at}", f"第{at}类 <", "" if at else "说明 & <") for at in range(5)))
    answers = list(pages(shelf, "ListSets", 2))
    assert [texts(one, "setSpec") for one in answers] == [["type:0", "type:1"], ["type:2", "type:3"], ["type:4"]]
    assert texts(answers[0], "setName") == ["第0类 <", "第1类 <"]
    assert [one.text for one in answers[0].iter(DC + "description")] == ["说明 & <"]
    found = [dict(one.attrib) for root in answers for one in root.iter(OAI + "resumptionToken")]
    assert [(one["cursor"], one["completeListSize"]) for one in found] == [("0", "5"), ("2", "5"), ("4", "5")]
    assert [one.get("expirationDate") for one in found] == ["2026-01-05T12:10:00Z"] * 2 + [None]


def test_how_many_sets_there_are_is_what_there_were_when_the_list_began() -> None:
    shelf = Shelf(named=tuple(Set(f"type:{at}", "", "") for at in range(5)))
    token = token_of(get(shelf, "ListSets"))
    shelf.named = (*(shelf.named or ()), Set("type:9", "", ""))
    (one,) = get(shelf, "ListSets", resumptionToken=token).iter(OAI + "resumptionToken")
    assert one.get("completeListSize") == "5"


def test_sets_that_vanish_while_they_are_listed() -> None:
    """The harvester starts over. Without any set at all there is no hierarchy."""
    shelf = Shelf(named=tuple(Set(f"type:{at}", "", "") for at in range(3)))
    token = token_of(get(shelf, "ListSets"))
    shelf.named = shelf.named[:2] if shelf.named else None
    assert errors(get(shelf, "ListSets", resumptionToken=token)) == ["badResumptionToken"]
    assert errors(get(Shelf(), "ListSets")) == ["noSetHierarchy"]


# Errors.

LIST = (("verb", "ListRecords"), ("metadataPrefix", "oai_dc"))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (("Verb", "Identify"),),
        (("verb", ""),),
        (("verb", "identify"),),
        (("verb", "Identify "),),
        (("verb", "Identify"), ("verb", "Identify")),
        (("verb", "Identify"), ("verb", "ListSets")),
        (("verb", "\x00<&>\uffff"),),
        (("metadataPrefix", "oai_dc"), ("from", "x")),
    ],
)
def test_bad_verbs(arguments: tuple[tuple[str, str], ...]) -> None:
    root = ask(Shelf(FIVE), *arguments)
    assert (errors(root), attributes(root)) == (["badVerb"], {})


ID = ("identifier", oai(1))
PREFIX = ("metadataPrefix", "oai_dc")


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        # illegal
        ("Identify", [ID]), ("Identify", [("", "")]), ("Identify", [("resumptionToken", "x")]),
        ("ListMetadataFormats", [PREFIX]), ("ListMetadataFormats", [("resumptionToken", "x")]),
        ("ListSets", [PREFIX]), ("ListSets", [("set", "a")]),
        ("GetRecord", [ID, PREFIX, ("set", "a")]), ("GetRecord", [ID, PREFIX, ("resumptionToken", "x")]),
        ("ListRecords", [PREFIX, ID]), ("ListIdentifiers", [PREFIX, ("From", "2026-01-01")]),
        # missing
        ("GetRecord", [ID]), ("GetRecord", [PREFIX]), ("ListRecords", []), ("ListIdentifiers", [("set", "a")]),
        ("GetRecord", [PREFIX, ("identifier", "")]), ("ListMetadataFormats", [("identifier", "")]),
        # repeated
        ("ListRecords", [PREFIX, PREFIX]), ("ListRecords", [PREFIX, ("set", "a"), ("set", "b")]),
        ("ListRecords", [("resumptionToken", "x"), ("resumptionToken", "x")]), ("GetRecord", [ID, ID, PREFIX]),
        # exclusive
        ("ListRecords", [PREFIX, ("resumptionToken", "x")]), ("ListSets", [("resumptionToken", "x"), ("set", "a")]),
        ("ListIdentifiers", [("resumptionToken", "x"), ("until", "2026-01-01")]),
        # malformed
        ("ListRecords", [("metadataPrefix", "")]), ("ListRecords", [("metadataPrefix", "oai dc")]),
        ("ListRecords", [("metadataPrefix", "中")]), ("ListRecords", [("metadataPrefix", "oai_dc\n")]),
        *(("ListRecords", [PREFIX, ("set", it)]) for it in ("", ":", "a:", ":a", "a::b", "a b", "全宗", "a\n", "a/b")),
        ("GetRecord", [PREFIX, ("identifier", "oai:example.org:\x01")]),
        ("ListMetadataFormats", [("identifier", "\uffff")]), ("ListMetadataFormats", [("identifier", "a\nb\x00c")]),
    ],
)  # fmt: skip
def test_bad_arguments(verb: str, arguments: list[tuple[str, str]]) -> None:
    root = ask(Shelf(FIVE), ("verb", verb), *arguments)
    assert (set(errors(root)), attributes(root)) == ({"badArgument"}, {})


@pytest.mark.parametrize(
    "value",
    [
        "", "2026", "2026-01", "2026-1-1", "2026-13-01", "2026-02-29", "2026-01-00", "0000-01-01", "2026-01-01Z",
        "2026-01-01T00:00:00", "2026-01-01T00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "20260101",
        "2026-01-01T00:00:00.0Z", "2026-01-01T00:00:00+00:00", "2026-01-01t00:00:00z", "2026-01-01 00:00:00Z",
        " 2026-01-01", "2026-01-01\n", "２０２６-01-01", "-2026-01-01", "12026-01-01", "2026-W01-1", "x\x00",
    ],
)  # fmt: skip
def test_dates_that_are_none(value: str) -> None:
    for name in ("from", "until"):
        root = ask(Shelf(FIVE), *LIST, (name, value))
        assert (errors(root), attributes(root)) == (["badArgument"], {})


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-01-01", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-02"),
        ("2026-01-02", "2026-01-01"),
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"),
        ("3000-01-02", "3000-01-01"),
    ],
)
def test_ranges_that_are_none(since: str, until: str) -> None:
    assert errors(ask(Shelf(FIVE), *LIST, ("from", since), ("until", until))) == ["badArgument"]


def test_everything_that_is_wrong_is_told_and_no_more_than_that_of_thousands() -> None:
    wrong = [("set", ":"), ("from", "x"), ("until", "y"), *((f"{at}" * 100, "") for at in range(10_000))]
    root = ask(Shelf(), ("verb", "ListRecords"), *wrong, *wrong)
    assert errors(root) == ["badArgument"] * 6
    assert len(etree.tostring(root)) < 2_000


@pytest.mark.parametrize(
    "identifier",
    [
        oai(9), "x", "中", "a b", "%", "http://[", "http://a:99999999999999999999/", "oai:example.org:",
        oai(1).upper(), oai(1) + " ", " " + oai(1), oai(1) + "\n", f"oai:example.com:{uuid(1)}", f"urn:uuid:{uuid(1)}",
        oai(1).replace("-", ""), oai(1)[:-1], oai(1) + "0", f"oai:EXAMPLE.org:{uuid(1)}", "\ufffd", "<&\"'>", "oai:%zz",
        "oai:example.org:01890A5D-AC96-774B-BCCE-000000000001", uuid(1),
    ],
)  # fmt: skip
def test_identifiers_that_do_not_exist(identifier: str) -> None:
    shelf = Shelf(FIVE)
    assert errors(get(shelf, "ListMetadataFormats", identifier=identifier)) == ["idDoesNotExist"]
    root = get(shelf, "GetRecord", identifier=identifier, metadataPrefix="oai_dc")
    assert errors(root) == ["idDoesNotExist"]
    assert attributes(root).get("identifier", identifier) == identifier
    root = get(shelf, "GetRecord", identifier=identifier, metadataPrefix="marc21")
    assert errors(root) == ["idDoesNotExist", "cannotDisseminateFormat"]
    assert shelf.asked == (["item"] * 3 if identifier == oai(9) else [])  # for the others no statement is run


@given(st.from_regex(r"[a-z][a-z0-9+.-]*:[!#-~]*", fullmatch=True))
def test_an_identifier_is_echoed_or_left_out_but_never_breaks_the_answer(identifier: str) -> None:
    root = get(Shelf(), "GetRecord", identifier=identifier, metadataPrefix="oai_dc")
    assert errors(root) == ["idDoesNotExist"]


def test_what_is_not_shown_yet_and_what_never_was_are_asked_for_in_the_same_way() -> None:
    shelf = Shelf([item(1, CLOCK)])  # shown by answers from the next second on
    told = []
    for number in (1, 2):
        shelf.asked.clear()
        root = get(shelf, "GetRecord", identifier=oai(number), metadataPrefix="oai_dc")
        told.append((errors(root), list(shelf.asked)))
    assert told[0] == told[1] == (["idDoesNotExist"], ["item"])


def test_formats_that_there_are_not() -> None:
    root = get(Shelf(FIVE), "GetRecord", identifier=oai(1), metadataPrefix="marc21")
    assert errors(root) == ["cannotDisseminateFormat"]
    assert attributes(root) == {"verb": "GetRecord", "identifier": oai(1), "metadataPrefix": "marc21"}
    for verb in ("ListRecords", "ListIdentifiers"):
        assert errors(get(Shelf(FIVE), verb, metadataPrefix="OAI_DC")) == ["cannotDisseminateFormat"]


@pytest.mark.parametrize(
    "selection",
    [
        {"set": "nothing"}, {"set": "fonds:z1"}, {"set": "fonds:z109:a"}, {"from_": "2026-01-06"},
        {"from_": "3000-01-01", "until": "3000-01-01"}, {"until": "2023-12-31"}, {"until": "2026-01-04"},
        {"until": "0001-01-01"}, {"from_": "2026-01-05T11:58:25Z"},
    ],
)  # fmt: skip
def test_no_records_match_and_the_records_are_asked_all_the_same(selection: dict[str, str]) -> None:
    for verb in ("ListRecords", "ListIdentifiers"):
        shelf = Shelf(FIVE)
        root = get(shelf, verb, metadataPrefix="oai_dc", **selection)
        assert (errors(root), shelf.asked) == (["noRecordsMatch"], ["items"])
        given = {name.rstrip("_"): value for name, value in selection.items()}
        assert attributes(root) == {"verb": verb, "metadataPrefix": "oai_dc", **given}


# Lists.


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-01-04", None, [1, 2, 3, 4]),
        ("2026-01-05", None, [3, 4]),
        (None, "2026-01-04", [0, 1, 2]),
        ("2026-01-04", "2026-01-04", [1, 2]),
        ("2026-01-04T00:00:00Z", "2026-01-04T23:59:59Z", [1, 2]),
        ("2026-01-04T00:00:01Z", "2026-01-04T23:59:58Z", []),
        ("2026-01-04T23:59:59Z", "2026-01-05T00:00:00Z", [2, 3]),
        ("0001-01-01", "9999-12-31", [0, 1, 2, 3, 4]),
        (None, "9999-12-31T23:59:59Z", [0, 1, 2, 3, 4]),
    ],
)
def test_a_day_is_its_first_to_its_last_second(since: str | None, until: str | None, expected: list[int]) -> None:
    """And an until that is still to come is now: Shelf finds nothing for a later one."""
    first = int(datetime(2026, 1, 4, tzinfo=UTC).timestamp())
    stamps = (first - 1, first, first + 86_399, first + 86_400, CLOCK - 1)
    shelf = Shelf([item(at, stamp) for at, stamp in enumerate(stamps)])
    given = {**({"from_": since} if since else {}), **({"until": until} if until else {})}
    answers = pages(shelf, "ListIdentifiers", 2, metadataPrefix="oai_dc", **given) if expected else ()
    assert [one for root in answers for one in texts(root, "identifier")] == [oai(at) for at in expected]
    if not expected:
        assert errors(get(shelf, "ListIdentifiers", metadataPrefix="oai_dc", **given)) == ["noRecordsMatch"]


def test_a_list_in_one_page_has_no_token() -> None:
    root = get(Shelf(FIVE), "ListRecords", 5, metadataPrefix="oai_dc")
    assert len(texts(root, "identifier")) == 5
    assert not list(root.iter(OAI + "resumptionToken"))


def test_tokens_carry_cursor_and_expiry_and_the_last_one_is_empty() -> None:
    answers = list(pages(Shelf(FIVE), "ListRecords", 2, metadataPrefix="oai_dc"))
    found = [one for root in answers for one in root.iter(OAI + "resumptionToken")]
    expiry = "2026-01-05T12:10:00Z"
    assert [dict(one.attrib) for one in found] == [
        {"expirationDate": expiry, "completeListSize": "5", "cursor": "0"},
        {"expirationDate": expiry, "completeListSize": "5", "cursor": "2"},
        {"completeListSize": "5", "cursor": "4"},
    ]  # fmt: skip
    assert [bool(one.text) for one in found] == [True, True, False]
    assert attributes(answers[1]) == {"verb": "ListRecords", "resumptionToken": found[0].text}


def test_a_token_carries_the_arguments_as_they_were_given() -> None:
    root = get(
        Shelf(FIVE), "ListRecords", metadataPrefix="oai_dc", from_="2026-01-05", until="9999-12-31", set="fonds:z109"
    )
    token = unseal(token_of(root), KEY, ARCHIVE, CLOCK)
    assert (token.prefix, token.since, token.until, token.spec) == ("oai_dc", "2026-01-05", "9999-12-31", "fonds:z109")
    root = get(Shelf(FIVE), "ListRecords", metadataPrefix="oai_dc")
    assert unseal(token_of(root), KEY, ARCHIVE, CLOCK).until is None


def test_the_same_token_gives_the_same_page() -> None:
    shelf = Shelf(FIVE)
    token = token_of(get(shelf, "ListRecords", metadataPrefix="oai_dc"))
    one, other = (get(shelf, "ListRecords", resumptionToken=token) for _ in range(2))
    assert etree.tostring(one) == etree.tostring(other)


def test_bad_resumption_tokens() -> None:
    shelf = Shelf(FIVE)
    token = token_of(get(shelf, "ListRecords", metadataPrefix="oai_dc"))
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    for value in ("", "x", changed, token + "=", "中", "\x00\uffff", "a\n\t\r b", "x" * 100_000):
        for verb in ("ListRecords", "ListIdentifiers", "ListSets"):
            root = get(shelf, verb, resumptionToken=value)
            assert errors(root) == ["badResumptionToken"]
            echo = re.sub("[\x00\uffff]", "\ufffd", value)
            assert attributes(root) == {"verb": verb, "resumptionToken": echo}
    for verb in ("ListIdentifiers", "ListSets"):
        assert errors(get(shelf, verb, resumptionToken=token)) == ["badResumptionToken"]
    resume = (("verb", "ListRecords"), ("resumptionToken", token))
    assert errors(ask(shelf, *resume, now=NOW + timedelta(seconds=599))) == []
    assert errors(ask(shelf, *resume, now=NOW + timedelta(seconds=600))) == ["badResumptionToken"]
    for key, archive in ((b"x" * 32, ARCHIVE), (KEY, uuid(0))):
        there = replace(REPOSITORY, archive=archive)
        told = respond(resume, shelf, repository=there, now=NOW, key=key, page_size=2, token_ttl=600)
        assert errors(etree.fromstring(told)) == ["badResumptionToken"]


def test_a_token_whose_items_have_all_left_the_list() -> None:
    """Its range has none any more: the list has come to its end, and what left it is seen by the next harvest."""
    shelf = Shelf([item(at, CLOCK - 100) for at in range(3)])
    until = datetime.fromtimestamp(CLOCK - 50, UTC).isoformat().replace("+00:00", "Z")
    token = token_of(get(shelf, "ListRecords", metadataPrefix="oai_dc", until=until))
    shelf.looks.append(item(2, CLOCK - 10))
    assert errors(get(shelf, "ListRecords", resumptionToken=token)) == ["noRecordsMatch"]


@pytest.mark.parametrize("verb", ["ListRecords", "ListIdentifiers"])
def test_the_rest_of_a_list_that_will_be_shown_soon_is_not_said_to_be_none(verb: str) -> None:
    """It has changed just now, and is not shown as it was."""
    shelf = Shelf([item(at, CLOCK - 100, ("fonds:a",)) for at in range(3)])
    lists = [{}, {"set": "fonds:a"}, {"until": iso(CLOCK)}]
    tokens = [token_of(get(shelf, verb, metadataPrefix="oai_dc", **one)) for one in lists]
    for stamp, passed in ((CLOCK, 1), (CLOCK + 3, 4)):
        shelf.looks[2] = item(2, stamp, ("fonds:a",))
        for token in tokens[: 3 if stamp == CLOCK else 2]:
            resume = (("verb", verb), ("resumptionToken", token))
            for early in range(passed):
                with pytest.raises(NotYet):
                    ask(shelf, *resume, now=NOW + timedelta(seconds=early))
            assert texts(ask(shelf, *resume, now=NOW + timedelta(seconds=passed)), "identifier") == [oai(2)]


@pytest.mark.parametrize(
    ("selection", "stamp", "sets"),
    [
        ({}, CLOCK + 60, ("fonds:a",)),
        ({"until": "2026-01-05T11:59:59Z"}, CLOCK, ("fonds:a",)),
        ({"until": "2026-01-05T12:00:00Z"}, CLOCK + 1, ("fonds:a",)),
        ({"set": "fonds:a"}, CLOCK, ("fonds:b",)),
    ],
)
def test_what_is_shown_late_or_in_another_list_is_not_waited_for(
    selection: dict[str, str], stamp: int, sets: tuple[str, ...]
) -> None:
    shelf = Shelf([item(at, CLOCK - 100, ("fonds:a",)) for at in range(3)])
    token = token_of(get(shelf, "ListRecords", metadataPrefix="oai_dc", **selection))
    shelf.looks[2] = item(2, stamp, sets)
    assert errors(get(shelf, "ListRecords", resumptionToken=token)) == ["noRecordsMatch"]


def test_a_list_that_begins_is_not_waited_for() -> None:
    shelf = Shelf([item(0, CLOCK)])
    assert errors(get(shelf, "ListRecords", metadataPrefix="oai_dc")) == ["noRecordsMatch"]


SPECS = st.lists(st.sampled_from(["fonds:a", "fonds:a:b", "fonds:b", "type:Text"]), unique=True).map(sorted).map(tuple)
ITEMS = st.lists(
    st.builds(lambda stamp, sets, live: (stamp, sets, live), st.integers(1, 9), SPECS, st.booleans()), max_size=12
).map(lambda found: [item(at, CLOCK - 10 + stamp, sets, live=live) for at, (stamp, sets, live) in enumerate(found)])
BOUND = st.none() | st.integers(-1, 12).map(lambda at: CLOCK - 10 + at)


def iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@given(ITEMS, st.integers(1, 5), BOUND, BOUND, st.sampled_from([None, "fonds:a", "fonds:b", "fonds:a:b", "type"]))
@settings(deadline=None)
def test_a_harvest_sees_exactly_the_items_in_order(
    items: list[Item], page_size: int, since: int | None, until: int | None, spec: str | None
) -> None:
    expected = [
        one
        for one in sorted(items, key=lambda one: (one.stamp, one.record))
        if (since is None or since <= one.stamp)
        and (until is None or one.stamp <= until)
        and (spec is None or any(it == spec or it.startswith(spec + ":") for it in one.sets))
    ]
    selection = {
        **({"from_": iso(since)} if since is not None else {}),
        **({"until": iso(until)} if until is not None else {}),
        **({"set": spec} if spec is not None else {}),
    }
    for verb in ("ListRecords", "ListIdentifiers"):
        answers = list(pages(Shelf(items), verb, page_size, metadataPrefix="oai_dc", **selection))
        if since is not None and until is not None and since > until:
            assert errors(answers[0]) == ["badArgument"]
            continue
        if not expected:
            assert errors(answers[0]) == ["noRecordsMatch"]
            continue
        headers = [one for root in answers for one in root.iter(OAI + "header")]
        assert [
            (one.findtext(OAI + "identifier"), one.findtext(OAI + "datestamp"), one.get("status")) for one in headers
        ] == [
            ("oai:example.org:" + one.record.removeprefix("urn:uuid:"), iso(one.stamp), None if one.live else "deleted")
            for one in expected
        ]
        assert [tuple(it.text for it in one.findall(OAI + "setSpec")) for one in headers] == [
            one.sets for one in expected
        ]
        assert len(answers) == -(-len(expected) // page_size)
        live = sum(one.live for one in expected) if verb == "ListRecords" else 0
        assert sum(len(list(root.iter(OAI + "metadata"))) for root in answers) == live


CHANGES = st.lists(st.lists(st.tuples(st.integers(0, 14), st.booleans(), SPECS), max_size=3), max_size=12)


@given(ITEMS, CHANGES, st.integers(1, 5), st.integers(0, 2), st.integers(0, 1))
@settings(deadline=None)
def test_what_changes_during_a_harvest_is_not_lost(
    items: list[Item], changes: list[list[tuple[int, bool, tuple[str, ...]]]], page_size: int, lag: int, tick: int
) -> None:
    """Between two pages things get newer datestamps, some in the second of the page before. At the end the harvester
    has everything as it was shown at the responseDate of the last page.
    """
    shelf, view, clock = Shelf(list(items), lag=lag), dict[str, tuple[str, str | None]](), CLOCK
    arguments: tuple[tuple[str, str], ...] = LIST
    rounds = iter(changes)
    for _ in range(99):  # of changes there are fewer
        now = datetime.fromtimestamp(clock, UTC)
        root = ask(shelf, *arguments, now=now, page_size=page_size)
        for one in root.iter(OAI + "header"):
            view[one.findtext(OAI + "identifier") or ""] = (one.findtext(OAI + "datestamp") or "", one.get("status"))
        token = token_of(root)
        if not token:
            break
        for number, live, sets in next(rounds, ()):
            shelf.looks.append(item(number, shelf.now(now), sets, live=live))
        clock += tick
        arguments = (("verb", "ListRecords"), ("resumptionToken", token))
    else:
        pytest.fail("the list has no end")
    shown = shelf.wanted(Wanted(), clock - lag)
    assert errors(root) == ([] if shown else ["noRecordsMatch"])
    assert view == {
        "oai:example.org:" + one.record.removeprefix("urn:uuid:"): (iso(one.stamp), None if one.live else "deleted")
        for one in shown
    }


# Whatever comes in.

ANY = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.sampled_from(["verb", "identifier", "metadataPrefix", "from", "until", "set", "resumptionToken"])
VERBS = st.sampled_from(["Identify", "ListMetadataFormats", "ListSets", "GetRecord", "ListIdentifiers", "ListRecords"])
VALUES = st.sampled_from(
    ["oai_dc", oai(1), oai(9), "2026-01-05", "2026-01-05T11:58:21Z", "fonds:z109", "type", "\x00", "\ufffe", "\r\n\t"]
)


@given(st.lists(st.tuples(NAMES | ANY, VALUES | VERBS | ANY), max_size=6), VERBS | st.none())
@settings(deadline=None, max_examples=500)
def test_whatever_is_asked_there_is_a_valid_answer(arguments: list[tuple[str, str]], verb: str | None) -> None:
    root = ask(Shelf(FIVE), *([("verb", verb)] if verb else []), *arguments)
    assert {"badVerb", "badArgument"}.isdisjoint(errors(root)) or attributes(root) == {}


@given(st.sampled_from(["identifier", "resumptionToken", "set", "from", "metadataPrefix"]), ANY, VERBS)
@settings(deadline=None, max_examples=300)
def test_whatever_one_argument_is_there_is_a_valid_answer(name: str, value: str, verb: str) -> None:
    fitting = {"GetRecord": [PREFIX, ID], "ListIdentifiers": [PREFIX], "ListRecords": [PREFIX]}.get(verb, [])
    alone = [] if name == "resumptionToken" else [one for one in fitting if one[0] != name]
    ask(Shelf(FIVE), ("verb", verb), *alone, (name, value))
    respond([(name, value)], Shelf(), repository=REPOSITORY, now=NOW, key=KEY, page_size=1, token_ttl=1)


def test_a_list_whose_format_is_given_no_more_ends_with_an_error() -> None:
    token = next(iter(texts(get(Shelf(FIVE), "ListRecords", 2, metadataPrefix="oai_qdc"), "resumptionToken")))
    left = {prefix: one for prefix, one in FORMATS.items() if prefix != "oai_qdc"}
    told = respond(
        [("verb", "ListRecords"), ("resumptionToken", token)], Shelf(FIVE), repository=REPOSITORY, now=NOW, key=KEY,
        page_size=2, token_ttl=600, formats=left,
    )  # fmt: skip
    assert errors(etree.fromstring(told)) == ["cannotDisseminateFormat"]


@given(ANY, ANY, ANY)
@settings(deadline=None)
def test_whatever_names_have_in_them_stays_text(name: str, title: str, about: str) -> None:
    repository = replace(REPOSITORY, name=name)
    told = respond(
        [("verb", "Identify")], Shelf(), repository=repository, now=NOW, key=KEY, page_size=1, token_ttl=1
    )  # fmt: skip
    legible = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
    assert (etree.fromstring(told).findtext(f".//{OAI}repositoryName") or "") == legible.sub("\ufffd", name)
    root = get(Shelf(named=(Set("type:a", title, about),)), "ListSets")
    assert texts(root, "setName") == [legible.sub("\ufffd", title)]
    assert "".join(one.text or "" for one in root.iter(DC + "description")) == legible.sub("\ufffd", about)


@pytest.mark.parametrize("one", [chr(code) for code in range(128)], ids=ascii)
def test_each_character_alone(one: str) -> None:
    expected = one if one in "\t\n\r" or one >= " " else "\ufffd"
    assert texts(get(Shelf(named=(Set("type:a", one, one),)), "ListSets"), "setName") == [expected]
    assert attributes(get(Shelf(), "ListSets", resumptionToken=one))["resumptionToken"] == expected
