"""The door to SQL: an engine that is ready on first use, transactions, errors in our own words."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.types import TypeDecorator

from spec.errors import Problem, SettingsError, Unavailable

_BUSY_S = 30
_AGAIN_S = 0.01
_ATTEMPTS = 5
_T = TypeVar("_T")


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware time, in UTC on every database; SQLite keeps no zone of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a naive time is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"a stored time must be timezone-aware; found {value.isoformat()}"
            raise ValueError(msg)
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's
        """Return the time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One SQL database: an SQLite file, or any URL that SQLAlchemy takes.

    Tables are made on first use; several processes may do that, read and write at once.

    Raises
    ------
    SettingsError
        On construction: the URL is none, or its driver is not installed.
    """

    def __init__(self, url: str, tables: MetaData) -> None:
        self._tables = tables
        self._lock = threading.Lock()
        self._is_ready = False
        try:
            self._url = make_url(url)
            self._engine = _engine(self._url)
        except (ArgumentError, ImportError) as error:
            must = (
                "must be a database URL such as sqlite:///results.db or postgresql+psycopg://user@host/name"
            )
            raise SettingsError([Problem("TRIMTAB_RESULTS_URL", must, str(error))]) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads.

        Raises
        ------
        Unavailable
            The database did not answer.
        """
        with self._spoken_of(), self._ready().connect() as connection, connection.begin():
            yield connection

    def write(self, do: Callable[[Connection], _T]) -> _T:
        """Return what `do` returns, all that it writes in one transaction or nothing.

        It is done again when another writer came first; on SQLite it waits for its turn.

        Raises
        ------
        Unavailable
            The database did not take it.
        """
        with self._spoken_of():
            return self._write(self._ready(), do)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._engine.dispose()

    def _ready(self) -> Engine:
        with self._lock:
            if not self._is_ready:
                self._create()
                self._is_ready = True
        return self._engine

    def _create(self) -> None:
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            _make_folder(Path(self._url.database).parent)
        self._write(self._engine, self._tables.create_all)

    def _write(self, engine: Engine, do: Callable[[Connection], _T]) -> _T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._transact(engine, do)
            except (IntegrityError, ProgrammingError):  # the same row or, on PostgreSQL, the same table
                continue
        return self._transact(engine, do)

    def _transact(self, engine: Engine, do: Callable[[Connection], _T]) -> _T:
        with engine.connect() as connection:
            writer = connection.execution_options(writes=True)
            with writer.begin():
                return do(writer)

    @contextmanager
    def _spoken_of(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            where = self._url.render_as_string(hide_password=True)
            msg = f"The results store {where} did not answer: {_line(error)}"
            raise Unavailable(msg) from error


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _write_ahead(cursor)
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Let readers never wait for a writer; the file keeps the mode.

    A change of mode does not wait for its turn as other statements do: it fails while another makes the file.
    """
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    # a transaction that reads first and writes later fails at once if another wrote in between
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Name a folder that this user may write in TRIMTAB_RESULTS_URL or TRIMTAB_HOME"
        must = "must be a folder for the results store"
        raise SettingsError([Problem(str(folder), must, error.strerror or str(error), hint)]) from error


def _line(error: DBAPIError | PoolTimeout) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split())
