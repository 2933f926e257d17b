"""Simple Dublin Core: what of a description the fifteen elements can say, as oai_dc. Bytes out."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Record
from .elements import simple
from .xml import DECLARATION, attribute, text


def write(record: Record) -> Iterator[bytes]:
    """Every element that has one of the fifteen behind it, and the record's id as dc:identifier."""
    yield DECLARATION
    yield (
        b'<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/">\n'
    )
    for element in record.description.elements:
        name = simple(element.term)
        if name is not None:
            name = name.removeprefix("dc.")
            language = f" xml:lang={attribute(element.language)}" if element.language else ""
            yield f"  <dc:{name}{language}>{text(element.value)}</dc:{name}>\n".encode()
    yield f"  <dc:identifier>{text(record.id)}</dc:identifier>\n</oai_dc:dc>\n".encode()
