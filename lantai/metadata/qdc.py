"""Qualified Dublin Core: a description in the terms of DCMI, refinements kept, as oai_qdc. Bytes out.

The element around them is the one that OCLC's CONTENTdm made usual, since DCMI publishes none in a namespace: its type
is DCMI's elementOrRefinementContainer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..model import DateSpan, Element, Record, RecordId
from .elements import simple
from .xml import attribute, text

NAMESPACE = "http://worldcat.org/xmlschemas/qdc-1.0/"
SCHEMA = "http://worldcat.org/xmlschemas/qdc/1.0/qdc-1.0.xsd"

_TERMS = "dcterms."
# What DCMI's terms say more precisely than the fifteen do; those that are DCMI's own stand for themselves.
_REFINED: Mapping[str, str] = {
    "摄影时间": "created",
    **dict.fromkeys(("isadg.extent", "卷数", "件数", "张数", "页数", "时长", "分钟数", "字节数"), "extent"),
    "载体": "medium",
    "isadg.archival_history": "provenance",
    "isadg.acquisition": "provenance",
    "isadg.access_conditions": "accessRights",
}
_SCHEMES = frozenset({"LCSH", "MESH", "DDC", "LCC", "UDC", "TGN", "Period", "Point", "Box", "IMT", "ISO3166"})
"""DCMI's encoding schemes that take any text."""
_W3CDTF = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")


def element(record: Record, *, part_of: RecordId | None = None) -> Iterator[bytes]:
    """Every element that DCMI has a term for, part_of as dcterms:isPartOf, the record's id as dc:identifier."""
    yield (
        f'<oai_qdc:qualifieddc xmlns:oai_qdc="{NAMESPACE}" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{NAMESPACE} {SCHEMA}">\n'
    ).encode()
    spans = {span.text: span for span in record.description.dates}
    for one in record.description.elements:
        name = _name(one.term)
        if name is not None:
            yield f"  <{name}{_qualified(one, spans.get(one.value))}>{text(one.value)}</{name}>\n".encode()
    if part_of is not None:
        yield _uri("dcterms:isPartOf", part_of)
    yield _uri("dc:identifier", record.id)
    yield b"</oai_qdc:qualifieddc>\n"


def _name(term: str) -> str | None:
    refined = term.removeprefix(_TERMS) if term.startswith(_TERMS) and _known(term) else _REFINED.get(term)
    if refined is not None:
        return f"dcterms:{refined}"
    plain = simple(term)
    return None if plain is None else plain.replace(".", ":")


def _known(term: str) -> bool:
    return term.removeprefix(_TERMS) in _DCMI


_DCMI = frozenset({
    "abstract", "accessRights", "accrualMethod", "accrualPeriodicity", "accrualPolicy", "alternative", "audience",
    "available", "bibliographicCitation", "conformsTo", "created", "dateAccepted", "dateCopyrighted",
    "dateSubmitted", "educationLevel", "extent", "hasFormat", "hasPart", "hasVersion", "instructionalMethod",
    "isFormatOf", "isPartOf", "isReferencedBy", "isReplacedBy", "isRequiredBy", "issued", "isVersionOf", "license",
    "mediator", "medium", "modified", "provenance", "references", "replaces", "requires", "rightsHolder", "spatial",
    "tableOfContents", "temporal", "valid",
})  # fmt: skip
"""The terms beyond the fifteen that DCMI's dcterms.xsd of 2008-02-11 has; a sheet may have a heading of its own that
looks like one.
"""


def _qualified(one: Element, span: DateSpan | None) -> str:
    """A language or an encoding scheme: in DCMI's schema no element has both."""
    if one.language:
        return f" xml:lang={attribute(one.language)}"
    if one.scheme in _SCHEMES:
        return f' xsi:type="dcterms:{one.scheme}"'
    is_w3cdtf = span is not None and span.earliest is not None and span.edtf == one.value
    return ' xsi:type="dcterms:W3CDTF"' if is_w3cdtf and _W3CDTF.fullmatch(one.value) else ""


def _uri(name: str, value: str) -> bytes:
    return f'  <{name} xsi:type="dcterms:URI">{text(value)}</{name}>\n'.encode()
