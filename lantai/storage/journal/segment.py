"""A segment of the journal as bytes: entries, sealed (storage/sealed.py). docs/journal.md publishes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, get_args

from ...messages import N_
from ...model import Agent, Entry, EntryKind
from ..sealed import a_seal, instant, moment, seal, unseal

FORMAT = 3
"""Of segments and entries, and the edition of their schemas: a new kind of entry makes a new one. All are read."""

_KINDS = frozenset(get_args(EntryKind))


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
    return seal(head, map(entry_to_json, segment.entries))


def decode(data: bytes) -> tuple[Segment, str]:
    """The segment and its seal. Raises ValueError, with the reason, if it is not as encode writes it; Newer."""
    return unseal(data, _segment, newest=FORMAT, what=N_("segment"))


def _segment(head: Mapping[str, Any], lines: Sequence[str]) -> Segment:
    heads = {str(writer): Link(int(one["number"]), a_seal(one["seal"])) for writer, one in head["heads"].items()}
    return Segment(
        archive=str(head["archive"]), writer=str(head["writer"]), number=int(head["number"]),
        previous=a_seal(head["previous"]) if head["previous"] else "", heads=heads, at=instant(head["at"]),
        # One after the other: what is parsed and not yet an entry costs the collector of garbage much.
        entries=tuple([entry_from_json(json.loads(line)) for line in lines]),
    )  # fmt: skip


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
    at, person = instant(values["at"]), _person(by["id"], by["name"])
    return Entry(id, kind, type_, subject_id, at, person, state, organization, code, clause, replaces)


_NO_GROUND: Mapping[str, str] = {"code": "", "clause": ""}


@lru_cache(maxsize=1000)
def _person(id: str, name: str) -> Agent:
    "".join((id, name))  # TypeError: not text
    return Agent(id, "person", name)
