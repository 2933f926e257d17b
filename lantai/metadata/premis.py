"""PREMIS 3.0: written as a stream, read as a stream.

The root document tells of the package (an intellectual entity), its representations, what was done to it, by whom, and
who may see it; a representation's document tells of its files. An event that holds for all files names the
representation; one that holds for some is named by those files. A million files make no million events.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import BinaryIO, TypeAlias

from lxml import etree

from ..digest import Algorithm, Digests
from ..model import Agent, Decision, Event, FileId, Format, PackageId, PayloadFile, RecordId
from .xml import DECLARATION, ILLEGAL, datetime_of, href, text, unhref

NAMESPACE = "http://www.loc.gov/premis/v3"
_NS = "{" + NAMESPACE + "}"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"

_OPEN = DECLARATION + (
    f'<premis xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0">\n'.encode()
)
_CLOSE = b"</premis>\n"

# Names of the Library of Congress vocabulary cryptographicHashFunctions; SM3 is not in it and stands as it is called.
ALGORITHMS: dict[Algorithm, str] = {
    "md5": "MD5", "sha1": "SHA-1", "sha224": "SHA-224", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512",
    "sm3": "SM3", "blake2b-512": "BLAKE2b-512",
}  # fmt: skip
_BY_NAME = {name: algorithm for algorithm, name in ALGORITHMS.items()}

# Of the vocabulary eventRelatedAgentRole.
_ROLES = {"person": "implementer", "organization": "implementer", "software": "executing program"}

_ESCAPED = "original name, percent-encoded"
_EMPTY_FOLDER = "empty folder"
_EMPTY_FOLDER_ESCAPED = "empty folder, percent-encoded"


@dataclass(frozen=True, slots=True)
class Representation:
    """A set of files that together render the content. id: urn:uuid:; empty_folders: original names."""

    id: str
    name: str
    package: PackageId
    empty_folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entity:
    """The package as intellectual entity: what was handed over, and the digest of it."""

    package: PackageId
    submission: str
    representations: tuple[Representation, ...]


Statement: TypeAlias = Entity | Representation | PayloadFile | Event | Agent | Decision


def root(
    entity: Entity, events: Iterable[Event], agents: Sequence[Agent], rights: Sequence[Decision]
) -> Iterator[bytes]:
    """The package's own document."""
    yield _OPEN
    links = "".join(relation("structural", "is represented by", one.id) for one in entity.representations)
    statements = "".join(_link("RightsStatement", one.id) for one in rights)
    note, name = original_name(entity.submission)
    yield (
        f'<object xsi:type="intellectualEntity">{identifier("object", entity.package)}{note}'
        f"<originalName>{text(name)}</originalName>{links}{statements}</object>\n"
    ).encode()
    for one in entity.representations:
        yield _representation(one)
    for event in events:
        yield _event(event, agents)
    for agent in agents:
        yield _agent(agent)
    for decision in rights:
        yield _rights(decision)
    yield _CLOSE


def representation(
    one: Representation, files: Iterable[PayloadFile], events: Iterable[Event], agents: Sequence[Agent]
) -> Iterator[bytes]:
    """A representation's document. files in path order, consumed once; memory does not grow with their number."""
    yield _OPEN
    yield _representation(one)
    included = relation("structural", "is included in", one.id)
    pending: list[str] = []
    formats: dict[tuple[Format, ...], str] = {}
    for file in files:
        pending.append(_file(file, included, formats))
        if len(pending) == 256:
            yield "".join(pending).encode()
            pending.clear()
    yield "".join(pending).encode()
    for event in events:
        yield _event(event, agents)
    for agent in agents:
        yield _agent(agent)
    yield _CLOSE


def identifier(of: str, value: str) -> str:
    kind = "UUID" if value.startswith("urn:uuid:") else "local"
    name = f"{of}Identifier"
    return f"<{name}><{name}Type>{kind}</{name}Type><{name}Value>{text(value)}</{name}Value></{name}>"


