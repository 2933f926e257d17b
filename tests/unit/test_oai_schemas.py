"""The judge of whole answers: what is inside the envelope is looked at too, wherever it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from lantai.model import Element
from lantai.oai import Brand, Origin, Set
from lantai.oai.formats import FORMATS
from lantai.oai.protocol import respond
from tests.conformance.shelf import Shelf
from tests.integration.schemas import judged
from tests.unit.test_oai_formats import record, shown
from tests.unit.test_oai_protocol import CLOCK, KEY, NOW, REPOSITORY, item

TOLD = replace(
    REPOSITORY, friends=("https://county.example.org/oai",),
    brand=Brand("https://archive.example.org/icon.png", "https://archive.example.org/", "云岭县档案馆"),
)  # fmt: skip
PHOTO = FORMATS["oai_dc"].render(shown(record(1, Element("dc.title", "灯谜 <&>"))))
EARLIER = (
    '<provenance xmlns="http://www.openarchives.org/OAI/2.0/provenance"><originDescription '
    'harvestDate="2025-01-01T00:00:00Z" altered="true"><baseURL>https://c.example.org/oai</baseURL>'
    "<identifier>oai:c.example.org:1</identifier><datestamp>2025-01-01</datestamp>"
    "<metadataNamespace>http://www.openarchives.org/OAI/2.0/oai_dc/</metadataNamespace>"
    "</originDescription></provenance>"
)
ORIGIN = Origin(
    "oai:county.example.org:1", "2026-01-01T00:00:00Z", "https://county.example.org/oai", "2026-01-02T00:00:00Z",
    FORMATS["oai_dc"].namespace, (EARLIER,),
)  # fmt: skip
SHELF = Shelf(
    [replace(item(1, CLOCK - 9), metadata=PHOTO, origin=ORIGIN)], named=(Set("type", "类型", "按 DCMI 类型 <&>"),)
)


def answer(verb: str) -> bytes:
    arguments = [("verb", verb), *([("metadataPrefix", "oai_dc")] if verb == "ListRecords" else [])]
    return respond(arguments, SHELF, repository=TOLD, now=NOW, key=KEY, page_size=9, token_ttl=600)


@pytest.mark.parametrize("verb", ["Identify", "ListSets", "ListMetadataFormats", "ListRecords"])
def test_what_is_answered_is_valid_outside_and_inside(verb: str) -> None:
    judged(answer(verb))


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("Identify", b"<repositoryName>", b"<repositoryname>"),
        ("Identify", b"<delimiter>:</delimiter>", b""),
        ("Identify", b"<scheme>oai<", b"<scheme>doi<"),
        ("Identify", b'friends/"', b'enemies/"'),
        ("Identify", b"<baseURL>https://county", b"<url>https://county"),
        ("Identify", b"<url>https://archive", b"<url>archive"),
        ("ListSets", b"dc:description>", b"dc:descriptions>"),
        ("ListRecords", b'altered="true"', b'altered="no"'),
        ("ListRecords", b"<identifier>oai:c.example.org:1</identifier>", b""),
        ("ListRecords", b"dc:title>", b"dc:titles>"),
        ("ListRecords", b'/OAI/2.0/oai_dc/"', b'/OAI/2.1/oai_dc/"'),
    ],
)
def test_what_is_wrong_inside_is_seen(verb: str, before: bytes, after: bytes) -> None:
    whole = answer(verb)
    assert before in whole
    with pytest.raises((AssertionError, etree.DocumentInvalid, etree.XMLSyntaxError)):
        judged(whole.replace(before, after))
