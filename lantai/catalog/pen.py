"""Rows on their way into the tables: many at a time, table by table, since a package may have a million files, and an
archive a million packages.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, dialects, func, select

from . import tables as t

_HELD = 20_000
"""Rows that are in memory at once."""


TOUCH = "INSERT OR IGNORE INTO touched (record) VALUES (:record)"
"""A record of which something changed that harvesters may see; so may what they see of those below it."""
APPLY = (
    "INSERT INTO applied (record, at, sets, entered) VALUES (:record, :at, :sets, :entered)"
    " ON CONFLICT (record) DO UPDATE SET at = excluded.at, entered = excluded.entered, sets = CASE"
    " WHEN excluded.at = applied.at THEN coalesce(excluded.sets, applied.sets) ELSE excluded.sets END"
    " WHERE excluded.at >= applied.at"
)
"""When what harvesters see of a record was changed, the sets that it keeps if it is deleted then, if any are told, and
whether the journal says so. Of the same moment the last."""
NAMED_ANEW = (
    "INSERT OR IGNORE INTO touched (record) SELECT :record"
    " WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE record = :record AND part = :part AND since <= :since)"
)
NAMED = (
    "INSERT INTO nodes (record, part, since, entered) VALUES (:record, :part, :since, TRUE) ON CONFLICT (record)"
    " DO UPDATE SET part = excluded.part, since = min(nodes.since, excluded.since), entered = excluded.entered"
)
"""What a part of the arrangement of a fonds is called for good in setSpecs, from a second on; what that may change."""
ADOPT = "INSERT INTO crosswalks (version, since) VALUES (:version, :since) ON CONFLICT DO NOTHING"
CAST = "cast"
"""In state: up to which record all was seen under the crosswalks adopted; where it is missing, of all."""
CAST_ANEW = f"INSERT OR REPLACE INTO state (name, value) VALUES ('{CAST}', :last)"
GATHER = (
    "INSERT INTO gathered (source, number, at, entered) VALUES (:source, :number, :at, :entered)"
    " ON CONFLICT (source, number) DO UPDATE SET at = excluded.at, entered = excluded.entered"
    " WHERE excluded.at >= gathered.at"
)
"""Likewise of a part of a harvest; of source "" and number 0, of all that was harvested so far."""
GATHERED = "UPDATE remote_records SET since = :at WHERE source = :source AND part = :number AND since < :at"
ALL_GATHERED = "UPDATE remote_records SET since = :at WHERE since < :at"
"""What follows from that for the datestamps of records."""
CHANGES = "exposures"
"""In state: how often what is listed was changed. What was counted before such a change is not kept after it."""
CHANGED = (
    f"INSERT INTO state (name, value) VALUES ('{CHANGES}', '1') ON CONFLICT (name) DO UPDATE SET value = value + 1"
)
_FORGET = "INSERT OR REPLACE INTO exposure_days (spec, prefix, day) SELECT d.spec, d.prefix, "
FORGET = _FORGET + ":day FROM exposure_days d WHERE d.day = -1 AND NOT (:others AND (d.spec <> '' OR d.prefix = ''))"
"""What is known of a day is known no more; others: of lists that show on what was harvested."""
FORGET_GATHERED = (
    f"{_FORGET} changed.day FROM exposure_days d JOIN (SELECT DISTINCT o.since / 86400 AS day FROM remote_records r"
    " JOIN remote_records o ON o.identifier = r.identifier AND o.prefix = r.prefix"
    " WHERE r.source = :source AND r.part = :number AND r.since < :at UNION SELECT :at / 86400) changed"
    " WHERE d.day = -1 AND d.spec = '' AND d.prefix <> ''"
)
FORGET_ALL_GATHERED = (
    "DELETE FROM exposure_days WHERE spec = '' AND prefix <> ''"
    " AND EXISTS (SELECT 1 FROM remote_records WHERE since < :at)"
)
"""And what for what was counted of them, before it is so."""


def gathered(source: str, number: int, at: int, *, entered: bool) -> list[tuple[str, dict[str, Any]]]:
    """Statements, with their values, in their order: that nothing of a part has a datestamp before that; of source "",
    nothing that was harvested. entered: the journal says so.
    """
    part = {"source": source, "number": number, "at": at}
    told: list[tuple[str, dict[str, Any]]] = [(GATHER, {**part, "entered": entered}), (CHANGED, {})]
    if source:
        return [*told, (FORGET_GATHERED, part), (GATHERED, part)]
    return [*told, (FORGET_ALL_GATHERED, {"at": at}), (ALL_GATHERED, {"at": at})]


class _Insert(NamedTuple):
    sql: str
    bind: tuple[tuple[str, Callable[[Any], Any]], ...]  # columns whose values the database holds otherwise


@cache
def _insert(name: str, once: bool, database: str) -> _Insert:
    table, dialect = t.metadata.tables[name], dialects.registry.load(database)()
    names = table.columns.keys()
    into, marks = ", ".join(names), ", ".join(f":{name}" for name in names)
    sql = f"INSERT INTO {name} ({into}) VALUES ({marks}){' ON CONFLICT DO NOTHING' if once else ''}"
    processors = {one.name: one.type.dialect_impl(dialect).bind_processor(dialect) for one in table.columns}
    return _Insert(sql, tuple((name, bind) for name, bind in processors.items() if bind is not None))


class Pen:
    """Holds rows until flush(); who asks the database for what may be among them calls that first.

    What refers to other rows is written after them, in the order of the tables.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._database = connection.dialect.name
        self._rows: dict[str, dict[str, list[dict[str, Any]]]] = {one.name: {} for one in t.metadata.sorted_tables}
        self._after: dict[str, list[dict[str, Any]]] = {}
        self._count = 0
        self._keys: dict[str, int] = {}
        self.ids: set[str] = set()
        """Of packages and records whose rows are held."""
        self.formats: dict[tuple[str | None, ...], int] = {}
        """Keys of those that files have had so far."""

    def add(self, table: Table, *, once: bool = False, **row: Any) -> None:
        """A row with all columns of its table. once: unless there is such a row already."""
        insert = _insert(table.name, once, self._database)
        for name, bind in insert.bind:
            row[name] = bind(row[name])
        self._rows[table.name].setdefault(insert.sql, []).append(row)
        self._held()

    def then(self, sql: str, **values: Any) -> None:
        """A statement for when the rows added before it are written."""
        self._after.setdefault(sql, []).append(values)
        self._held()

    def _held(self) -> None:
        self._count += 1
        if self._count >= _HELD:
            self.flush()

    def key(self, table: Table) -> int:
        """One that is free: who holds the pen alone may write."""
        if table.name not in self._keys:
            self._keys[table.name] = self.connection.execute(select(func.max(table.c.key))).scalar_one() or 0
        self._keys[table.name] += 1
        return self._keys[table.name]

    def flush(self) -> None:
        for waiting in (*self._rows.values(), self._after):
            for sql, rows in waiting.items():
                self.connection.exec_driver_sql(sql, rows)
            waiting.clear()
        self.ids.clear()
        self._count = 0