def _link(to: str, value: str, role: str = "") -> str:
    kind = "UUID" if value.startswith("urn:uuid:") else "local"
    name = f"linking{to}Identifier"
    role = f"<linking{to}Role>{role}</linking{to}Role>" if role else ""
    return f"<{name}><{name}Type>{kind}</{name}Type><{name}Value>{text(value)}</{name}Value>{role}</{name}>"


def relation(kind: str, subtype: str, to: str) -> str:
    return (
        f"<relationship><relationshipType>{kind}</relationshipType><relationshipSubType>{subtype}</relationshipSubType>"
        f"<relatedObjectIdentifier><relatedObjectIdentifierType>UUID</relatedObjectIdentifierType>"
        f"<relatedObjectIdentifierValue>{to}</relatedObjectIdentifierValue></relatedObjectIdentifier></relationship>"
    )


def significant(kind: str, value: str) -> str:
    return (
        f"<significantProperties><significantPropertiesType>{kind}</significantPropertiesType>"
        f"<significantPropertiesValue>{text(value)}</significantPropertiesValue></significantProperties>"
    )


def original_name(name: str) -> tuple[str, str]:
    """A note where one is needed, and the name as it is written."""
    if ILLEGAL.search(name) is None:
        return "", name
    return significant(_ESCAPED, "XML cannot hold this name: its bytes are percent-encoded"), href(name)


def _representation(one: Representation) -> bytes:
    folders = "".join(
        significant(_EMPTY_FOLDER_ESCAPED, href(name)) if ILLEGAL.search(name) else significant(_EMPTY_FOLDER, name)
        for name in one.empty_folders
    )
    return (
        f'<object xsi:type="representation">{identifier("object", one.id)}{folders}'
        f"<originalName>{text(one.name)}</originalName>{relation('structural', 'represents', one.package)}</object>\n"
    ).encode()


def _file(file: PayloadFile, included: str, known: dict[tuple[Format, ...], str]) -> str:
    fixity = "".join(
        f"<fixity><messageDigestAlgorithm>{ALGORITHMS[algorithm]}</messageDigestAlgorithm>"
        f"<messageDigest>{value}</messageDigest><messageDigestOriginator>lantai</messageDigestOriginator></fixity>"
        for algorithm, value in file.digests.values.items()
    )
    formats = known.get(file.formats)
    if formats is None:
        formats = "".join(map(format_of, file.formats))
        if len(known) < 4096:
            known[file.formats] = formats
    created = (
        "<creatingApplication><dateCreatedByApplication>"
        f"{datetime_of(file.modified)}</dateCreatedByApplication></creatingApplication>"
        if file.modified
        else ""
    )
    note, name = original_name(file.original_name)
    events = "".join(_link("Event", event) for event in file.events)
    return (
        f'<object xsi:type="file">{identifier("object", file.id)}{note}'
        f"<objectCharacteristics><compositionLevel>0</compositionLevel>{fixity}<size>{file.digests.size}</size>"
        f"{formats}{created}</objectCharacteristics><originalName>{text(name)}</originalName>"
        f"<storage><contentLocation><contentLocationType>relative path</contentLocationType>"
        f"<contentLocationValue>data/{text(file.path)}</contentLocationValue></contentLocation></storage>"
        f"{included}{events}</object>\n"
    )


def format_of(answer: Format) -> str:
    version = f"<formatVersion>{text(answer.version)}</formatVersion>" if answer.version else ""
    registry = (
        "<formatRegistry><formatRegistryName>PRONOM</formatRegistryName>"
        f"<formatRegistryKey>{text(answer.puid)}</formatRegistryKey>"
        "<formatRegistryRole>specification</formatRegistryRole></formatRegistry>"
        if answer.puid
        else ""
    )
    notes = {
        "basis": answer.basis, "warning": answer.warning, "media type": answer.mime or "",
        "name": "" if answer.name else "none", "tool": answer.tool, "signature": answer.signature,
    }  # fmt: skip
    noted = "".join(f"<formatNote>{kind}: {text(value)}</formatNote>" for kind, value in notes.items() if value)
    return (
        f"<format><formatDesignation><formatName>{text(answer.name or 'unknown')}</formatName>{version}"
        f"</formatDesignation>{registry}{noted}</format>"
    )


