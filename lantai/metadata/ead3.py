"""EAD3: a package's own tree of records, nothing of it lost. Bytes out, records in; and back.

Each statement of a description stands in the element of EAD3 that means it, with its term as encodinganalog and its
scheme as localtype; what EAD3 has no element for stands in odd. A component's id is its record's uuid, and a dao names
each payload file or folder that it describes. For those outside there is one record alone, with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO

from lxml import etree

from ..model import LEVELS, DateSpan, Description, Element, PackageId, Place, Record, RecordId
from .elements import description
from .xml import DECLARATION, attribute, datetime_of, href, text, unhref

NAMESPACE = "http://ead3.archivists.org/schema/"
_NS = "{" + NAMESPACE + "}"
_DATA = "../../representations/original/data/"

# The way down from a unit to the text of a statement, for the terms that EAD3 has an element for. The others stand in
# odd, under their own name.
_WAYS: Mapping[str, tuple[str, ...]] = {
    "dc.title": ("unittitle",),
    "isadg.reference_code": ("unitid",),
    "dc.date": ("unitdate",),
    "isadg.extent": ("physdesc",),
    "dcterms.abstract": ("abstract",),
    "dc.creator": ("origination", "name", "part"),
    "dc.language": ("langmaterial", "language"),
    "dc.subject": ("controlaccess", "subject", "part"),
    "dcterms.spatial": ("controlaccess", "geogname", "part"),
    "isadg.administrative_history": ("bioghist", "p"),
    "isadg.archival_history": ("custodhist", "p"),
    "isadg.acquisition": ("acqinfo", "p"),
    "dc.description": ("scopecontent", "p"),
    "isadg.appraisal": ("appraisal", "p"),
    "isadg.accruals": ("accruals", "p"),
    "isadg.arrangement": ("arrangement", "p"),
    "isadg.access_conditions": ("accessrestrict", "p"),
}
_IDENTITY = frozenset({"unittitle", "unitid", "unitdate", "physdesc", "abstract", "origination", "langmaterial"})
_WITHOUT_LOCALTYPE = frozenset({"unitdate", "langmaterial"})


def write(
    package: PackageId,
    records: Sequence[Record],
    places: Sequence[Place],
    *,
    at: datetime,
    by: str,
    agency: str,
    revised: bool,
) -> Iterator[bytes]:
    """records: the root first. places: of hierarchy fonds; siblings stand in the order of their positions. agency: who
    keeps the description; revised: it was written before, with an earlier version of the package.
    """
    top = records[0]
    by_id = {record.id: record for record in records}
    children: dict[RecordId, list[Place]] = {}
    for place in places:
        if place.parent is not None and place.record != top.id:
            children.setdefault(place.parent, []).append(place)
    title = text(top.description.title)
    yield DECLARATION
    yield (
        f'<ead xmlns="{NAMESPACE}">\n<control><recordid>{text(package)}</recordid>'
        f"<filedesc><titlestmt><titleproper>{title}</titleproper></titlestmt></filedesc>"
        f'<maintenancestatus value="{"revised" if revised else "new"}"/><maintenanceagency><agencyname>'
        f"{text(agency)}</agencyname></maintenanceagency><maintenancehistory><maintenanceevent>"
        f'<eventtype value="{"revised" if revised else "created"}"/>'
        f'<eventdatetime standarddatetime="{datetime_of(at)}">{datetime_of(at)}</eventdatetime>'
        f'<agenttype value="human"/><agent>{text(by)}</agent>'
        "</maintenanceevent></maintenancehistory></control>\n"
        f'<archdesc id="{_xml_id(top.id)}" level="{top.description.level}">{_unit(top)}'
    ).encode()
    if children.get(top.id):
        yield b"<dsc>\n"
        yield from _components(top.id, children, by_id)
        yield b"</dsc>\n"
    yield b"</archdesc>\n</ead>\n"


def _components(
    parent: RecordId, children: Mapping[RecordId, list[Place]], by_id: Mapping[RecordId, Record]
) -> Iterator[bytes]:
    for place in sorted(children.get(parent, ()), key=lambda one: one.position):
        record = by_id[place.record]
        yield f'<c id="{_xml_id(record.id)}" level="{record.description.level}">{_unit(record)}'.encode()
        yield from _components(record.id, children, by_id)
        yield b"</c>\n"


SCHEMA = "https://www.loc.gov/ead/ead3.xsd"
_NOT_TOLD = frozenset({"isadg.archivist_note"})
"""ISAD(G) 3.7.1: who described it. No staff is named to those outside."""


def element(
    record: Record, above: Sequence[Record], *, at: datetime, agency: str, oai: str, link: str
) -> Iterator[bytes]:
    """One record without its descendants and files. above: what of the records above it is told, the nearest first; at:
    since when it looks so; agency: who keeps it; oai: its oai-identifier; link: where it is asked for.
    """
    told = [one for one in record.description.elements if one.term not in _NOT_TOLD]
    alone = Record(record.id, None, replace(record.description, elements=tuple(told)))
    relations = "".join(map(_above, above))
    yield (
        f'<ead xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{NAMESPACE} {SCHEMA}">\n'
        f"<control><recordid instanceurl={attribute(link)}>{text(record.id)}</recordid>"
        f'<otherrecordid localtype="OAI">{text(oai)}</otherrecordid>'
        f"<filedesc><titlestmt><titleproper>{text(record.description.title)}</titleproper></titlestmt></filedesc>"
        f'<maintenancestatus value="derived"/><maintenanceagency><agencyname>{text(agency)}</agencyname>'
        '</maintenanceagency><maintenancehistory><maintenanceevent><eventtype value="derived"/>'
        f'<eventdatetime standarddatetime="{datetime_of(at)}">{datetime_of(at)}</eventdatetime>'
        '<agenttype value="machine"/><agent>lantai</agent></maintenanceevent></maintenancehistory></control>\n'
        f'<archdesc id="{_xml_id(record.id)}" level="{record.description.level}">{_unit(alone)}'
        f"{f'<relations>{relations}</relations>' if relations else ''}</archdesc>\n</ead>\n"
    ).encode()


def _above(one: Record) -> str:
    code = one.description.first("isadg.reference_code")
    coded = f'<relationentry localtype="reference code">{text(code)}</relationentry>' if code else ""
    return (
        '<relation relationtype="resourcerelation" arcrole="http://purl.org/dc/terms/isPartOf" '
        f"href={attribute(one.id)}>"
        f'<relationentry localtype="{one.description.level}">{text(one.description.title)}</relationentry>{coded}'
        "</relation>"
    )


def _unit(record: Record) -> str:
    spans = {span.text: span for span in record.description.dates}
    identity: list[str] = []
    body: list[str] = []
    for element in record.description.elements:
        way = _WAYS.get(element.term, ("odd", "p"))
        normal = _normal(spans.get(element.value)) if way[0] == "unitdate" else ""
        (identity if way[0] in _IDENTITY else body).append(_statement(way, element, normal))
    identity += [f'<dao daotype="unknown" href={attribute(href(_DATA + path))}/>' for path in record.paths]
    return f"<did>{''.join(identity) or '<unittitle/>'}</did>{''.join(body)}"


def _statement(way: Sequence[str], element: Element, normal: str) -> str:
    scheme = "altrender" if way[0] in _WITHOUT_LOCALTYPE else "localtype"
    qualified = f" {scheme}={attribute(element.scheme)}" if element.scheme else ""
    language = f" lang={attribute(element.language)}" if element.language else ""
    head = f"<head>{text(element.term)}</head>" if way[0] == "odd" and "." not in element.term else ""
    inner = text(element.value)
    for name in reversed(way[1:]):
        inner = f"<{name}>{inner}</{name}>"
    attributes = f"encodinganalog={attribute(element.term)}{language}{qualified}{normal}"
    return f"<{way[0]} {attributes}>{head}{inner}</{way[0]}>"


def _normal(span: DateSpan | None) -> str:
    """The days meant, for programs (EAD3 unitdate normal)."""
    if span is None or span.earliest is None or span.latest is None:
        return ""
    days = str(span.earliest) if span.earliest == span.latest else f"{span.earliest}/{span.latest}"
    return f' normal="{days}"'


def _xml_id(record: RecordId) -> str:
    return "uuid-" + record.removeprefix("urn:uuid:")


def read(source: BinaryIO, package: PackageId) -> tuple[tuple[Record, ...], tuple[Place, ...]]:
    """The records of an EAD3 document that lantai wrote, root first, and their places. ValueError for anything else."""
    try:
        tree = etree.parse(source, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error
    top = tree.getroot().find(_NS + "archdesc")
    if top is None:
        raise ValueError("archdesc")
    records: list[Record] = []
    places: list[Place] = []
    waiting: list[tuple[etree._Element, RecordId | None, int]] = [(top, None, 0)]
    while waiting:
        node, parent, position = waiting.pop()
        record = _record(node, package)
        records.append(record)
        places.append(Place(record.id, "fonds", parent, position, record.description.first("isadg.reference_code")))
        below = [*node.iterfind(f"{_NS}dsc/{_NS}c"), *node.iterfind(_NS + "c")]
        waiting += reversed([(child, record.id, at) for at, child in enumerate(below)])
    return tuple(records), tuple(places)


def _record(node: etree._Element, package: PackageId) -> Record:
    level = next((name for name in LEVELS if name == node.get("level")), None)
    did = node.find(_NS + "did")
    if level is None or did is None:
        raise ValueError(node.get("id", ""))
    found: Description = description(level, [*_elements(did), *_elements(node)])
    paths = tuple(unhref(dao.get("href", "")).removeprefix(_DATA) for dao in did.iterfind(_NS + "dao"))
    return Record(RecordId("urn:uuid:" + node.get("id", "").removeprefix("uuid-")), package, found, paths)


def _elements(node: etree._Element) -> Iterable[Element]:
    for child in node:
        term = child.get("encodinganalog")
        if term is None:
            continue
        inner = child
        while len(inner):
            inner = inner[-1]
        value = inner.text or ""
        yield Element(term, value, child.get("lang"), child.get("localtype") or child.get("altrender"))
