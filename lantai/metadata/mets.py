"""METS 1.12 after the E-ARK CSIP profile: a root document for the package, one for each representation.

The root stays small whatever the package holds; the representation's is written and read as a stream. Rules of the
profile are named where they are obeyed. For those outside there is one record with its own files, which is no package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from lxml import etree

from ..digest import Algorithm, Digests
from ..model import Agent, Holdings, PackageId, PayloadFile, Record
from .xml import DECLARATION, attribute, datetime_of, href, legible, text, unhref

NAMESPACE = "http://www.loc.gov/METS/"
SCHEMA = "http://www.loc.gov/standards/mets/mets.xsd"
_NAMESPACES = (
    f'xmlns="{NAMESPACE}" xmlns:csip="https://DILCIS.eu/XML/METS/CSIPExtensionMETS" '
    'xmlns:xlink="http://www.w3.org/1999/xlink"'
)
_PROFILE = "https://earkcsip.dilcis.eu/profile/E-ARK-CSIP.xml"
_OTHER = 'csip:CONTENTINFORMATIONTYPE="OTHER" csip:OTHERCONTENTINFORMATIONTYPE="lantai package"'

# METS has no SM3 and no BLAKE2: the first of these that a file was digested by.
_CHECKSUMS: Mapping[Algorithm, str] = {"sha256": "SHA-256", "sha512": "SHA-512", "sha384": "SHA-384"}
_BY_NAME: Mapping[str, Algorithm] = {name: algorithm for algorithm, name in _CHECKSUMS.items()}

# eark-validator loses its place when a <file> of the root document straddles a boundary of its read buffer.
_BUFFER = 32768


@dataclass(frozen=True, slots=True)
class Part:
    """A file that a METS document names. path: relative to the document; kind: MDTYPE, for metadata."""

    path: str
    digests: Digests
    mime: str
    created: datetime
    kind: str = ""


def object_id(package: PackageId) -> str:
    """OBJID, which is the name of the package's folder (CSIPSTR1): uuid-…"""
    return "uuid-" + package.removeprefix("urn:uuid:")


def root(
    package: PackageId,
    *,
    label: str,
    reference_code: str | None,
    created: datetime,
    modified: datetime,
    software: Agent,
    person: Agent,
    descriptive: Sequence[Part],
    preservation: Part,
    documentation: Sequence[Part],
    schemas: Sequence[Part],
    submission: Sequence[Part],
    representations: Sequence[tuple[str, Part]],
) -> Iterator[bytes]:
    """The package's METS.xml. representations: name and METS document of each."""
    groups = {"Documentation": documentation, "Schemas": schemas, "Submission": submission}
    chunks: list[str] = [
        _opening(object_id(package), label),
        _header(created, modified, software, person, reference_code),
        *(_dmd(number, part) for number, part in enumerate(descriptive, 1)),
        _amd(preservation),
        '<fileSec ID="fileSec">\n',
    ]
    for name, parts in groups.items():
        if parts:
            chunks += [f'<fileGrp ID="{_group_id(name)}" USE="{name}" {_OTHER}>\n']
            chunks += [_file(f"{_group_id(name)}-{number}", part) for number, part in enumerate(parts, 1)]
            chunks += ["</fileGrp>\n"]
    chunks.append(f'<fileGrp ID="{_group_id("Representations")}" USE="Representations" {_OTHER}>\n')
    chunks += [_file(_representation_id(name), part) for name, part in representations]
    chunks.append("</fileGrp>\n")
    chunks.append("</fileSec>\n")
    metadata = " ".join(f"dmd-{number}" for number in range(1, len(descriptive) + 1))
    divisions = [f'<div ID="div-metadata" LABEL="Metadata" ADMID="digiprov-1" DMDID="{metadata}"/>\n']
    divisions += [
        f'<div ID="div-{name.lower()}" LABEL="{name}"><fptr FILEID="{_group_id(name)}"/></div>\n'
        for name, parts in groups.items()
        if parts
    ]
    inner = "".join(
        f'<div ID="div-{_representation_id(name)}" LABEL="Representations/{name}">'
        f'<mptr LOCTYPE="URL" xlink:type="simple" xlink:href={attribute(href(part.path))} '
        f'xlink:title="{_representation_id(name)}"/></div>\n'
        for name, part in representations
    )
    divisions.append(
        '<div ID="div-representations" LABEL="Representations">'
        f'<fptr FILEID="{_group_id("Representations")}"/>\n{inner}</div>\n'
    )
    chunks += [_struct_map(object_id(package), divisions), "</mets>\n"]
    yield from _aligned([DECLARATION, *(chunk.encode() for chunk in chunks)])


