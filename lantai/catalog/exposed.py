"""Reading what harvesters see: at a moment, in the order of (datestamp, id), as fast at the end of a list as at its
beginning.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ..errors import LantaiError, StoreUnavailable
from ..model import FileId, Holdings, PayloadFile, RecordId
from . import days, exposures, queries, shown
from . import tables as t
from .content import TYPE, nodes_left, with_above
from .database import Database
from .days import Counted, Day, Listing
from .exposures import Applied
from .rows import Exposed

_HOLDS = "e.since < :at AND (e.until IS NULL OR e.until >= :at)"
"""Datestamps before the moment alone: what comes within its second may still be followed by more of that second."""
_COLUMNS = "e.record, e.since, e.live, e.files, e.above, e.sets, e.content"
_ONE = f"SELECT {_COLUMNS} FROM exposures e WHERE e.record = :record AND {_HOLDS}"
_OPEN = f"SELECT 1 FROM exposures e WHERE e.record = :record AND {_HOLDS} AND e.live AND e.files"
_THESE = f"SELECT {_COLUMNS} FROM exposures e WHERE e.record IN (SELECT value FROM json_each(:records)) AND {_HOLDS}"
_KEPT = "LEFT JOIN renderings r ON r.prefix = :kept AND r.since = e.since AND r.record = e.record"
_BEYOND = "(e.since, e.record) > (:since, :record) AND e.since <= :last"
"""With a bound of since alone beside it, SQLite would walk through all of one second."""
_ALL = f"exposures e {_KEPT} WHERE {_BEYOND} AND {_HOLDS} ORDER BY e.since, e.record LIMIT :limit"
_OF_SET = (
    f"exposure_sets s CROSS JOIN exposures e ON e.record = s.record AND e.since = s.since {_KEPT}"
    f" WHERE s.spec = :spec AND {_BEYOND.replace('e.', 's.')} AND {_HOLDS} ORDER BY s.since, s.record LIMIT :limit"
)
_JOINED = (
    "SELECT count(*), count(xml), sum(length(xml)), CAST(group_concat(CAST(xml AS TEXT), '') AS BLOB)"
    " FROM (SELECT r.xml AS xml FROM"
)
_GIVEN, _GIVEN_SET = f"{_JOINED} {_ALL})", f"{_JOINED} {_OF_SET})"
_KEEP = (
    "INSERT OR REPLACE INTO renderings (prefix, since, record, xml, digest) SELECT ?, since, record, ?, ?"
    " FROM exposures WHERE record = ? AND since = ? AND content = ?"
)
_LARGE = 64 << 10
"""Bytes of what is given of a record above which it is not kept, but made again."""
_MANY = 8 << 20
"""Bytes after which a page ends."""
_ENOUGH, _COUNTED = 5_000, 50
"""Files of records after which a page ends; so many are counted in the time in which one is listed."""
_TOGETHER = 100
"""Records of which what they are made of is read at once."""
_SOON = 0.5
"""Seconds for which an answer waits for another process to have written, so that what was made is kept."""
_AT_ONCE, _PATIENCE, _BEHIND = 2, 5, 3600
"""Seconds: where another process writes just now, an answer that is not older than the first is given at once; else
that process is waited for; then an answer may be older by the last.
"""
_WAY = "renderings"
_HELD = (
    "SELECT 1 FROM exposure_sets s CROSS JOIN exposures e ON e.record = s.record AND e.since = s.since"
    f" WHERE s.spec = {{}} AND {_HOLDS}"
)
_HOLDS_ANY = f"{_HELD.format(':spec')} LIMIT 1"
_SETS = (
    "WITH RECURSIVE every (spec) AS (SELECT min(spec) FROM exposure_sets UNION ALL"
    " SELECT (SELECT min(spec) FROM exposure_sets WHERE spec > every.spec) FROM every WHERE spec IS NOT NULL)"
    f" SELECT count(*) FROM every WHERE spec <> :type AND EXISTS ({_HELD.format('every.spec')})"
)
"""From one set to the next: what is in them is passed over."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Of what harvesters see: datestamps from first to last, both included, in the set of that spec ("": all)."""

    first: int
    last: int
    spec: str


@dataclass(frozen=True, slots=True)
class Given:
    """Of a list: what is given of so many records or files; last: datestamp (0 of a file) and id of the last one; more:
    others follow.
    """

    body: bytes
    count: int
    last: tuple[int, str] | None
    more: bool


