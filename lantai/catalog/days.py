"""How many items harvesters are listed, by the days (UTC) of their datestamps: kept, so that a list is not counted anew
for each who asks for it, but after a change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

DAY = 86_400
_ALL_DAYS = -1
_CHANGES = "exposures"
"""How often what is listed was changed: what was counted before such a change is not kept after it."""
_EDGE = 10_000
"""Items of a part of a day that are counted at most."""
_HOLDS = "e.since < :at AND (e.until IS NULL OR e.until >= :at)"
_OF_ALL = "exposures e WHERE e.since >= :first AND e.since < :end"
_OF_SET = (
    "exposure_sets s CROSS JOIN exposures e ON e.record = s.record AND e.since = s.since"
    " WHERE s.spec = :spec AND s.since >= :first AND s.since < :end"
)
_COUNTED = (
    f"SELECT e.since / {DAY} AS day, sum({_HOLDS}) AS count,"
    " min(CASE WHEN e.since >= :at THEN e.since WHEN e.until >= :at THEN e.until END) AS until FROM "
)


@dataclass(frozen=True, slots=True)
class Day:
    """day: since 1970; root: what a receipt says of it, if that is known; until: the last moment at which it is so."""

    day: int
    count: int
    root: str | None
    until: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """days: all that have anything, in their order. anew: of those, the ones that were not known. changes: see keep."""

    days: tuple[Day, ...]
    anew: tuple[Day, ...]
    changes: int
    was_known: bool


def forget(connection: Connection, stamps: Iterable[int]) -> None:
    """What is known of the days of these datestamps: what is listed of them was changed."""
    changed = {stamp // DAY for stamp in stamps}
    if not changed:
        return
    connection.exec_driver_sql(
        "INSERT INTO state (name, value) VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = value + 1",
        (_CHANGES,),
    )
    connection.exec_driver_sql(
        "INSERT OR REPLACE INTO exposure_days (spec, prefix, day)"
        f" SELECT spec, prefix, ? FROM exposure_days WHERE day = {_ALL_DAYS}",
        [(day,) for day in changed],
    )


def counted(connection: Connection, spec: str, prefix: str, at: int) -> Counted:
    """Of the set of that spec ("": of all); with the roots in that format, where they are known."""
    changes = _changes(connection)
    asked = "SELECT day, count, root, at, until FROM exposure_days WHERE spec = ? AND prefix = ? ORDER BY day"
    rows = connection.exec_driver_sql(asked, (spec, prefix)).all()
    if not rows:
        found = _count(connection, spec, at, 0, 2**62)
        return Counted(found, found, changes, was_known=False)
    days, anew = list[Day](), list[Day]()
    for day, count, root, counted_at, until in rows[1:]:
        if count is not None and counted_at <= at and (until is None or at <= until):
            days.append(Day(day, count, root, until))
            continue
        now = _count(connection, spec, at, day * DAY, (day + 1) * DAY) or (Day(day, 0, None, None),)
        days += now
        anew += now
    return Counted(tuple(days), tuple(anew), changes, was_known=True)


def keep(connection: Connection, spec: str, prefix: str, at: int, found: Counted, days: Sequence[Day]) -> None:
    """days as they were counted, unless what is listed was changed since."""
    if _changes(connection) != found.changes:
        return
    rows: list[tuple[Any, ...]] = [(spec, prefix, one.day, one.count, one.root, at, one.until) for one in days]
    if not found.was_known:
        rows.append((spec, prefix, _ALL_DAYS, 0, None, at, None))
    if rows:
        connection.exec_driver_sql(
            "INSERT OR REPLACE INTO exposure_days (spec, prefix, day, count, root, at, until)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def within(connection: Connection, spec: str, at: int, days: Sequence[Day], first: int, last: int) -> int | None:
    """How many have datestamps from first to last, both included. None: they begin or end within a day of very many."""
    begins, ends = -(-first // DAY), (last + 1) // DAY
    found = sum(one.count for one in days if begins <= one.day < ends)
    edges = [(first, last + 1)] if begins > ends else [(first, begins * DAY), (ends * DAY, last + 1)]
    for start, end in edges:
        if start >= end or not any(one.count and start // DAY <= one.day < math.ceil(end / DAY) for one in days):
            continue
        asked = f"SELECT count(*) FROM (SELECT 1 FROM {_OF_SET if spec else _OF_ALL} AND {_HOLDS} LIMIT {_EDGE + 1})"
        values = {"spec": spec, "at": at, "first": start, "end": end}
        count = int(connection.exec_driver_sql(asked, values).scalar_one())
        if count > _EDGE:
            return None
        found += count
    return found


def _count(connection: Connection, spec: str, at: int, first: int, end: int) -> tuple[Day, ...]:
    asked = _COUNTED + (_OF_SET if spec else _OF_ALL) + " GROUP BY 1 ORDER BY 1"
    values = {"spec": spec, "at": at, "first": first, "end": end}
    return tuple(Day(day, count, None, until) for day, count, until in connection.exec_driver_sql(asked, values))


def _changes(connection: Connection) -> int:
    found = connection.exec_driver_sql("SELECT value FROM state WHERE name = ?", (_CHANGES,)).scalar()
    return int(found) if found else 0