def representation(
    name: str,
    *,
    created: datetime,
    modified: datetime,
    software: Agent,
    preservation: Part,
    files: Iterable[PayloadFile],
) -> Iterator[bytes]:
    """A representation's METS.xml. files in path order, consumed once; memory does not grow with their number."""
    yield DECLARATION
    yield (
        f"{_opening(name, name)}"
        f'{_header(created, modified, software, None, None)}{_amd(preservation)}<fileSec ID="fileSec">\n'
        f'<fileGrp ID="group-data" USE="Data" {_OTHER}>\n'
    ).encode()
    pending: list[str] = []
    for file in files:
        part = Part(f"data/{file.path}", file.digests, _mime(file), file.modified or created)
        pending.append(_file(_file_id(file), part))
        if len(pending) == 256:
            yield "".join(pending).encode()
            pending.clear()
    yield "".join(pending).encode()
    divisions = [
        '<div ID="div-metadata" LABEL="Metadata" ADMID="digiprov-1"/>\n',
        '<div ID="div-data" LABEL="Data"><fptr FILEID="group-data"/></div>\n',
    ]
    yield f"</fileGrp>\n</fileSec>\n{_struct_map(name, divisions)}</mets>\n".encode()


def element(
    record: Record, holdings: Holdings | None, *, at: datetime, agency: str, oai: str, ead: str, dc: str, premis: str,
    files: str,
) -> Iterator[bytes]:  # fmt: skip
    """One record. holdings None: its files are not open; at: since when it looks so; agency: who keeps it; oai: its
    oai-identifier; dc: an element; ead, premis: where the same is asked for in these; files: where those are listed
    that are too many for it.
    """
    is_counted = holdings is not None and holdings.are_counted
    elsewhere = f'<techMD ID="tech-2">{_elsewhere(files, "OTHER:FILES", "1", FILES)}</techMD>' if is_counted else ""
    listed = holdings.listed if holdings else ()
    label = attribute(record.description.title)
    yield (
        f'<mets xmlns="{NAMESPACE}" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{NAMESPACE} {SCHEMA}" '
        f'OBJID={attribute(record.id)} LABEL={label} TYPE="{record.description.level}">\n'
        f'<metsHdr LASTMODDATE="{datetime_of(at)}"><agent ROLE="CUSTODIAN" TYPE="ORGANIZATION">'
        f'<name>{text(agency)}</name></agent><altRecordID TYPE="OAI">{text(oai)}</altRecordID></metsHdr>\n'
        f'<dmdSec ID="dmd-1"><mdWrap MDTYPE="DC"><xmlData>{dc}</xmlData></mdWrap></dmdSec>\n'
        f'<dmdSec ID="dmd-2">{_elsewhere(ead, "EAD", "3")}</dmdSec>\n'
        f'<amdSec ID="amd-1"><techMD ID="tech-1">{_elsewhere(premis, "PREMIS", "3.0")}</techMD>{elsewhere}</amdSec>\n'
    ).encode()
    if listed:
        yield f'<fileSec><fileGrp USE="original">\n{"".join(map(_own_file, listed))}</fileGrp></fileSec>\n'.encode()
    yield (
        f'<structMap TYPE="LOGICAL"><div TYPE="{record.description.level}" LABEL={label} DMDID="dmd-1 dmd-2" '
        f'ADMID="tech-1">\n{"".join(map(_own_division, listed))}{_counts(holdings)}</div></structMap>\n</mets>\n'
    ).encode()


FILES = "application/x-ndjson"
"""The media type of a list of files: a JSON object a line."""


def _elsewhere(link: str, kind: str, version: str, mime: str = "text/xml") -> str:
    return (
        f'<mdRef LOCTYPE="URL" xlink:type="simple" xlink:href={attribute(link)} {_kind(kind)} '
        f'MDTYPEVERSION="{version}" MIMETYPE="{mime}"/>'
    )


def _counts(holdings: Holdings | None) -> str:
    """In the place of files that are too many to be listed."""
    if holdings is None or not holdings.are_counted:
        return ""
    formats = "".join(
        f'<div TYPE="format" LABEL={attribute(f"{puid}: {count} files")}/>\n'
        for puid, count in holdings.formats.items()
    )
    return (
        f'<div TYPE="files" ADMID="tech-2" LABEL="{holdings.files} files, {holdings.bytes} bytes">\n{formats}</div>\n'
    )


def _own_file(file: PayloadFile) -> str:
    """By no place: nobody outside reaches the store."""
    algorithm = next((name for name in _CHECKSUMS if name in file.digests.values), None)
    checked = (
        f' CHECKSUM="{file.digests.values[algorithm]}" CHECKSUMTYPE="{_CHECKSUMS[algorithm]}"' if algorithm else ""
    )
    return f'<file ID="{_file_id(file)}" MIMETYPE={attribute(_mime(file))} SIZE="{file.digests.size}"{checked}/>\n'


def _own_division(file: PayloadFile) -> str:
    label = attribute(legible(file.original_name))
    return f'<div TYPE="file" LABEL={label}><fptr FILEID="{_file_id(file)}"/></div>\n'


def _file_id(file: PayloadFile) -> str:
    return "uuid-" + file.id.removeprefix("urn:uuid:")


def _opening(id: str, label: str) -> str:
    """CSIP1 to CSIP6: what kind of package this is, and by which profile."""
    return (
        f'<mets {_NAMESPACES} OBJID={attribute(id)} LABEL={attribute(label)} TYPE="Mixed" '
        f'PROFILE="{_PROFILE}" csip:CONTENTINFORMATIONTYPE="MIXED">\n'
    )


