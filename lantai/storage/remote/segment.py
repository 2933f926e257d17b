"""A part of a harvest as bytes: a head, records, a seal; each a line of JSON. docs/remote.md publishes it.

As in the journal, the seal is the SHA-256 of all that comes before it, and the head names the seal of the part before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...model import Agent, Gathered, Received, Scope

FORMAT = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Newer(ValueError):
    """Written by a newer lantai."""


def encode(part: Gathered) -> bytes:
    head = {
        "format": FORMAT, "archive": part.archive, "source": part.source, "number": part.number,
        "previous": part.previous, "at": part.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "by": {"id": part.by.id, "name": part.by.name}, "software": part.software, "url": part.url,
        "metadataPrefix": part.asked.prefix, "set": part.asked.spec, "from": part.asked.since,
        "until": part.asked.until, "began": part.began, "responseDate": part.answered,
        "resumptionToken": part.token, "identify": part.identify or None,
    }  # fmt: skip
    data = b"".join(map(_line, (head, *map(_told, part.records))))
    return data + _line({"seal": hashlib.sha256(data).hexdigest()})


def decode(data: bytes) -> tuple[Gathered, str]:
    """The part and its seal. Raises ValueError, with the reason, if it is not as encode writes it; Newer."""
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
        by, previous, at = head["by"], head["previous"], datetime.fromisoformat(head["at"])
        if previous and not _DIGEST.fullmatch(previous):
            raise ValueError(f"no SHA-256: {previous!r}")
        if at.tzinfo is None:
            raise ValueError(f"an instant without a zone: {head['at']!r}")
        part = Gathered(
            archive=_text(head["archive"]), source=_text(head["source"]), number=int(head["number"]),
            previous=_text(previous), at=at.astimezone(UTC), by=Agent(_text(by["id"]), "person", _text(by["name"])),
            software=_text(head["software"]), url=_text(head["url"]),
            asked=Scope(
                _text(head["metadataPrefix"]), *(_text_or_none(head[one]) for one in ("set", "from", "until"))
            ),
            began=_text(head["began"]), answered=_text(head["responseDate"]),
            token=_text_or_none(head["resumptionToken"]), identify=_text_or_none(head["identify"]) or "",
            records=tuple([_record(json.loads(line)) for line in lines]),
        )  # fmt: skip
    except Newer:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no part of a harvest: {error!r}") from error
    return part, seal


def _told(one: Received) -> dict[str, Any]:
    return {
        "identifier": one.identifier, "datestamp": one.datestamp, "status": "live" if one.live else "deleted",
        "sets": one.sets, "metadata": one.metadata or None, "about": one.about,
    }  # fmt: skip


def _record(values: Mapping[str, Any]) -> Received:
    if values["status"] not in ("live", "deleted"):
        raise ValueError(f"unknown status {values['status']!r}")
    return Received(
        _text(values["identifier"]), _text(values["datestamp"]), values["status"] == "live",
        tuple(map(_text, values["sets"])), _text_or_none(values["metadata"]) or "",
        tuple(map(_text, values["about"])),
    )  # fmt: skip


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
