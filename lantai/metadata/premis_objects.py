"""PREMIS 3.0 of one record for those outside: itself as intellectual entity, and its own files. No event, no agent, no
right, no place in a store. Bytes out.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Holdings, PayloadFile, Record, RecordId
from .premis import ALGORITHMS, NAMESPACE, format_of, identifier, original_name, relation, significant
from .xml import text

SCHEMA = "http://www.loc.gov/standards/premis/premis.xsd"


def element(
    record: Record, holdings: Holdings | None, *, part_of: RecordId | None, oai: str, files: str
) -> Iterator[bytes]:
    """holdings None: its files are not open; oai: its oai-identifier; files: where those are listed that are too many
    for it.
    """
    yield (
        f'<premis xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{NAMESPACE} {SCHEMA}" version="3.0">\n'
    ).encode()
    yield (
        f'<object xsi:type="intellectualEntity">{identifier("object", record.id)}{_named("OAI", oai)}'
        f"{_said(record, holdings, files)}"
        f"{relation('structural', 'is part of', part_of) if part_of else ''}</object>\n"
    ).encode()
    for file in holdings.listed if holdings else ():
        yield _file(file, relation("structural", "is included in", record.id)).encode()
    yield b"</premis>\n"


def _named(kind: str, value: str) -> str:
    return (
        f"<objectIdentifier><objectIdentifierType>{kind}</objectIdentifierType>"
        f"<objectIdentifierValue>{text(value)}</objectIdentifierValue></objectIdentifier>"
    )


def _said(record: Record, holdings: Holdings | None, files: str) -> str:
    """The title, and of the files what no list says."""
    title = record.description.title
    said = [significant("title", title)] if title else []
    if holdings is not None:
        said += [significant("files", str(holdings.files)), significant("bytes", str(holdings.bytes))]
        formats = holdings.formats if holdings.are_counted else {}
        said += [significant("files by format", f"{puid}: {count}") for puid, count in formats.items()]
        said += [significant("files are listed at", files)] if holdings.are_counted else []
    return "".join(said)


def _file(file: PayloadFile, part_of: str) -> str:
    fixity = "".join(
        f"<fixity><messageDigestAlgorithm>{ALGORITHMS[algorithm]}</messageDigestAlgorithm>"
        f"<messageDigest>{value}</messageDigest></fixity>"
        for algorithm, value in file.digests.values.items()
    )
    note, name = original_name(file.original_name)
    formats = "".join(format_of(one) for one in file.formats if one.name) or _UNKNOWN
    return (
        f'<object xsi:type="file">{identifier("object", file.id)}{note}<objectCharacteristics>'
        f"<compositionLevel>0</compositionLevel>{fixity}<size>{file.digests.size}</size>{formats}"
        f"</objectCharacteristics><originalName>{text(name)}</originalName>{part_of}</object>\n"
    )


_UNKNOWN = "<format><formatDesignation><formatName>unknown</formatName></formatDesignation></format>"
