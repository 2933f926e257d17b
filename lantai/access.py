"""When a record is shown, and how much of it: a pure function of the decisions taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
