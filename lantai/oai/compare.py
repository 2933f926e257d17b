"""A harvest held against the receipt of the server it came from. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import groupby
from typing import NamedTuple, TypeAlias

from ..model import Received
from .receipt import Root, digest, leaf

Days: TypeAlias = Mapping[str, tuple[int, str]]
"""By day (UTC): how many items have their datestamp in it, and the root of their tree, in hexadecimal."""

_DAY, _ROOT = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), re.compile("[0-9a-f]{64}")


def told(receipt: bytes, prefix: str, spec: str | None) -> Days:
    """What a receipt says. ValueError, with the reason, if it is none of that list."""
    try:
        values = json.loads(receipt)
        if values["receipt"] != 1:
            raise ValueError(f"receipt {values['receipt']!r}")
        if (values["metadataPrefix"], values["set"]) != (prefix, spec):
            raise ValueError(f"of {values['metadataPrefix']!r}, {values['set']!r}")
        found = {}
        for one in values["days"]:
            day, count, root = one["day"], one["count"], one["root"]
            if not (_DAY.fullmatch(day) and _ROOT.fullmatch(root) and type(count) is int):
                raise ValueError(f"{one!r}"[:200])
            date.fromisoformat(day)
            found[day] = (count, root)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(repr(error)[:200]) from error
    return found


class Had(NamedTuple):
    """A record as a receipt has it, in the order of receipts. metadata: its digest; "" if it is deleted."""

    datestamp: str
    identifier: str
    live: bool
    metadata: str
    sets: tuple[str, ...]


def had(one: Received) -> Had:
    return Had(one.datestamp, one.identifier, one.live, digest(one.metadata) if one.live else "", one.sets)


def held(records: Iterable[Had], spec: str | None) -> Days:
    """The same of what was harvested. records: in their order; spec: of which set."""
    found = {}
    for day, some in groupby(records, lambda one: one.datestamp[:10]):
        root = Root()
        for one in some:
            if spec is None or any(own == spec or own.startswith(f"{spec}:") for own in one.sets):
                root.add(leaf(one.identifier, one.datestamp, live=one.live, metadata=one.metadata))
        if root.count:
            found[day] = (root.count, root.value().hex())
    return found


def differing(there: Days, here: Days) -> list[str]:
    """The days on which the two are not the same, in their order."""
    return sorted(day for day in {**there, **here} if there.get(day) != here.get(day))


def spans(days: Iterable[str]) -> list[tuple[str, str]]:
    """Days, in their order, as first and last of those that follow each other."""
    found: list[tuple[str, str]] = []
    for day in days:
        if found and date.fromisoformat(day).toordinal() - date.fromisoformat(found[-1][1]).toordinal() == 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
