"""The database behind the catalogue: how it is opened, brought up to date, and what its failures mean."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, inspect, make_url

from ..errors import Damaged, LantaiError, StoreUnavailable, UsageError
from ..messages import N_, _
from . import exposures, remote, search
from .tables import SCHEMA

WAIT = 30
"""Seconds that a process waits for another one's write to end."""

_ANEW = N_("Run lantai rebuild: it makes the catalogue anew; the store is complete without it.")


class Database:
    """Transactions on a schema that is this version's. Several threads and processes may use one."""

    def __init__(self, url: str, *, read_only: bool = False, create: bool = True, durable: bool = True) -> None:
        """Open, create or migrate. Raises UsageError, Damaged, StoreUnavailable."""
        if not create and not _path(url).exists():
            raise Damaged(_("the catalogue is not there"), subject=url, remedy=_(_ANEW))
        self._own = threading.local()  # of each thread, a connection
        self.name, self._synchronous = url, "FULL" if durable else "NORMAL"
        self._engine = _engine(url, read_only=read_only, durable=durable)
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
    def writing(self, *, wait: float = WAIT, durable: bool = True) -> Iterator[Connection]:
        """One transaction, alone in writing from its first statement on: what it reads stays true until it ends. wait:
        seconds until StoreUnavailable, where another process writes; durable False: a power failure may undo it.
        """
        synchronous = self._synchronous if durable else "NORMAL"
        alone = self._engine.execution_options(begin="BEGIN IMMEDIATE", patience=wait, synchronous=synchronous)
        patient = wait >= WAIT
        with self._failures(), _locked(self.name, fcntl.LOCK_SH, wait=patient), alone.begin() as connection:
            yield connection

    def rows(self, asked: str, values: Mapping[str, Any]) -> list[Any]:
        """Of one statement that reads, as the driver has them: for what is asked a thousand times a second."""
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        with self._failures():
            if connection is None:
                self._own.held = self._engine.raw_connection()
                connection = self._own.connection = self._own.held.driver_connection
            try:
                return connection.execute(asked, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise exc.DBAPIError(asked, dict(values), error) from error

    def take_the_place_of(self, url: str, last: Callable[[], None]) -> None:
        """See Catalog.replace."""
        path, own = _path(url), _path(self.name)
        with _locked(url, fcntl.LOCK_EX):
            last()
            self._engine.dispose()
            try:
                _require_catalogue(path)
                with closing(sqlite3.connect(own)) as new, closing(sqlite3.connect(path, timeout=WAIT)) as old:
                    new.backup(old)
                remove(self.name)
            except sqlite3.OperationalError as error:
                raise StoreUnavailable(
                    _("the new catalogue cannot be put in the place of the old one ({reason})").format(reason=error),
                    subject=url,
                    remedy=_("Free space on its disk, or end what uses it; then run lantai rebuild again."),
                ) from error
            except (sqlite3.DatabaseError, FileNotFoundError):  # what lies there is no database any more, or nothing
                with closing(sqlite3.connect(own)) as new:
                    new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                for ending in ("-wal", "-shm"):
                    Path(f"{path}{ending}").unlink(missing_ok=True)
                own.replace(path)
                remove(self.name)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (exc.IntegrityError, exc.ProgrammingError):
            raise  # a fault of ours, not of the database
        except exc.DBAPIError as error:
            raise _failure(error, self.name) from error


@contextmanager
def _locked(url: str, kind: int, *, wait: bool = True) -> Iterator[None]:
    """Who writes holds the lock with others, who replaces the database holds it alone."""
    try:
        descriptor = os.open(f"{_path(url)}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UsageError(
            _("the catalogue cannot be opened ({reason})").format(reason=error.strerror), subject=url,
            remedy=_("Check that its folder exists and may be written to."),
        ) from error  # fmt: skip
    try:
        try:
            fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreUnavailable(
                _("the catalogue is made anew just now"), subject=url, remedy=_("Try again when that has ended.")
            ) from error
        yield
    finally:
        os.close(descriptor)


def _path(url: str) -> Path:
    return Path(_parsed(url).database or "")


def _require_catalogue(path: Path) -> None:
    """FileNotFoundError; sqlite3.DatabaseError: no database; UsageError: one of something else."""
    if not path.exists() or not path.stat().st_size:
        raise FileNotFoundError
    with closing(sqlite3.connect(path, timeout=WAIT)) as old:
        names = {name for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        old.execute("PRAGMA quick_check(1)").fetchone()
    if names and "alembic_version" not in names:
        raise UsageError(
            _("this database holds something else"), subject=str(path),
            remedy=_("Name another file, which will be created."),
        )  # fmt: skip


def remove(url: str) -> None:
    """The database, and what SQLite and we put beside it."""
    path = _path(url)
    for ending in ("", "-wal", "-shm", "-lock"):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _engine(url: str, *, read_only: bool, durable: bool) -> Engine:
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
        cursor.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        cursor.execute("PRAGMA cache_size = -32000")
        if not durable:  # it is being filled: a page that is written often then goes to its place once
            cursor.execute("PRAGMA wal_autocheckpoint = 10000")
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
        options = connection.get_execution_options()
        if "patience" in options:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(1000 * options['patience'])}")
            connection.exec_driver_sql(f"PRAGMA synchronous = {options['synchronous']}")
        connection.exec_driver_sql(options.get("begin", "BEGIN"))

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
        exposures.begin(connection)
        exposures.touch_all(connection)
        exposures.refresh(connection)
    if not search.current(connection):
        search.reindex(connection)
        remote.reindex(connection)


def _failure(error: exc.DBAPIError, name: str) -> LantaiError:
    said = str(error.orig)
    code = getattr(error.orig, "sqlite_errorname", "")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return Damaged(
            _("the catalogue cannot be read ({reason})").format(reason=said),
            subject=name,
            remedy=_(_ANEW),
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
