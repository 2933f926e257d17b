"""Reading the union catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from ..model import Received, Scope
from . import remote
from . import tables as t
from .database import Database
from .rows import Listed, RemoteHit, Source
from .search import match, snippet
from .tokens import phrases

_PAGE = 500
_COLUMNS = "identifier, datestamp, live, sets, metadata, about"
_SEARCH = (
    "SELECT r.source, r.identifier, r.title, r.metadata FROM remote_words w JOIN remote_records r ON r.key = w.rowid"
    " WHERE remote_words MATCH :query ORDER BY bm25(remote_words, 10.0, 1.0), r.source, r.identifier, r.prefix"
    " LIMIT :limit OFFSET :after"
)


class Remote:
    """What was harvested, of the catalogue in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def heads(self) -> dict[str, tuple[int, str]]:
        """How far each source was taken in: number and seal of its last part."""
        with self._database.reading() as connection:
            return remote.heads(connection)

    def sources(self) -> tuple[Source, ...]:
        """By their names; with how many records there are of each, live and deleted, and its lists."""
        counted = "SELECT source, sum(live), sum(NOT live) FROM remote_records GROUP BY source"
        with self._database.reading() as connection:
            counts = {row[0]: (row[1], row[2]) for row in connection.exec_driver_sql(counted)}
            lists: dict[str, list[Listed]] = {}
            for row in connection.execute(select(t.remote_lists)):
                asked = Scope(row.prefix, row.spec or None, row.wanted)
                lists.setdefault(row.source, []).append(Listed(asked, row.since, row.token, row.began))
            return tuple(
                Source(
                    row.source, row.url, row.at, row.identify, *counts.get(row.source, (0, 0)),
                    tuple(lists.get(row.source, ())),
                )
                for row in connection.execute(select(t.remote_sources).order_by(t.remote_sources.c.source))
            )  # fmt: skip

    def source(self, name: str) -> Source | None:
        return next((one for one in self.sources() if one.name == name), None)

    def held(self, source: str, prefix: str) -> int:
        """How many records of it are live."""
        asked = "SELECT count(*) FROM remote_records WHERE source = ? AND prefix = ? AND live"
        with self._database.reading() as connection:
            return int(connection.exec_driver_sql(asked, (source, prefix)).scalar_one())

    def known(self, source: str, prefix: str, identifiers: Sequence[str]) -> dict[str, Received]:
        """Those that were harvested, by identifier."""
        asked = (
            f"SELECT {_COLUMNS} FROM remote_records WHERE source = ? AND prefix = ?"
            " AND identifier IN (SELECT value FROM json_each(?))"
        )
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql(asked, (source, prefix, json.dumps(identifiers)))
            return {row.identifier: _received(row) for row in rows}

    def records(self, source: str, prefix: str) -> Iterator[Received]:
        """All of them, in the order of (datestamp, identifier); between two pages nothing is held."""
        asked = (
            f"SELECT {_COLUMNS} FROM remote_records WHERE source = ? AND prefix = ?"
            f" AND (datestamp, identifier) > (?, ?) ORDER BY datestamp, identifier LIMIT {_PAGE}"
        )
        last = ("", "")
        while True:
            with self._database.reading() as connection:
                rows = [_received(row) for row in connection.exec_driver_sql(asked, (source, prefix, *last))]
            yield from rows
            if len(rows) < _PAGE:
                return
            last = (rows[-1].datestamp, rows[-1].identifier)

    def search(self, query: str, limit: int | None = None, after: int = 0) -> Iterator[RemoteHit]:
        """Live records whose description has every word of query, best first; words as Catalog.search has them."""
        wanted = phrases(query)
        if not wanted:
            return
        values = {"query": match(wanted), "after": after, "limit": -1 if limit is None else limit}
        with self._database.reading() as connection:
            for row in connection.exec_driver_sql(_SEARCH, values):
                title, body = remote.said(row.metadata)
                yield RemoteHit(row.source, row.identifier, row.title, snippet((title, *body), wanted))


def _received(row: Any) -> Received:
    return Received(
        row.identifier, row.datestamp, bool(row.live), tuple(json.loads(row.sets)), row.metadata,
        tuple(json.loads(row.about)) if row.about else (),
    )  # fmt: skip
