"""Simple Dublin Core: what of a description the fifteen elements can say, as oai_dc. Bytes out."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Record, RecordId
from .elements import simple
from .xml import DECLARATION, attribute, text

_PLACE = (
    b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.openarchives.org/OAI/2.0/'
    b'oai_dc/ http://www.openarchives.org/OAI/2.0/oai_dc.xsd"'
)


def write(record: Record) -> Iterator[bytes]:
    """Every element that has one of the fifteen behind it, and the record's id as dc:identifier."""
    yield DECLARATION
    yield from element(record)


def element(record: Record, *, located: bool = False, part_of: RecordId | None = None) -> Iterator[bytes]:
    """The same without the declaration. located: with the place of its schema, as OAI-PMH asks (section 3.4); part_of:
    the record above it, as dc:relation.
    """
    place = _PLACE if located else b""
    yield (
        b'<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"' + place + b">\n"
    )
    for one in record.description.elements:
        name = simple(one.term)
        if name is not None:
            name = name.removeprefix("dc.")
            language = f" xml:lang={attribute(one.language)}" if one.language else ""
            yield f"  <dc:{name}{language}>{text(one.value)}</dc:{name}>\n".encode()
    if part_of is not None:
        yield f"  <dc:relation>{text(part_of)}</dc:relation>\n".encode()
    yield f"  <dc:identifier>{text(record.id)}</dc:identifier>\n</oai_dc:dc>\n".encode()
