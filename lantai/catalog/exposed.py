"""Reading what harvesters see: at a moment, in the order of (datestamp, id), as fast at the end of a list as at its
beginning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any

from sqlalchemy import Connection

from ..errors import LantaiError, StoreUnavailable
from ..model import RecordId
from . import exposures, queries, shown
from . import tables as t
from .database import Database
from .exposures import TYPE
from .rows import FONDS, Exposed
from .shown import Around

_HOLDS = "e.since < :at AND (e.until IS NULL OR e.until >= :at)"
"""Datestamps before the moment alone: what comes within its second may still be followed by more of that second."""
_COLUMNS = "e.record, e.since, e.live, e.sets"
_ONE = f"SELECT {_COLUMNS} FROM exposures e WHERE e.record = :record AND {_HOLDS}"
_BEYOND = "e.since >= :first AND e.since <= :last AND (e.since, e.record) > (:since, :record)"
_ALL = f"SELECT {_COLUMNS} FROM exposures e WHERE {_BEYOND} AND {_HOLDS} ORDER BY e.since, e.record LIMIT :limit"
_OF_SET = (
    f"SELECT {_COLUMNS} FROM exposure_sets s CROSS JOIN exposures e ON e.record = s.record AND e.since = s.since"
    f" WHERE s.spec = :spec AND {_BEYOND.replace('e.', 's.')} AND {_HOLDS} ORDER BY s.since, s.record LIMIT :limit"
)
_HOLDS_ANY = (
    "SELECT 1 FROM exposure_sets s CROSS JOIN exposures e ON e.record = s.record AND e.since = s.since"
    f" WHERE s.spec = :spec AND {_HOLDS} LIMIT 1"
)


class Exposures:
    """Of the catalogue in a database. at: a responseDate, in seconds since 1970."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def served(self, clock: int) -> int:
        """The responseDate of an answer given now: clock, and nothing that is told the catalogue later gets a datestamp
        before it. Earlier than clock where another process writes just now.
        """
        with self._database.reading() as connection:
            known = exposures.served(connection)
        if clock <= known:
            return clock
        with suppress(StoreUnavailable), self._database.writing(wait=False) as connection:
            exposures.serve(connection, clock)
            return clock
        return known

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

    def one(self, record: RecordId, at: int) -> Exposed | None:
        """None: there is none, or it was never open: the same is asked of both."""
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql(_ONE, {"record": record, "at": at}).all()
            return next(_exposed(connection, rows), None)

    def some(
        self, *, first: int, last: int, spec: str | None, at: int, after: tuple[int, str], limit: int,
        described: bool = True,
    ) -> list[Exposed]:  # fmt: skip
        """At most limit, of datestamps from first to last, beyond after. described: with the records themselves."""
        values: dict[str, Any] = {
            "first": first, "last": last, "at": at, "since": after[0], "record": after[1], "limit": limit, "spec": spec,
        }  # fmt: skip
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql(_ALL if spec is None else _OF_SET, values).all()
            return list(_exposed(connection, rows, described=described))

    def around(self, records: Sequence[RecordId], at: int, *, files: bool) -> Generator[Around]:
        """See shown.around. One snapshot is held until it ends or is closed."""
        with self._database.reading() as connection:
            yield from shown.around(connection, records, at, files=files)

    def left(self, limit: int) -> dict[RecordId, int]:
        """Datestamps that cannot be derived, and that the journal was not told of yet."""
        with self._database.reading() as connection:
            return exposures.left(connection, limit)

    def sets(self, at: int, after: str, limit: int) -> list[tuple[str, str | None]]:
        """Those beyond after that hold anything, in their order, with the title of the record that a part of a fonds
        is, if that is open; type always.
        """
        with self._database.reading() as connection:
            return _sets(connection, at, after, limit)


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
        "SELECT r.id, r.title FROM records r LEFT JOIN places p ON p.record = r.key AND p.hierarchy = :fonds"
        " JOIN exposures e ON e.record = r.id AND e.live"
        f" WHERE (p.reference_code = :node OR r.id = :id) AND {_HOLDS} ORDER BY r.id LIMIT 1"
    )
    values = {"fonds": FONDS, "node": nodes[-1], "id": f"urn:uuid:{nodes[-1]}", "at": at}
    row = connection.exec_driver_sql(asked, values).first()
    return None if row is None else str(row.title)


def _exposed(connection: Connection, rows: Sequence[Any], *, described: bool = True) -> Iterator[Exposed]:
    live = [row.record for row in rows if row.live] if described else []
    found = queries.stored_records(connection, t.records.c.id.in_(live)) if live else []
    records = {one.record.id: one.record for one in found}
    for row in rows:
        specs = tuple(exposures.with_above(row.sets.split()))
        yield Exposed(RecordId(row.record), row.since, specs, bool(row.live), records.get(row.record))
