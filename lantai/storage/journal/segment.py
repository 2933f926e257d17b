"""A segment of the journal as bytes: a head, entries, a seal; each a line of JSON. docs/journal.md publishes it.

The seal is the SHA-256 of all that comes before it, so that a changed byte is found by the segment itself; the head
names the seal of the segment before, so that one that was put in its place is found by the next.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from ...model import Agent, Entry, EntryKind

FORMAT = 1
"""Of segments and entries; a higher one was written by a newer lantai."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Newer(ValueError):
    """Written by a newer lantai."""


@dataclass(frozen=True, slots=True)
class Link:
    """A segment of a chain, and its seal."""

    number: int
    seal: str


@dataclass(frozen=True, slots=True)
class Segment:
    """archive, writer: uuids; previous: the seal of the segment before, "" in the first; heads: of the other chains, as
    far as the writer knew them.
    """

    archive: str
    writer: str
    number: int
    previous: str
    heads: Mapping[str, Link]
    at: datetime
    entries: tuple[Entry, ...]


def encode(segment: Segment) -> bytes:
    head = {
        "format": FORMAT, "archive": segment.archive, "writer": segment.writer, "number": segment.number,
        "previous": segment.previous, "at": moment(segment.at),
        "heads": {
            writer: {"number": link.number, "seal": link.seal} for writer, link in sorted(segment.heads.items())
        },
    }  # fmt: skip
    data = b"".join(map(_line, (head, *map(entry_to_json, segment.entries))))
    return data + _line({"seal": hashlib.sha256(data).hexdigest()})


def decode(data: bytes) -> tuple[Segment, str]:
    """The segment and its seal. Raises ValueError, with the reason, if it is not as encode writes it; Newer."""
    body, _newline, last = data.removesuffix(b"\n").rpartition(b"\n")
    body += b"\n"
    seal = hashlib.sha256(body).hexdigest()
    if last + b"\n" != _line({"seal": seal}) or not data.endswith(b"\n"):
        raise ValueError("its seal is not that of its bytes")
    try:
        head, *entries = (json.loads(line) for line in body.splitlines())
        if head["format"] > FORMAT:
            raise Newer(f"format {head['format']}")
        heads = {str(writer): Link(int(one["number"]), _seal(one["seal"])) for writer, one in head["heads"].items()}
        segment = Segment(
            archive=str(head["archive"]), writer=str(head["writer"]), number=int(head["number"]),
            previous=_seal(head["previous"]) if head["previous"] else "", heads=heads, at=_instant(head["at"]),
            entries=tuple(map(entry_from_json, entries)),
        )  # fmt: skip
    except Newer:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no segment: {error!r}") from error
    return segment, seal


def entry_to_json(entry: Entry) -> dict[str, Any]:
    by = {"id": entry.by.id, "name": entry.by.name}
    ground = {"code": entry.ground, "clause": entry.clause} if entry.ground else None
    return {
        "id": entry.id, "kind": entry.kind, "subject": {"type": entry.subject_type, "id": entry.subject},
        "replaces": list(entry.replaces), "at": moment(entry.at), "by": by, "for": entry.organization,
        "ground": ground, "state": dict(entry.state),
    }  # fmt: skip


def entry_from_json(values: Mapping[str, Any]) -> Entry:
    """Raises ValueError, KeyError, TypeError: it is none."""
    if values["kind"] not in get_args(EntryKind):
        raise ValueError(f"unknown kind {values['kind']!r}")
    ground = values["ground"] or {"code": "", "clause": ""}
    by = Agent(_text(values["by"]["id"]), "person", _text(values["by"]["name"]))
    if not isinstance(values["state"], dict):
        raise TypeError("state")
    return Entry(
        id=_text(values["id"]), kind=values["kind"], subject_type=_text(values["subject"]["type"]),
        subject=_text(values["subject"]["id"]), at=_instant(values["at"]), by=by, state=values["state"],
        organization=_text(values["for"]), ground=_text(ground["code"]), clause=_text(ground["clause"]),
        replaces=tuple(map(_text, values["replaces"])),
    )  # fmt: skip


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"an instant without a zone: {text!r}")
    return at.astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def _seal(value: str) -> str:
    if not _DIGEST.fullmatch(value):
        raise ValueError(f"no SHA-256: {value!r}")
    return value
