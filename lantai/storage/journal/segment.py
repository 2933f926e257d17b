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
from functools import lru_cache
from typing import Any, get_args

from ...model import Agent, Entry, EntryKind

FORMAT = 3
"""Of segments and entries, and the edition of their schemas: a new kind of entry makes a new one. All are read."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KINDS = frozenset(get_args(EntryKind))


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
    end = data.rfind(b"\n", 0, -1) + 1
    body, last = data[:end], data[end:]
    seal = hashlib.sha256(body).hexdigest()
    if last != _line({"seal": seal}):
        raise ValueError("its seal is not that of its bytes")
    try:
        first, *lines, _end = body.decode().split("\n")
        head = json.loads(first)
        if head["format"] > FORMAT:
            raise Newer(f"format {head['format']}")
        heads = {str(writer): Link(int(one["number"]), _seal(one["seal"])) for writer, one in head["heads"].items()}
        segment = Segment(
            archive=str(head["archive"]), writer=str(head["writer"]), number=int(head["number"]),
            previous=_seal(head["previous"]) if head["previous"] else "", heads=heads, at=_instant(head["at"]),
            # One after the other: what is parsed and not yet an entry costs the collector of garbage much.
            entries=tuple([entry_from_json(json.loads(line)) for line in lines]),
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
    kind, subject, by, state, replaces = (
        values["kind"], values["subject"], values["by"], values["state"], tuple(values["replaces"]),
    )  # fmt: skip
    ground = values["ground"] or _NO_GROUND
    id, type_, subject_id, organization, code, clause = texts = (
        values["id"], subject["type"], subject["id"], values["for"], ground["code"], ground["clause"],
    )  # fmt: skip
    if kind not in _KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    "".join(texts + replaces)  # TypeError: not all are text
    if type(state) is not dict:
        raise TypeError("a state of another type")
    at, person = _instant(values["at"]), _person(by["id"], by["name"])
    return Entry(id, kind, type_, subject_id, at, person, state, organization, code, clause, replaces)


_NO_GROUND: Mapping[str, str] = {"code": "", "clause": ""}


@lru_cache(maxsize=1000)
def _person(id: str, name: str) -> Agent:
    "".join((id, name))  # TypeError: not text
    return Agent(id, "person", name)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"an instant without a zone: {text!r}")
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _seal(value: str) -> str:
    if not _DIGEST.fullmatch(value):
        raise ValueError(f"no SHA-256: {value!r}")
    return value
