"""Where a record of another archive came from, as whoever harvests it here is told: the <about> containers of OAI-PMH
2.0 section 2.5, https://www.openarchives.org/OAI/2.0/guidelines-provenance.htm. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from ..metadata.xml import attribute, text
from . import Origin

_OAI = "http://www.openarchives.org/OAI/2.0/"
_NAMESPACE = "http://www.openarchives.org/OAI/2.0/provenance"
_PROVENANCE = (
    f'<provenance xmlns="{_NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    f' xsi:schemaLocation="{_NAMESPACE} {_NAMESPACE}.xsd">'
    '<originDescription harvestDate=%s altered="false"><baseURL>%s</baseURL><identifier>%s</identifier>'
    "<datestamp>%s</datestamp><metadataNamespace>%s</metadataNamespace>%s</originDescription></provenance>"
)


_START = re.compile(r"<[^\s/>]+")
_BARE = re.compile(r"<[^\s/>:!?]+[\s/>]")


def kept_apart(element: str) -> str:
    """The same where another namespace is the default: what has none in it keeps none. element: as lxml writes it."""
    if ' xmlns="' in element.partition(">")[0] or not _BARE.search(element):
        return element
    return _START.sub(r'\g<0> xmlns=""', element, count=1)


def abouts(origin: Origin) -> list[str]:
    """Elements, each for an <about> of its own: its provenance, within which stands the one that it came with, if it
    did; then all else that it came with and that can stand in an answer.
    """
    before, others = "", list[str]()
    for one in origin.about:
        element = etree.fromstring(one.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
        earlier = element.find(f"{{{_NAMESPACE}}}originDescription")
        if not before and element.tag == f"{{{_NAMESPACE}}}provenance" and earlier is not None:
            before = kept_apart(_text(earlier))
        elif etree.QName(element).namespace not in (None, _OAI):  # OAI-PMH.xsd: aboutType
            others.append(kept_apart(one))
    own = _PROVENANCE % (
        attribute(origin.harvested), text(origin.base_url), text(origin.identifier), text(origin.datestamp),
        text(origin.namespace), before,
    )  # fmt: skip
    return [own, *others]


def _text(element: Any) -> str:
    return str(etree.tostring(element, encoding="unicode", with_tail=False))
