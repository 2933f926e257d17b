"""Every answer of an OAI-PMH provider by its schemas: the envelope, and, since OAI-PMH.xsd skips what is inside, each
metadata, about, description and setDescription by the schema of its namespace. Of what has no schema here the rules are
written out; a namespace that is in neither fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lxml import etree

from lantai.oai.formats import FORMATS
from tests.unit.test_oai_formats import judge
from tests.unit.test_oai_protocol import ENVELOPE, OAI

_INSIDE = ("metadata", "about", "description", "setDescription")
_PREFIXES = {form.namespace: prefix for prefix, form in FORMATS.items()}


def judged(answer: bytes) -> etree._Element:
    """Its root element. AssertionError, etree.DocumentInvalid."""
    root = etree.fromstring(answer, etree.XMLParser(resolve_entities=False, no_network=True))
    ENVELOPE.assertValid(root)
    for name in _INSIDE:
        for one in root.iter(OAI + name):
            for inside in one.iterchildren(etree.Element):
                inner(inside)
    return root


def inner(element: etree._Element) -> None:
    """What stands inside a metadata, about or description by its own schema."""
    namespace = etree.QName(element).namespace or ""
    if namespace in _PREFIXES:
        judge(_PREFIXES[namespace], element)
    else:
        assert namespace in _RULES, f"there is no schema of {namespace}"
        _RULES[namespace](element)


def _identifier(element: etree._Element) -> None:
    """oai-identifier.xsd."""
    told = [(etree.QName(one).localname, one.text or "") for one in element]
    assert [name for name, _text in told] == ["scheme", "repositoryIdentifier", "delimiter", "sampleIdentifier"]
    values = dict(told)
    assert (values["scheme"], values["delimiter"]) == ("oai", ":")
    domain = values["repositoryIdentifier"]
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9\-]*(\.[a-zA-Z][a-zA-Z0-9\-]*)+", domain)
    assert re.fullmatch(rf"oai:{re.escape(domain)}:[a-zA-Z0-9\-_\.!~\*'\(\);/\?:@&=\+$,%]+", values["sampleIdentifier"])


def _friends(element: etree._Element) -> None:
    """friends.xsd: anyURIs of base URLs, one at least where the element is there at all."""
    assert element.tag == _GUIDELINES + "friends/}friends"
    assert len(element) > 0
    for one in element:
        assert one.tag == _GUIDELINES + "friends/}baseURL"
        assert re.fullmatch(r"https?://\S+", one.text or "")


def _branding(element: etree._Element) -> None:
    """branding.xsd: an icon of url, link, title, width, height, of which the first alone must be there; then rules."""
    assert element.tag == _GUIDELINES + "branding/}branding"
    (icon,) = element
    names = [etree.QName(one).localname for one in icon]
    assert names[0] == "url"
    assert names == [name for name in ("url", "link", "title", "width", "height") if name in names]
    assert all(re.fullmatch(r"https?://\S+", one.text or "") for one in icon if one.tag.endswith(("url", "link")))


def _provenance(element: etree._Element) -> None:
    """provenance.xsd: an originDescription, and in each at most one of an earlier origin."""
    here = _GUIDELINES + "provenance}"
    assert element.tag == here + "provenance"
    (origin,) = element
    while True:
        assert origin.tag == here + "originDescription"
        assert set(origin.attrib) == {"harvestDate", "altered"}
        assert _SECOND.fullmatch(origin.get("harvestDate") or "")
        assert origin.get("altered") in ("true", "false")
        names = [here + name for name in ("baseURL", "identifier", "datestamp", "metadataNamespace")]
        told, earlier = list(origin)[:4], list(origin)[4:]
        assert [one.tag for one in told] == names
        assert all(one.text for one in told)
        assert _SECOND.fullmatch(told[2].text or "")
        if not earlier:
            return
        (origin,) = earlier


_SECOND = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?")
_GUIDELINES = "{http://www.openarchives.org/OAI/2.0/"
_RULES: Mapping[str, Callable[[etree._Element], None]] = {
    "http://www.openarchives.org/OAI/2.0/oai-identifier": _identifier,
    "http://www.openarchives.org/OAI/2.0/friends/": _friends,
    "http://www.openarchives.org/OAI/2.0/branding/": _branding,
    "http://www.openarchives.org/OAI/2.0/provenance": _provenance,
}
