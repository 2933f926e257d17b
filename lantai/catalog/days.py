"""How many items harvesters are listed, by the days (UTC) of their datestamps: kept, so that a list is not counted anew
for each who asks for it, but after a change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from .pen import CHANGED, CHANGES, FORGET

DAY = 86_400
_ALL_DAYS = -1
_EDGE = 10_000
"""Items of a part of a day that are counted at most."""
BELIEVED = (
    "((SELECT count(*) FROM remote_sources) < 2 OR NOT EXISTS"
    " (SELECT 1 FROM remote_records o WHERE o.identifier = r.identifier AND o.prefix = r.prefix"
    " AND (-o.hops, o.since, o.source) > (-r.hops, r.since, r.source)))"
)
"""Of a record that several servers have told of, what the one said that is nearest to where it is from; else what was
told last. So what two archives show on of each other comes to rest.
"""
_HOLDS = "since < :at AND (until IS NULL OR until >= :at)"
_OF_ALL = "SELECT e.since, e.until FROM exposures e WHERE e.since >= :first AND e.since < :end"
_OF_SET = (
    "SELECT e.since, e.until FROM exposure_sets s CROSS JOIN exposures e ON e.record = s.record AND e.since = s.since"
    " WHERE s.spec = :spec AND s.since >= :first AND s.since < :end"
)
_WITH_OTHERS = (
    f"{_OF_ALL} UNION ALL SELECT r.since, NULL FROM remote_records r"
    f" WHERE r.prefix = :others AND r.since >= :first AND r.since < :end AND {BELIEVED}"
)
_COUNTED = (
    f"SELECT since / {DAY} AS day, sum({_HOLDS}) AS count,"
    " min(CASE WHEN since >= :at THEN since WHEN until >= :at THEN until END) AS until FROM ({}) GROUP BY 1 ORDER BY 1"
)
_SOME = f"SELECT count(*) FROM (SELECT 1 FROM ({{}}) WHERE {_HOLDS} LIMIT {_EDGE + 1})"


@dataclass(frozen=True, slots=True)
class Listing:
    """spec: of a set, "": of all; kept: under which name counts, and roots in a format, are kept; others: the format in
    which records of other archives are listed as well; None: they are not.
    """

    spec: str
    kept: str = ""
    others: str | None = None

    @property
    def rows(self) -> str:
        """The statement that has them: since and until of each, from first up to end."""
        if self.others is not None:
            return _WITH_OTHERS
        return _OF_SET if self.spec else _OF_ALL


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


def forget(connection: Connection, stamps: Iterable[int], *, others: bool = False) -> None:
    """What is known of the days of these datestamps: what is listed of them was changed. others: of records of other
    archives alone.
    """
    changed = {stamp // DAY for stamp in stamps}
    if not changed:
        return
    connection.exec_driver_sql(CHANGED)
    connection.exec_driver_sql(FORGET, [{"day": day, "others": others} for day in changed])


def counted(connection: Connection, listing: Listing, at: int) -> Counted:
    """With the roots, where they are known."""
    changes = _changes(connection)
    asked = "SELECT day, count, root, at, until FROM exposure_days WHERE spec = ? AND prefix = ? ORDER BY day"
    rows = connection.exec_driver_sql(asked, (listing.spec, listing.kept)).all()
    if not rows:
        found = _count(connection, listing, at, 0, 2**62)
        return Counted(found, found, changes, was_known=False)
    days, anew = list[Day](), list[Day]()
    for day, count, root, counted_at, until in rows[1:]:
        if count is not None and counted_at <= at and (until is None or at <= until):
            days.append(Day(day, count, root, until))
            continue
        now = _count(connection, listing, at, day * DAY, (day + 1) * DAY) or (Day(day, 0, None, None),)
        days += now
        anew += now
    return Counted(tuple(days), tuple(anew), changes, was_known=True)


def keep(connection: Connection, listing: Listing, at: int, found: Counted, days: Sequence[Day]) -> None:
    """days as they were counted, unless what is listed was changed since."""
    if _changes(connection) != found.changes:
        return
    spec, kept = listing.spec, listing.kept
    rows: list[tuple[Any, ...]] = [(spec, kept, one.day, one.count, one.root, at, one.until) for one in days]
    if not found.was_known:
        rows.append((spec, kept, _ALL_DAYS, 0, None, at, None))
    if rows:
        connection.exec_driver_sql(
            "INSERT OR REPLACE INTO exposure_days (spec, prefix, day, count, root, at, until)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def within(connection: Connection, listing: Listing, at: int, days: Sequence[Day], first: int, last: int) -> int | None:
    """How many have datestamps from first to last, both included. None: they begin or end within a day of very many."""
    begins, ends = -(-first // DAY), (last + 1) // DAY
    found = sum(one.count for one in days if begins <= one.day < ends)
    edges = [(first, last + 1)] if begins > ends else [(first, begins * DAY), (ends * DAY, last + 1)]
    for start, end in edges:
        if start >= end or not any(one.count and start // DAY <= one.day < math.ceil(end / DAY) for one in days):
            continue
        values = _values(listing, at, start, end)
        count = int(connection.exec_driver_sql(_SOME.format(listing.rows), values).scalar_one())
        if count > _EDGE:
            return None
        found += count
    return found


def _count(connection: Connection, listing: Listing, at: int, first: int, end: int) -> tuple[Day, ...]:
    rows = connection.exec_driver_sql(_COUNTED.format(listing.rows), _values(listing, at, first, end))
    return tuple(Day(day, count, None, until) for day, count, until in rows)


def _values(listing: Listing, at: int, first: int, end: int) -> dict[str, Any]:
    return {"spec": listing.spec, "others": listing.others, "at": at, "first": first, "end": end}


def _changes(connection: Connection) -> int:
    found = connection.exec_driver_sql("SELECT value FROM state WHERE name = ?", (CHANGES,)).scalar()
    return int(found) if found else 0