class Exposures:
    """Of the catalogue in a database. at: a responseDate, in seconds since 1970."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._served = 0  # or later: others may have answered since

    def served(self, clock: int) -> int:
        """The responseDate of an answer given now: clock, and nothing that is told the catalogue later gets a datestamp
        before it. Earlier than clock, by an hour at most, where another process writes for long. StoreUnavailable: by
        more; a harvester that trusts its own clock would miss too much.
        """
        if clock <= self._served:
            return clock
        with self._database.reading() as connection:
            self._served = max(self._served, exposures.served(connection))
        behind = clock - self._served
        if behind <= 0:
            return clock
        try:
            with self._database.writing(wait=0 if behind <= _AT_ONCE else _PATIENCE) as connection:
                exposures.serve(connection, clock)
                self._served = max(self._served, clock)
        except StoreUnavailable:
            if behind > _BEHIND:
                raise
        return min(clock, self._served)

    @staticmethod
    def served_before(url: str) -> int:
        """Up to when the catalogue at url answered, as far as it can be read; else now: it may have."""
        now = math.ceil(time.time())
        with suppress(LantaiError), closing(Database(url, read_only=True, create=False)) as old, old.reading() as known:
            return max(now, exposures.served(known))
        return now

    def go_on(self, served: int) -> None:
        """In the place of a catalogue that answered up to then."""
        with self._database.writing() as connection:
            exposures.serve(connection, served)

    def one(self, record: RecordId, at: int, *, described: bool, files: bool) -> Exposed | None:
        """None: there is none, or it was never open: the same is asked of both. described: with the record itself, and
        what is above it; files: with its own files, if they are seen.
        """
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql(_ONE, {"record": record, "at": at}).all()
            return next(_exposed(connection, rows, described=described, files=files), None)

    def files(
        self, record: RecordId, at: int, after: FileId | None, limit: int, row: Callable[[PayloadFile], bytes]
    ) -> Given | None:
        """What row gives of each of its own files, by path and beyond after: at most limit, fewer where that is much.
        None: there is no such record, or its files are not seen, whatever else of it is: the same is asked of all; or
        after is none of its files.
        """
        with self._database.reading() as connection:
            if connection.exec_driver_sql(_OPEN, {"record": record, "at": at}).first() is None:
                return None
            found = shown.files(connection, record, after)
            if found is None:
                return None
            rows, octets, last = list[bytes](), 0, after
            for one in found:
                if len(rows) == limit or octets >= _MANY:
                    return Given(b"".join(rows), len(rows), (0, last or ""), more=True)
                rows.append(row(one))
                octets, last = octets + len(rows[-1]), one.id
            return Given(b"".join(rows), len(rows), (0, last or ""), more=False)

    def page(
        self, part: Selection, *, at: int, after: tuple[int, str], limit: int, kept: str, described: bool,
        files: bool, make: Callable[[Exposed], tuple[bytes, str]],
    ) -> tuple[list[tuple[str, int, bytes]], bool]:  # fmt: skip
        """(record, datestamp, what is given of it), beyond after: at most limit, and fewer where much is given of them,
        but one at least; and whether there are more.

        What was not given before is made: of make come the bytes, and the digest that receipts have. kept: under which
        name what is given is kept; described: not of headers alone.
        """
        values = _values(part, at, after, limit + 1) | {"kept": kept}
        asked = f"SELECT e.record, e.since, r.xml FROM {_OF_SET if part.spec else _ALL}"
        rows = self._database.rows(asked, values)
        made: dict[str, tuple[bytes, str, str, int, str]] = {}
        if any(xml is None for _record, _since, xml in rows[:limit]):
            with self._database.reading() as connection:
                rows = list(connection.exec_driver_sql(asked, values))  # of the same snapshot as what they are made of
                lacking = [record for record, _since, xml in rows[:limit] if xml is None]
                made.update(_made(connection, lacking, at, described, files, make))
            if rows_kept := [(kept, *one) for one in made.values() if len(one[0]) <= _LARGE]:
                with suppress(StoreUnavailable), self._database.writing(wait=_SOON, durable=False) as connection:
                    connection.exec_driver_sql(_KEEP, rows_kept)
        found: list[tuple[str, int, bytes]] = []
        octets = 0
        for record, since, xml in rows[:limit]:
            if octets >= _MANY or (xml is None and record not in made):
                break
            found.append((record, since, made[record][0] if xml is None else xml))
            octets += len(found[-1][2])
        return found, len(found) < len(rows)

    def given(self, part: Selection, *, at: int, after: tuple[int, str], limit: int, kept: str) -> Given | None:
        """As page, where all of it was given before and is not too much, in one piece: the database joins it, which
        takes a fraction of the time. None: it was not.
        """
        beyond = _values(part, at, after, limit) | {"kept": kept}
        [(count, known, octets, body)] = self._database.rows(_GIVEN_SET if part.spec else _GIVEN, beyond)
        if known < count or (octets or 0) > _MANY:
            return None
        if not count:
            return Given(b"", 0, None, more=False)
        ends = f"SELECT e.since, e.record FROM {_OF_SET if part.spec else _ALL} OFFSET :skipped"
        last, *more = self._database.rows(ends, beyond | {"limit": 2, "skipped": count - 1})
        return Given(body, count, last, more=bool(more))

    def coming(self, part: Selection, after: tuple[int, str]) -> bool:
        """Whether any has its datestamp in part and beyond after, be it shown yet or not."""
        asked = f"SELECT 1 FROM {'exposure_sets e' if part.spec else 'exposures e'} WHERE {_BEYOND}"
        asked += f"{' AND e.spec = :spec' if part.spec else ''} LIMIT 1"
        return bool(self._database.rows(asked, _values(part, 0, after, 1)))

    def digests(
        self, part: Selection, *, at: int, after: tuple[int, str], limit: int, kept: str
    ) -> list[tuple[str, int, bool, str | None]]:  # fmt: skip
        """(record, datestamp, whether it is live, the digest of what was given of it), beyond after."""
        asked = f"SELECT e.record, e.since, e.live, r.digest FROM {_OF_SET if part.spec else _ALL}"
        return self._database.rows(asked, _values(part, at, after, limit) | {"kept": kept})

    def size(self, listing: Listing, first: int, last: int, at: int) -> int | None:
        """How many have datestamps from first to last, both included. None: that would cost as much as the list."""
        with self._database.reading() as connection:
            found = days.counted(connection, listing, at)
            size = days.within(connection, listing, at, found.days, first, last)
        if found.anew or not found.was_known:
            self.keep(listing, at, found, found.anew)
        return size

    def counted(self, listing: Listing, at: int) -> Counted:
        """See days.counted."""
        with self._database.reading() as connection:
            return days.counted(connection, listing, at)

    def keep(self, listing: Listing, at: int, found: Counted, told: Sequence[Day]) -> None:
        """See days.keep; where another process writes just now, it is not kept."""
        with suppress(StoreUnavailable), self._database.writing(wait=_SOON, durable=False) as connection:
            days.keep(connection, listing, at, found, told)

    def crosswalk(self) -> str | None:
        """The version that was adopted last; None: none was."""
        with self._database.reading() as connection:
            adopted = exposures.crosswalks(connection)
        return adopted[-1][1] if adopted else None

    def has_answered(self) -> bool:
        """Whether anybody was given anything."""
        with self._database.reading() as connection:
            return exposures.served(connection) > 0

    def cast(self, limit: int) -> int:
        """See exposures.cast. One transaction: who is interrupted goes on with the next."""
        with self._database.writing() as connection:
            exposures.begin(connection)
            return exposures.cast(connection, limit)

    def begin(self, way: str) -> None:
        """What was given in another way is given up: names under which it is kept end in a space and way. Who still
        gives it so keeps it anew.
        """
        with self._database.reading() as connection:
            if connection.exec_driver_sql("SELECT value FROM state WHERE name = ?", (_WAY,)).scalar() == way:
                return
        with self._database.writing() as connection:
            for table in ("renderings", "exposure_days"):
                others = f"DELETE FROM {table} WHERE prefix <> '' AND substr(prefix, instr(prefix, ' ') + 1) <> ?"
                connection.exec_driver_sql(others, (way,))
            connection.exec_driver_sql(
                "INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (_WAY, way),
            )

    def left(self, limit: int) -> dict[RecordId, Applied]:
        """Datestamps and sets that cannot be derived, and that the journal was not told of yet."""
        with self._database.reading() as connection:
            return exposures.left(connection, limit)

    def nodes_left(self, limit: int) -> dict[str, tuple[str, int]]:
        """See content.nodes_left."""
        with self._database.reading() as connection:
            return nodes_left(connection, limit)

    def sets(self, at: int, after: str, limit: int) -> list[tuple[str, str | None]]:
        """Those beyond after that hold anything, in their order, with the title of the record that a part of a fonds
        is, if that is open; type always.
        """
        with self._database.reading() as connection:
            return _sets(connection, at, after, limit)

    def sets_held(self, at: int) -> int:
        """How many those are."""
        with self._database.reading() as connection:
            return 1 + int(connection.exec_driver_sql(_SETS, {"type": TYPE, "at": at}).scalar_one())


def _sets(connection: Connection, at: int, after: str, limit: int) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    spec = after
    while len(found) < limit:
        row = connection.exec_driver_sql("SELECT min(spec) FROM exposure_sets WHERE spec > ?", (spec,)).scalar()
        if spec < TYPE and (row is None or row > TYPE):
            row = TYPE
        if row is None:
            break
        spec = row
        held = connection.exec_driver_sql(_HOLDS_ANY, {"spec": spec, "at": at}).first()
        if spec == TYPE or held is not None:
            found.append((spec, _title(connection, spec, at)))
    return found


def _title(connection: Connection, spec: str, at: int) -> str | None:
    """A node's title is told only while the node itself is open."""
    root, *nodes = spec.split(":")
    if root != "fonds":
        return None
    asked = (
        "SELECT r.title FROM nodes n JOIN records r ON r.id = n.record JOIN exposures e ON e.record = n.record"
        f" WHERE n.part = :part AND e.live AND {_HOLDS} AND instr(' ' || e.sets || ' ', ' ' || :spec || ' ') > 0"
        " ORDER BY r.id LIMIT 1"
    )
    title: str | None = connection.exec_driver_sql(asked, {"part": nodes[-1], "spec": spec, "at": at}).scalar()
    return title