def _event(event: Event, agents: Sequence[Agent]) -> bytes:
    roles = {agent.id: _ROLES[agent.kind] for agent in agents}
    linked = "".join(_link("Agent", agent, roles.get(agent, "")) for agent in event.agents)
    objects = _link("Object", event.objects) if event.objects else ""
    return (
        f"<event>{identifier('event', event.id)}<eventType>{text(event.kind)}</eventType>"
        f"<eventDateTime>{datetime_of(event.at)}</eventDateTime>"
        f"<eventDetailInformation><eventDetail>{text(event.detail)}</eventDetail></eventDetailInformation>"
        f"<eventOutcomeInformation><eventOutcome>{event.outcome}</eventOutcome></eventOutcomeInformation>"
        f"{linked}{objects}</event>\n"
    ).encode()


def _agent(agent: Agent) -> bytes:
    version = f"<agentVersion>{text(agent.version)}</agentVersion>" if agent.version else ""
    return (
        f"<agent>{identifier('agent', agent.id)}<agentName>{text(agent.name)}</agentName>"
        f"<agentType>{agent.kind}</agentType>{version}</agent>\n"
    ).encode()


def _rights(decision: Decision) -> bytes:
    term = "termOfGrant" if decision.shown == "open" else "termOfRestriction"
    return (
        f"<rights><rightsStatement>{identifier('rightsStatement', decision.id)}<rightsBasis>other</rightsBasis>"
        f"<otherRightsInformation><otherRightsBasis>{text(decision.ground)}</otherRightsBasis>"
        f"<otherRightsNote>decided: {datetime_of(decision.at)}</otherRightsNote>"
        f"<otherRightsNote>by: {text(decision.by)}</otherRightsNote></otherRightsInformation>"
        f"<rightsGranted><act>disseminate</act><restriction>{decision.shown}</restriction>"
        f"<{term}><startDate>{datetime_of(decision.since)}</startDate></{term}>"
        f"<rightsGrantedNote>{text(decision.reason)}</rightsGrantedNote></rightsGranted>"
        f"{_link('Object', decision.record)}</rightsStatement></rights>\n"
    ).encode()


def read(source: BinaryIO, *, objects: bool = True) -> Iterator[Statement]:
    """Every statement of a PREMIS document that lantai wrote, in its order, in constant memory; without its objects,
    which may be a million, if they are not asked for.

    Raises ValueError for a document that is not of this shape.
    """
    readers: dict[str, Callable[[etree._Element], Statement]] = {
        "event": _read_event,
        "agent": _read_agent,
        "rights": _read_rights,
    }
    try:
        for _action, node in etree.iterparse(
            source, events=("end",), tag=[_NS + "object", _NS + "event", _NS + "agent", _NS + "rights"],
            resolve_entities=False, no_network=True, huge_tree=True,
        ):  # fmt: skip
            name = node.tag[len(_NS) :]
            if name in readers:
                yield readers[name](node)
            elif objects:
                yield _read_object(node)
            node.clear()
            while (previous := node.getprevious()) is not None:
                previous.getparent().remove(previous)
    except (etree.XMLSyntaxError, AttributeError, KeyError, IndexError) as error:
        raise ValueError(str(error)) from error


_Leaves: TypeAlias = dict[str, list[str]]
"""The texts of what is in a statement, by qualified name: one walk costs less than a search for each. No name that is
read here stands in two places of one statement.
"""


def _leaves(node: etree._Element) -> _Leaves:
    found: _Leaves = {}
    for one in node.iter("*"):
        found.setdefault(one.tag, []).append(one.text or "")
    return found


def _value(leaves: _Leaves, name: str) -> str:
    found = leaves.get(_NS + name)
    return found[0] if found else ""


def _values(leaves: _Leaves, name: str) -> list[str]:
    return leaves.get(_NS + name, [])


