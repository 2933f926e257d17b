"""What is written once and sealed, as bytes: a head, what it holds, a seal; each a line of JSON.

The seal is the SHA-256 of all that comes before it, so that a changed byte is found by the bytes themselves; the head
names the seal of the one before, so that one that was put in its place is found by the next.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..messages import _

_SEAL = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")


class Newer(ValueError):
    """Written by a newer lantai."""


def seal(head: Mapping[str, Any], held: Iterable[Mapping[str, Any]]) -> bytes:
    """head: with its "format", which unseal asks for."""
    data = b"".join(map(_line, (head, *held)))
    return data + _line({"seal": hashlib.sha256(data).hexdigest()})


def unseal(
    data: bytes, read: Callable[[Mapping[str, Any], Sequence[str]], _T], *, newest: int, what: str
) -> tuple[_T, str]:  # fmt: skip
    """What read makes of the head and of the lines that follow it, each still JSON; and the seal.

    Raises ValueError, with the reason, if the seal is not that of the bytes, or read raises ValueError, KeyError,
    TypeError or AttributeError; Newer: its format is beyond newest. what: how such a thing is called.
    """
    end = data.rfind(b"\n", 0, -1) + 1
    body, last = data[:end], data[end:]
    found = hashlib.sha256(body).hexdigest()
    if last != _line({"seal": found}):
        raise ValueError(_("its seal is not that of its bytes"))
    try:
        first, *lines, _end = body.decode().split("\n")
        head = json.loads(first)
        if head["format"] > newest:
            raise Newer(f"format {head['format']}")
        return read(head, lines), found
    except Newer:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(_("it is no {what}: {reason}").format(what=_(what), reason=repr(error))) from error


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def a_seal(value: str) -> str:
    """As it is named elsewhere. ValueError: it is none."""
    if not _SEAL.fullmatch(value):
        raise ValueError(f"no SHA-256: {value!r}")
    return value


def moment(at: datetime) -> str:
    """In UTC, as it is written; instant reads it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """In UTC. ValueError: it is none, or has no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"an instant without a zone: {text!r}")
    return at if at.tzinfo is UTC else at.astimezone(UTC)
