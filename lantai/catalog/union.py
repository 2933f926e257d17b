"""Reading the union catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import Any

from sqlalchemy import select

from ..errors import LantaiError
from ..model import Received, Scope
from . import remote
from . import tables as t
from .database import Database
from .days import BELIEVED
from .rows import Listed, Passed, RemoteHit, Source
from .search import match, snippet
from .tokens import phrases

_PAGE = 500
_COLUMNS = "identifier, datestamp, live, sets, metadata, about"
_PASSED = "r.identifier, r.prefix, r.since, r.live, r.namespace, r.datestamp, p.url, p.answered"
_FROM = " FROM remote_records r JOIN remote_parts p ON p.source = r.source AND p.number = r.part"
_LISTED = (
    " WHERE r.prefix = :prefix AND (r.since, r.identifier) > (:since, :identifier) AND r.since <= :last"
    f" AND {BELIEVED} ORDER BY r.since, r.identifier LIMIT :limit"
)
_LEAVES = f"SELECT r.since, r.identifier, r.live, r.namespace, r.digest FROM remote_records r{_LISTED}"
_OF_ONE = f"{_FROM} WHERE r.identifier = :identifier AND r.since IS NOT NULL AND {BELIEVED}"
_NOTHING = "'' AS metadata, '' AS about"
_MANY = 8 << 20
"""Characters after which a page ends."""
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

    def passed(
        self, prefix: str, first: int, last: int, after: tuple[int, str], limit: int, *, described: bool
    ) -> tuple[list[Passed], bool]:  # fmt: skip
        """Those that are shown on in a format, of datestamps from first to last, both included, in the order of
        (datestamp, identifier), beyond after: at most limit, and fewer where much is given of them, but one at least;
        and whether there are more. described: with metadata and about.
        """
        values = _values(prefix, first, last, after, limit + 1)
        found: list[Passed] = []
        octets = 0
        with self._database.reading() as connection:
            for row in connection.exec_driver_sql(_columns(described=described) + _FROM + _LISTED, values):
                if len(found) == limit or octets >= _MANY:
                    return found, True
                found.append(_passed(row))
                octets += len(row.metadata) + len(row.about)
        return found, False

    def leaves(
        self, prefix: str, first: int, last: int, after: tuple[int, str], limit: int
    ) -> list[tuple[int, str, bool, str, str]]:  # fmt: skip
        """Of the same: (datestamp, identifier, whether it is live, namespace, digest of its metadata)."""
        return self._database.rows(_LEAVES, _values(prefix, first, last, after, limit))

    def passed_of(self, identifier: str) -> list[Passed]:
        """In every format that it is held in; []: it was never harvested."""
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql(_columns(described=True) + _OF_ONE, {"identifier": identifier})
            return [_passed(row) for row in rows]

    def show_on(self, *, is_shown: bool) -> None:
        """Whether what was harvested is shown on from now. What was not before gets this second as its datestamp."""
        with self._database.reading() as connection:
            if remote.is_shown_on(connection) == is_shown:
                return
        with self._database.writing() as connection:
            remote.show_on(connection, is_shown=is_shown)

    @staticmethod
    def before(url: str) -> dict[str, int] | None:
        """Of the catalogue at url, datestamps that cannot be derived; None: it cannot be read."""
        with suppress(LantaiError), closing(Database(url, read_only=True, create=False)) as old, old.reading() as known:
            return remote.noted(known)
        return None

    def go_on(self, before: dict[str, int] | None) -> None:
        """In the place of a catalogue that had these. None: the journal alone says whether anything is shown on."""
        if before is not None:
            with self._database.writing() as connection:
                remote.go_on(connection, before)

    def left(self, limit: int) -> dict[str, int]:
        """Datestamps of parts that cannot be derived, and that the journal was not told of yet."""
        with self._database.reading() as connection:
            return remote.noted(connection, limit, left=True)


def _values(prefix: str, first: int, last: int, after: tuple[int, str], limit: int) -> dict[str, Any]:
    since, identifier = max(after, (first, ""))
    return {"prefix": prefix, "since": since, "identifier": identifier, "last": last, "limit": limit}


def _columns(*, described: bool) -> str:
    return f"SELECT {_PASSED}, {'r.metadata, r.about' if described else _NOTHING}"


def _passed(row: Any) -> Passed:
    return Passed(
        row.identifier, row.prefix, row.since, bool(row.live), row.namespace, row.datestamp, row.metadata,
        tuple(json.loads(row.about)) if row.about else (), row.url, row.answered,
    )  # fmt: skip


def _received(row: Any) -> Received:
    return Received(
        row.identifier, row.datestamp, bool(row.live), tuple(json.loads(row.sets)), row.metadata,
        tuple(json.loads(row.about)) if row.about else (),
    )  # fmt: skip
