"""A part of a harvest as bytes: records, sealed (storage/sealed.py). docs/remote.md publishes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...messages import N_
from ...model import Agent, Gathered, Received, Scope
from ..sealed import a_seal, instant, moment, seal, unseal

FORMAT = 1


def encode(part: Gathered) -> bytes:
    head = {
        "format": FORMAT, "archive": part.archive, "source": part.source, "number": part.number,
        "previous": part.previous, "at": moment(part.at), "by": {"id": part.by.id, "name": part.by.name},
        "software": part.software, "url": part.url, "metadataPrefix": part.asked.prefix, "set": part.asked.spec,
        "from": part.asked.since, "until": part.asked.until, "began": part.began, "responseDate": part.answered,
        "resumptionToken": part.token, "identify": part.identify or None,
    }  # fmt: skip
    return seal(head, map(_told, part.records))


def decode(data: bytes) -> tuple[Gathered, str]:
    """The part and its seal. Raises ValueError, with the reason, if it is not as encode writes it; Newer."""
    return unseal(data, _part, newest=FORMAT, what=N_("part of a harvest"))


def _part(head: Mapping[str, Any], lines: Sequence[str]) -> Gathered:
    by, previous = head["by"], _text(head["previous"])
    return Gathered(
        archive=_text(head["archive"]), source=_text(head["source"]), number=int(head["number"]),
        previous=a_seal(previous) if previous else "", at=instant(head["at"]),
        by=Agent(_text(by["id"]), "person", _text(by["name"])), software=_text(head["software"]),
        url=_text(head["url"]),
        asked=Scope(_text(head["metadataPrefix"]), *(_text_or_none(head[one]) for one in ("set", "from", "until"))),
        began=_text(head["began"]), answered=_text(head["responseDate"]),
        token=_text_or_none(head["resumptionToken"]), identify=_text_or_none(head["identify"]) or "",
        records=tuple([_record(json.loads(line)) for line in lines]),
    )  # fmt: skip


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
