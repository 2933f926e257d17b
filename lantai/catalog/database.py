"""The database behind the catalogue: how it is opened, brought up to date, and what its failures mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, inspect, make_url

from ..errors import Damaged, LantaiError, StoreUnavailable, UsageError
from ..messages import _
from . import search
from .tables import SCHEMA

WAIT = 30
"""Seconds that a process waits for another one's write to end."""


class Database:
    """Transactions on a schema that is this version's. Several threads and processes may use one."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        """Open, create or migrate. Raises UsageError, Damaged, StoreUnavailable."""
        self.name, self._read_only = url, read_only
        self._engine = _engine(url, read_only=read_only)
        try:
            with self.reading() as connection:
                current = _current(connection)
            if not current and read_only:
                raise UsageError(
                    _("the catalogue was made by another version of lantai"),
                    subject=url,
                    remedy=_("Open it for writing once, so that it is brought up to date."),
                )
            if not current:
                with self.writing() as connection:
                    _bring_up_to_date(connection, url)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot; waits for nobody."""
        with self._failures(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, alone in writing from its first statement on: what it reads stays true until it ends."""
        alone = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        with self._failures(), alone.begin() as connection:
            yield connection

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (exc.IntegrityError, exc.ProgrammingError):
            raise  # a fault of ours, not of the database
        except exc.DBAPIError as error:
            raise _failure(error, self.name) from error


def _engine(url: str, *, read_only: bool) -> Engine:
    parsed = _parsed(url)
    if read_only and parsed.database:
        file = quote(str(Path(parsed.database).absolute()))
        parsed = parsed.set(database=f"file:{file}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(parsed, connect_args={"timeout": WAIT})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver begins no transaction by itself; _begin does.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        # The index can be rebuilt, but one that forgets a commit answers wrongly until somebody notices: FULL costs
        # one fsync a package.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA cache_size = -32000")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        else:
            # SQLite does not wait here. Whoever holds the database is making it, and changes its mode for all.
            with suppress(sqlite3.OperationalError):
                if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                    cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise UsageError(
            _("this is not the address of a database"), subject=url, remedy=_("Write sqlite:///PATH.")
        ) from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise UsageError(
            _("the catalogue cannot be kept there"),
            subject=parsed.render_as_string(),
            remedy=_("Write sqlite:///PATH."),
        )
    return parsed


def _current(connection: Connection) -> bool:
    return _schema(connection) == SCHEMA and search.current(connection)


def _schema(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    return None if found is None else str(found)


def _bring_up_to_date(connection: Connection, name: str) -> None:
    # Alembic takes as long to import as everything else together, and is needed once in a catalogue's life.
    from . import migrations  # noqa: PLC0415

    # Read again: another process may have done it while this one waited for its turn.
    schema = _schema(connection)
    if schema is None and inspect(connection).get_table_names():
        raise UsageError(
            _("this database holds something else"),
            subject=name,
            remedy=_("Name another file, which will be created."),
        )
    if schema is not None and schema not in migrations.revisions():
        raise UsageError(
            _("the catalogue was made by a newer lantai (schema {schema})").format(schema=schema),
            subject=name,
            remedy=_("Install that version; the store is complete without the catalogue."),
        )
    if schema != SCHEMA:
        migrations.upgrade(connection)
    if not search.current(connection):
        search.reindex(connection)


def _failure(error: exc.DBAPIError, name: str) -> LantaiError:
    said = str(error.orig)
    code = getattr(error.orig, "sqlite_errorname", "")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return Damaged(
            _("the catalogue cannot be read ({reason})").format(reason=said),
            subject=name,
            remedy=_("Restore it from a backup of the home; the store is complete without it."),
        )
    if code.startswith("SQLITE_READONLY"):
        return UsageError(
            _("the catalogue may only be read"),
            subject=name,
            remedy=_("Open it for writing, and check that its file and folder may be written to."),
        )
    if code.startswith("SQLITE_CANTOPEN"):
        return UsageError(
            _("the catalogue cannot be opened ({reason})").format(reason=said),
            subject=name,
            remedy=_("Check that its folder exists and may be written to."),
        )
    return StoreUnavailable(
        _("the catalogue did not answer ({reason})").format(reason=said),
        subject=name,
        remedy=_("Try again; what is in the store is safe."),
    )