def _values(part: Selection, at: int, after: tuple[int, str], limit: int) -> dict[str, Any]:
    since, record = max(after, (part.first, ""))
    return {"last": part.last, "spec": part.spec, "at": at, "since": since, "record": record, "limit": limit}


def _made(
    connection: Connection, records: Sequence[str], at: int, described: bool, files: bool,
    make: Callable[[Exposed], tuple[bytes, str]],
) -> Iterator[tuple[str, tuple[bytes, str, str, int, str]]]:  # fmt: skip
    """Of some of the records, the first at least: bytes, digest, record, datestamp, content."""
    octets = weight = 0
    for start in range(0, len(records), _TOGETHER):
        some = json.dumps(records[start : start + _TOGETHER])
        rows = {row.record: row for row in connection.exec_driver_sql(_THESE, {"records": some, "at": at})}
        ordered = [rows[one] for one in records[start : start + _TOGETHER]]
        for one in _exposed(connection, ordered, described=described, files=files):
            xml, digest = make(one)
            yield one.id, (xml, digest, one.id, one.since, rows[one.id].content)
            octets, weight = octets + len(xml), weight + _weight(one.holdings)
            if octets >= _MANY or weight >= _ENOUGH:
                return


def _weight(holdings: Holdings | None) -> int:
    return 0 if holdings is None else len(holdings.listed) or holdings.files // _COUNTED


def _exposed(connection: Connection, rows: Sequence[Any], *, described: bool, files: bool) -> Iterator[Exposed]:
    live = [row for row in rows if row.live] if described else []
    found = queries.stored_records(connection, t.records.c.id.in_([row.record for row in live])) if live else []
    records = {one.record.id: one.record for one in found}
    over = shown.named(connection, {id for row in live for id in row.above.split()})
    held = shown.holdings(connection, [row.record for row in live if row.files] if files else [])
    waiting = next(held, None)
    for row in rows:
        holdings = None
        if waiting is not None and waiting[0] == row.record:
            holdings, waiting = waiting[1], next(held, None)
        specs = tuple(with_above(row.sets.split()))
        above = tuple(over[id] for id in row.above.split()) if row.record in records else ()
        record = records.get(row.record)
        yield Exposed(RecordId(row.record), row.since, specs, bool(row.live), record, above, holdings)
