"""XML as text. Writing templates costs a tenth of building trees, and a million files must be written. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from xml.sax.saxutils import escape

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'

ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 (section 2.2) cannot hold, not even as a character reference."""


def text(value: str) -> str:
    """Character data. CR is written as a reference, or a parser would read LF; what XML cannot hold becomes U+FFFD."""
    return ILLEGAL.sub("\ufffd", escape(value)).replace("\r", "&#13;")


def legible(value: str) -> str:
    """Prose that XML can hold: what it cannot is told as an escape, a byte that is no text as \\xff."""
    return ILLEGAL.sub(_told, value)


def _told(found: re.Match[str]) -> str:
    code = ord(found[0])
    code = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def attribute(value: str) -> str:
    """A quoted attribute value; white space as references, or a parser would read spaces (XML 1.0 section 3.3.3)."""
    plain = text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return f'"{plain}"'


def href(path: str) -> str:
    """A path as xs:anyURI: UTF-8, percent-encoded by component (RFC 3986 section 3.3). Bytes that are not UTF-8, which
    stand in path as surrogate escapes, are encoded as they are.
    """
    return _RESERVED.sub(_percent, path.encode("utf-8", "surrogateescape")).decode("ascii")


def unhref(value: str) -> str:
    return _ENCODED.sub(lambda found: bytes.fromhex(found[1].decode()), value.encode()).decode(
        "utf-8", "surrogateescape"
    )


_RESERVED = re.compile(rb"[^A-Za-z0-9_.~/-]+")
_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%" + found[0].hex("%").upper().encode()


def datetime_of(at: datetime) -> str:
    """xs:dateTime with a zone."""
    return at.isoformat().replace("+00:00", "Z")