def _read_object(node: etree._Element) -> Entity | Representation | PayloadFile:
    kind = node.get(_TYPE, "").split(":")[-1]
    leaves = _leaves(node)
    id = _value(leaves, "objectIdentifierValue")
    properties = list(
        zip(_values(leaves, "significantPropertiesType"), _values(leaves, "significantPropertiesValue"), strict=True)
    )
    name = _value(leaves, "originalName")
    if any(key == _ESCAPED for key, _note in properties):
        name = unhref(name)
    related = _values(leaves, "relatedObjectIdentifierValue")
    if kind == "intellectualEntity":
        package = PackageId(id)
        return Entity(package, name, tuple(Representation(one, "", package) for one in related))
    if kind == "representation":
        empty = [value if key == _EMPTY_FOLDER else unhref(value) for key, value in properties]
        return Representation(id, name, PackageId(related[0]), tuple(empty))
    return _read_file(node, leaves, id, name)


def _read_file(node: etree._Element, leaves: _Leaves, id: str, original_name: str) -> PayloadFile:
    about = node.find(_NS + "objectCharacteristics")
    if about is None:
        raise ValueError(id)
    algorithms = [_BY_NAME[name] for name in _values(leaves, "messageDigestAlgorithm")]
    digests = dict(zip(algorithms, _values(leaves, "messageDigest"), strict=True))
    modified = _value(leaves, "dateCreatedByApplication")
    return PayloadFile(
        FileId(id),
        _value(leaves, "contentLocationValue").removeprefix("data/"),
        original_name,
        Digests(int(_value(leaves, "size")), digests),
        tuple(_read_format(etree.tostring(one)) for one in about.iterfind(_NS + "format")),
        datetime.fromisoformat(modified) if modified else None,
        tuple(_values(leaves, "linkingEventIdentifierValue")),
    )


@lru_cache(maxsize=1024)
def _read_format(element: bytes) -> Format:
    """Of a million files, few have an answer of their own."""
    leaves = _leaves(etree.fromstring(element))
    notes = dict(re.split(": ?", note, maxsplit=1) for note in _values(leaves, "formatNote"))
    return Format(
        puid=_value(leaves, "formatRegistryKey") or None,
        name="" if "name" in notes else _value(leaves, "formatName"),
        version=_value(leaves, "formatVersion"),
        mime=notes.get("media type"),
        basis=notes.get("basis", ""),
        warning=notes.get("warning", ""),
        tool=notes.get("tool", ""),
        signature=notes.get("signature", ""),
    )


def _read_event(node: etree._Element) -> Event:
    leaves = _leaves(node)
    outcome = _value(leaves, "eventOutcome")
    return Event(
        _value(leaves, "eventIdentifierValue"),
        _value(leaves, "eventType"),
        datetime.fromisoformat(_value(leaves, "eventDateTime")),
        "success" if outcome == "success" else "warning" if outcome == "warning" else "fail",
        _value(leaves, "eventDetail"),
        tuple(_values(leaves, "linkingAgentIdentifierValue")),
        _value(leaves, "linkingObjectIdentifierValue") or None,
    )


def _read_agent(node: etree._Element) -> Agent:
    leaves = _leaves(node)
    kind = _value(leaves, "agentType")
    return Agent(
        _value(leaves, "agentIdentifierValue"),
        "person" if kind == "person" else "organization" if kind == "organization" else "software",
        _value(leaves, "agentName"),
        _value(leaves, "agentVersion") or None,
    )


def _read_rights(node: etree._Element) -> Decision:
    leaves = _leaves(node)
    notes = dict(note.split(": ", 1) for note in _values(leaves, "otherRightsNote"))
    shown = _value(leaves, "restriction")
    return Decision(
        id=_value(leaves, "rightsStatementIdentifierValue"),
        record=RecordId(_value(leaves, "linkingObjectIdentifierValue")),
        shown="open" if shown == "open" else "description" if shown == "description" else "closed",
        since=datetime.fromisoformat(_value(leaves, "startDate")),
        ground=_value(leaves, "otherRightsBasis"),
        at=datetime.fromisoformat(notes["decided"]),
        by=notes.get("by", ""),
        reason=_value(leaves, "rightsGrantedNote"),
    )
