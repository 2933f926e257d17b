"""When a record is shown, and how much of it: a pure function of the decisions taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .model import Decision, Shown

_STRICT: Sequence[Shown] = ("closed", "description", "open")


@dataclass(frozen=True, slots=True)
class Exposure:
    """So much is shown from since (UTC) on, until the next one."""

    since: datetime
    shown: Shown


def strictest(shown: Iterable[Shown]) -> Shown:
    """closed, if there is none."""
    return min(shown, key=_STRICT.index, default="closed")


def in_force(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Those that no other one replaces, in the order they were taken. More than one: they conflict."""
    known = list(decisions)
    replaced = {id for one in known for id in one.replaces}
    return tuple(sorted((one for one in known if one.id not in replaced), key=lambda one: (one.at, one.id)))


def timeline(own: Sequence[Decision], above: Sequence[Sequence[Exposure]] = ()) -> tuple[Exposure, ...]:
    """How a record is shown over time, by its own decisions; while it has none, by the timelines of the records right
    above it, one of each hierarchy. Of several that hold at once the strictest counts.

    A decision holds from when it was taken until one that replaces it is; before its date it closes. What precedes the
    first exposure is closed.
    """
    instants = {one.since for line in above for one in line}
    for one in own:
        instants |= {one.at, max(one.at, one.since)}
    found: list[Exposure] = []
    for instant in sorted(instants):
        shown = _shown(own, above, instant)
        if not found or found[-1].shown != shown:
            found.append(Exposure(instant, shown))
    return tuple(found)


def _shown(own: Sequence[Decision], above: Sequence[Sequence[Exposure]], instant: datetime) -> Shown:
    taken = in_force(one for one in own if one.at <= instant)
    if taken:
        return strictest(one.shown if one.since <= instant else "closed" for one in taken)
    return strictest(holding(line, instant) for line in above)


def holding(line: Sequence[Exposure], instant: datetime) -> Shown:
    """What a timeline shows at an instant."""
    return next((one.shown for one in reversed(line) if one.since <= instant), "closed")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a harvester sees of a record from since on (seconds since 1970, in UTC): its description, or that it is
    deleted; files: what its files are called, too.
    """

    since: int
    live: bool
    files: bool = False


def seen(
    line: Sequence[Exposure], withdrawals: Iterable[Sequence[tuple[datetime, bool]]], known: datetime,
    applied: int | None,
) -> tuple[Seen, ...]:  # fmt: skip
    """What harvesters see of a record over time; nothing, where it was never open.

    line: its timeline; withdrawals: of it and of each record above it, from when on it was hidden or shown again;
    known: since when there is a description; applied: when what they see was last changed other than by the coming of
    its time, if it was: then they see it anew from there on, and what would have been before is past.
    """
    hidden = [one for one in withdrawals if one]
    instants = {known, *(one.since for one in line), *(at for one in hidden for at, _is_hidden in one)}
    found: list[Seen] = []
    for instant in sorted(one for one in instants if one >= known):
        shown = "closed" if any(_is_hidden(one, instant) for one in hidden) else holding(line, instant)
        now = Seen(math.ceil(instant.timestamp()), shown != "closed", shown == "open")
        if found and found[-1].since == now.since:
            found.pop()  # within one second only what it ends with is seen
        if now.live if not found else (found[-1].live, found[-1].files) != (now.live, now.files):
            found.append(now)
    if applied is None:
        return tuple(found)
    before = [one for one in found if one.since <= applied] or [Seen(applied, live=False)]
    return (replace(before[-1], since=applied), *(one for one in found if one.since > applied))


def _is_hidden(line: Sequence[tuple[datetime, bool]], instant: datetime) -> bool:
    return next((hidden for at, hidden in reversed(line) if at <= instant), False)
