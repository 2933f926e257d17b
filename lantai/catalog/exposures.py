"""What harvesters see of records: kept as spans of time, so that what opens on a day is seen from its first second on,
and nobody need do anything then.

A datestamp is the since of a span. It may be derived from the decisions and the package, or, where what is seen was
changed later than that, is the moment of that change (applied), which the journal is told. Nothing gets a datestamp
before `served`, the time up to which answers were given, so that no harvester misses it.

What is live is in the sets of its present description; what is deleted keeps those that it had last, since what is said
of a record while it is closed is closed, too. Where that is not what can be derived, it is applied as well.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from ..access import Exposure, Seen, seen
from ..model import RecordId
from . import days, journal
from . import tables as t
from .content import Content, contents, digest, name, with_above
from .pen import APPLY, CAST
from .rows import FONDS

_BELOW = (
    "INSERT OR IGNORE INTO touched WITH RECURSIVE below (id) AS (SELECT record FROM touched UNION"
    " SELECT records.id FROM below JOIN places ON places.hierarchy = ? AND places.parent = below.id"
    " JOIN records ON records.key = places.record) SELECT id FROM below"
)
_SERVED = "served"
_TOGETHER = 500


class Span(NamedTuple):
    """since: its datestamp; files: the names of its files are seen; above: the records above it that are live then, the
    nearest first, spaces between them; sets: setSpecs, spaces between them; content: a digest of all that is seen; ""
    of what is deleted.
    """

    since: int
    live: bool
    files: bool
    above: str
    sets: str
    content: str


class Applied(NamedTuple):
    """What is seen begins at that second. sets: setSpecs, spaces between them, which it keeps if it is deleted then;
    None: those of the description.
    """

    at: int
    sets: str | None


class _Known(NamedTuple):
    """What the catalogue knows of some records, and of those above them. fonds: which stands right above in the fonds;
    told: level, title and reference code; crosswalks: of all, from when on each holds.
    """

    parents: Mapping[str, Sequence[str]]
    fonds: Mapping[str, str]
    told: Mapping[str, Sequence[str | None]]
    lines: Mapping[str, Sequence[Exposure]]
    withdrawals: Mapping[str, Sequence[tuple[datetime, bool]]]
    created: Mapping[str, datetime]
    applied: Mapping[str, Applied]
    crosswalks: Sequence[tuple[int, str]]


def begin(connection: Connection) -> None:
    """Before anything is told in a transaction."""
    connection.exec_driver_sql("CREATE TEMP TABLE IF NOT EXISTS touched (record TEXT PRIMARY KEY) WITHOUT ROWID")


def touch_all(connection: Connection) -> None:
    connection.exec_driver_sql(
        "INSERT OR IGNORE INTO touched SELECT id FROM records UNION SELECT record FROM exposures"
    )


def refresh(connection: Connection) -> None:
    """What harvesters see of all that was touched, after all was told."""
    connection.exec_driver_sql(_BELOW, (FONDS,))
    before = served(connection)
    # One moment for all: where a record and one above it change, what is seen of both does so together.
    instant = max(before, math.ceil(time.time()))
    last = ""
    while some := connection.exec_driver_sql(
        "SELECT record FROM touched WHERE record > ? ORDER BY record LIMIT ?", (last, _TOGETHER)
    ).scalars().all():  # fmt: skip
        last = some[-1]
        _refresh(connection, some, before, instant)
    connection.exec_driver_sql("DELETE FROM touched")


def _refresh(connection: Connection, records: Sequence[str], before: int, instant: int) -> None:
    stored = _stored(connection, records)
    known = _known(connection, records)
    if not stored and not known.applied and all(one.shown == "closed" for line in known.lines.values() for one in line):
        return
    seen_once = [one for one in records if one in stored or _spans(one, known, known.applied.get(one))]
    lines = {one: _line(one, known.fonds) for one in seen_once}
    described = contents(connection, lines, instant)
    changed = set[int]()
    for record in records:
        old, applied = stored.get(record, []), known.applied.get(record)
        new = _told(record, known, applied, described.get(record))
        if late := _late(old, new, applied, before, instant):
            connection.exec_driver_sql(APPLY, {"record": record, **late._asdict(), "entered": False})
            new = _told(record, known, late, described.get(record))
        if new != old:
            _write(connection, record, new)
            changed.update(one.since for one in (*old, *new))
        if (content := described.get(record)) and content.nodes and content.nodes[-1].id == record:
            name(connection, content.nodes[-1], new[0].since if new else None, instant)
    days.forget(connection, changed)


def _late(
    old: Sequence[Span], new: Sequence[Span], applied: Applied | None, before: int, instant: int
) -> Applied | None:  # fmt: skip
    """What must be told beside what new was derived from, if anything must."""
    was, now = _at(old, before), _at(new, before)
    if (last := was or now) and _is_late(was, now):
        return Applied(instant, last.sets)
    # Of the sets, up to now, and not only up to an answer: what is said of it once it is closed nobody is to see.
    was, now = _at(old, instant + 1), _at(new, instant + 1)
    if was and was != now and not _is_late(was, now) and _kept(applied, was) is None:
        return Applied(was.since, was.sets)
    return None


def _kept(applied: Applied | None, one: Seen | Span) -> str | None:
    """The sets that it keeps, if those were told."""
    return applied.sets if applied and one.since == applied.at and not one.live else None


def _spans(record: str, known: _Known, applied: Applied | None) -> tuple[Seen, ...]:
    created, at = known.created.get(record), applied.at if applied else None
    if created is None:  # it is no longer in its package
        return (Seen(at, live=False),) if at is not None else ()
    above = [known.withdrawals[one] for one in _above(record, known.parents) if one in known.withdrawals]
    return seen(known.lines.get(record, ()), above, created, at)


def _told(record: str, known: _Known, applied: Applied | None, content: Content | None) -> list[Span]:
    """content: while it is in its package."""
    found: list[Span] = []
    sets = content.sets({record}) if content else ""
    lines, cast = _lines_above(record, known), [since for since, _version in known.crosswalks if since]
    for one, above in _beside(_spans(record, known, applied), lines, cast):
        said = ""
        if one.live and content:
            sets = content.sets({record, *above})
            files, over = content.files if one.files else "", [[id, *known.told[id]] for id in above]
            cast_by = [version for since, version in known.crosswalks if 0 < since <= one.since]
            said = digest([content.told, files, over, *cast_by])
        elif (kept := _kept(applied, one)) is not None:
            sets = kept
        found.append(Span(one.since, one.live, one.files, " ".join(above), sets, said))
    return found


def _line(record: str, fonds: Mapping[str, str]) -> list[str]:
    """A record and those above it in the fonds, the nearest first."""
    found = [record]
    while (above := fonds.get(found[-1])) is not None and above not in found:
        found.append(above)
    return found


def _lines_above(record: str, known: _Known) -> list[tuple[str, Sequence[Seen]]]:
    """What is seen of the records above it in the fonds, the nearest first: by decisions alone. That something else of
    one of them was changed, and when, is nothing that is seen of what is below it.
    """
    line = _line(record, known.fonds)[1:]
    return [(one, _spans(one, known, None)) for one in line if one in known.told]


def _beside(
    own: Sequence[Seen], over: Sequence[tuple[str, Sequence[Seen]]], cast: Collection[int]
) -> Iterator[tuple[Seen, tuple[str, ...]]]:  # fmt: skip
    """What is seen of a record, cut where one above it opens or closes, with those that are live then, and where all is
    cast anew.
    """
    instants = sorted({one.since for _id, line in over for one in line}.union(cast))
    for at, one in enumerate(own):
        until = own[at + 1].since if at + 1 < len(own) else math.inf
        before: tuple[str, ...] | None = None
        for instant in (one.since, *(each for each in instants if one.since < each < until)):
            live = tuple(id for id, line in over if one.live and _is_live(line, instant))
            if live != before or (one.live and instant in cast):
                yield replace(one, since=instant), live
            before = live


def _is_live(line: Sequence[Seen], instant: int) -> bool:
    return next((one.live for one in reversed(line) if one.since <= instant), False)


def _at(spans: Sequence[Span], instant: int) -> Span | None:
    """What answers up to that second showed: datestamps before it."""
    return next((one for one in reversed(spans) if one.since < instant), None)


def _is_late(old: Span | None, new: Span | None) -> bool:
    """Whether what was shown already is now said to have been other, or to have been so since another second: but for
    the sets of what is deleted, which stay.
    """
    return old != (new._replace(sets=old.sets) if old and new and not new.live else new)


def _write(connection: Connection, record: str, spans: Sequence[Span]) -> None:
    for table in (t.exposures, t.exposure_sets, t.renderings):
        connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE record = ?", (record,))
    untils = [*(one.since for one in spans[1:]), None][: len(spans)]
    rows = [(record, one.since, until, *one[1:]) for one, until in zip(spans, untils, strict=True)]
    if rows:
        connection.exec_driver_sql(
            "INSERT INTO exposures (record, since, until, live, files, above, sets, content)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    members = [(spec, one.since, record) for one in spans for spec in with_above(one.sets.split())]
    if members:
        connection.exec_driver_sql("INSERT INTO exposure_sets (spec, since, record) VALUES (?, ?, ?)", members)


def served(connection: Connection) -> int:
    """Up to which second, itself not included, datestamps were shown."""
    found = connection.execute(select(t.state.c.value).where(t.state.c.name == _SERVED)).scalar()
    return int(found) if found else 0


def serve(connection: Connection, until: int) -> None:
    connection.exec_driver_sql(
        "INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        " WHERE CAST(excluded.value AS INTEGER) > CAST(state.value AS INTEGER)",
        (_SERVED, str(until)),
    )


def crosswalks(connection: Connection) -> list[tuple[int, str]]:
    """From when on each holds that was adopted, in seconds since 1970, and its version. 0: from the beginning on."""
    rows = connection.exec_driver_sql("SELECT since, version FROM crosswalks ORDER BY since, version")
    return [(since, version) for since, version in rows]


def cast(connection: Connection, limit: int) -> int:
    """Tell of some records more how they are seen under the crosswalks adopted; how many: 0, if it was told of all."""
    last = connection.execute(select(t.state.c.value).where(t.state.c.name == CAST)).scalar()
    if last is None:
        return 0
    asked = "SELECT DISTINCT record FROM exposures WHERE record > ? ORDER BY record LIMIT ?"
    some = connection.exec_driver_sql(asked, (last, limit)).scalars().all()
    if not some:
        connection.exec_driver_sql("DELETE FROM state WHERE name = ?", (CAST,))
        return 0
    connection.exec_driver_sql("INSERT OR IGNORE INTO touched (record) VALUES (?)", [(one,) for one in some])
    refresh(connection)
    connection.exec_driver_sql("UPDATE state SET value = ? WHERE name = ?", (some[-1], CAST))
    return len(some)


def left(connection: Connection, limit: int) -> dict[RecordId, Applied]:
    """What was applied and the journal was not told of yet."""
    asked = "SELECT record, at, sets FROM applied WHERE NOT entered ORDER BY record LIMIT ?"
    return {RecordId(record): Applied(*told) for record, *told in connection.exec_driver_sql(asked, (limit,))}


def _stored(connection: Connection, records: Sequence[str]) -> Mapping[str, list[Span]]:
    found: defaultdict[str, list[Span]] = defaultdict(list)
    asked = (
        "SELECT record, since, live, files, above, sets, content FROM exposures"
        " WHERE record IN (SELECT value FROM json_each(?)) ORDER BY record, since"
    )
    for record, since, live, files, *rest in connection.exec_driver_sql(asked, (json.dumps(records),)):
        found[record].append(Span(since, bool(live), bool(files), *rest))
    return found


def _known(connection: Connection, records: Sequence[str]) -> _Known:
    parents = journal.parents(connection, records)
    own = journal.decisions(connection, parents)
    every = json.dumps(list(parents))
    withdrawals: dict[str, Sequence[tuple[datetime, bool]]] = {}
    hidden = (
        "SELECT DISTINCT subject FROM entries WHERE subject IN (SELECT value FROM json_each(?)) AND kind = 'withdrawal'"
    )
    for subject in connection.exec_driver_sql(hidden, (every,)).scalars().all():
        withdrawals[subject] = journal.hidden(journal.entries(connection, subject))
    stand = (
        "SELECT records.id, records.level, records.title, places.reference_code, places.parent, packages.created"
        " FROM records LEFT JOIN places ON places.record = records.key AND places.hierarchy = ?"
        " LEFT JOIN packages ON packages.key = records.package WHERE records.id IN (SELECT value FROM json_each(?))"
    )
    rows = connection.exec_driver_sql(stand, (FONDS, every)).all()
    applied = "SELECT record, at, sets FROM applied WHERE record IN (SELECT value FROM json_each(?))"
    return _Known(
        parents,
        {row.id: row.parent for row in rows if row.parent is not None},
        {row.id: row[1:4] for row in rows},
        {record: journal.line(record, parents, own) for record in parents},
        withdrawals,
        {row.id: _since(row.id, datetime.fromisoformat(row.created)) for row in rows if row.created is not None},
        {record: Applied(*told) for record, *told in connection.exec_driver_sql(applied, (every,))},
        crosswalks(connection),
    )


def _since(record: str, created: datetime) -> datetime:
    """Since when there is a record, in whole seconds: its package may be older, and was perhaps open before there was
    this part of it. created: of its package; the record's own is in its id, where that is a UUIDv7 (RFC 9562 5.7).
    """
    id = UUID(record)
    seconds = (id.int >> 80) // 1000
    return max(created, datetime.fromtimestamp(min(seconds, _LAST), UTC)) if id.version == 7 else created


_LAST = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


def _above(record: str, parents: Mapping[str, Sequence[str]]) -> list[str]:
    """A record and all above it, from below."""
    found, left = list[str](), [record]
    while left:
        one = left.pop(0)
        if one not in found:
            found.append(one)
            left += parents.get(one, ())
    return found