def _mime(file: PayloadFile) -> str:
    return (file.formats[0].mime if file.formats else None) or "application/octet-stream"


def _group_id(use: str) -> str:
    return "group-" + use.lower()


def _representation_id(name: str) -> str:
    return "representation-" + name


def _header(created: datetime, modified: datetime, software: Agent, person: Agent | None, code: str | None) -> str:
    """CSIP7 to CSIP14: the creator is software with one note, its version; a person takes another role."""
    archivist = (
        f'<agent ROLE="ARCHIVIST" TYPE="INDIVIDUAL"><name>{text(person.name)}</name></agent>\n' if person else ""
    )
    reference = f'<altRecordID TYPE="REFERENCE CODE">{text(code)}</altRecordID>\n' if code else ""
    return (
        f'<metsHdr CREATEDATE="{datetime_of(created)}" LASTMODDATE="{datetime_of(modified)}" '
        'csip:OAISPACKAGETYPE="AIP">\n'
        f'<agent ROLE="CREATOR" TYPE="OTHER" OTHERTYPE="SOFTWARE"><name>{text(software.name)}</name>'
        f'<note csip:NOTETYPE="SOFTWARE VERSION">{text(software.version or "")}</note></agent>\n'
        f"{archivist}{reference}</metsHdr>\n"
    )


def _reference(part: Part) -> str:
    """CSIP20 to CSIP30: a metadata file by reference, with size, date and checksum."""
    return (
        f'<mdRef LOCTYPE="URL" xlink:type="simple" xlink:href={attribute(href(part.path))} {_kind(part.kind)} '
        f"MIMETYPE={attribute(part.mime)} {_checked(part)}/>"
    )


def _kind(kind: str) -> str:
    """OTHER:name is one that METS has no name for."""
    known, _colon, other = kind.partition(":")
    return f'MDTYPE="{known}" OTHERMDTYPE={attribute(other)}' if other else f'MDTYPE="{known}"'


def _checked(part: Part) -> str:
    algorithm = next(name for name in _CHECKSUMS if name in part.digests.values)
    return (
        f'SIZE="{part.digests.size}" CREATED="{datetime_of(part.created)}" '
        f'CHECKSUM="{part.digests.values[algorithm]}" CHECKSUMTYPE="{_CHECKSUMS[algorithm]}"'
    )


def _dmd(number: int, part: Part) -> str:
    opening = f'<dmdSec ID="dmd-{number}" CREATED="{datetime_of(part.created)}" STATUS="CURRENT">'
    return f"{opening}{_reference(part)}</dmdSec>\n"


def _amd(part: Part) -> str:
    return (
        f'<amdSec ID="amdSec"><digiprovMD ID="digiprov-1" CREATED="{datetime_of(part.created)}" STATUS="CURRENT">'
        f"{_reference(part)}</digiprovMD></amdSec>\n"
    )


def _file(id: str, part: Part) -> str:
    return (
        f'<file ID="{id}" MIMETYPE={attribute(part.mime)} {_checked(part)}>'
        f'<FLocat LOCTYPE="URL" xlink:type="simple" xlink:href={attribute(href(part.path))}/></file>\n'
    )


def _struct_map(label: str, divisions: Iterable[str]) -> str:
    """CSIP80 to CSIP118: one physical structural map, labelled CSIP, one division at its top."""
    return (
        '<structMap ID="structMap" TYPE="PHYSICAL" LABEL="CSIP">\n'
        f'<div ID="div-top" LABEL={attribute(label)}>\n{"".join(divisions)}</div>\n</structMap>\n'
    )


def _aligned(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """White space before each <file> that would straddle a boundary of _BUFFER."""
    offset = 0
    for chunk in chunks:
        room = _BUFFER - offset % _BUFFER
        if chunk.startswith(b"<file ") and len(chunk) > room:
            yield b" " * (room - 1) + b"\n"
            offset += room
        yield chunk
        offset += len(chunk)


def read(source: BinaryIO) -> Iterator[Part]:
    """Every file that a METS document names with a checksum, in its order, in constant memory. ValueError: not METS."""
    mets, xlink = "{http://www.loc.gov/METS/}", "{http://www.w3.org/1999/xlink}"
    try:
        for _action, node in etree.iterparse(
            source,
            events=("end",),
            tag=[mets + "file", mets + "mdRef"],
            resolve_entities=False,
            no_network=True,
            huge_tree=True,
        ):
            place = node if node.get(xlink + "href") else node.find(mets + "FLocat")
            if place is None:
                raise ValueError(node.get("ID", ""))
            yield Part(
                unhref(place.get(xlink + "href", "")),
                Digests(int(node.get("SIZE", "0")), {_BY_NAME[node.get("CHECKSUMTYPE", "")]: node.get("CHECKSUM", "")}),
                node.get("MIMETYPE", ""),
                datetime.fromisoformat(node.get("CREATED", "")),
                node.get("MDTYPE", ""),
            )
            node.clear()
            while (previous := node.getprevious()) is not None:
                previous.getparent().remove(previous)
    except (etree.XMLSyntaxError, KeyError) as error:
        raise ValueError(str(error)) from error
