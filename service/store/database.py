"""One database, two ways in: `reading` and `writing`."""

import contextlib
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, PoolProxiedConnection, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase

from service.errors import Unavailable


class Database:
    """Short transactions on SQLite or PostgreSQL.

    Whatever keeps the database from answering (down, full, locked for too long, no free connection) comes
    out as Unavailable; constraint violations come out as SQLAlchemy's IntegrityError. `timeout_seconds` is how long a
    connection or SQLite's lock is waited for, `statement_seconds` how long a statement on PostgreSQL may take.
    """

    def __init__(
        self, url: str, *, connections: int = 5, timeout_seconds: int = 10, statement_seconds: float | None = None
    ) -> None:
        self.url = make_url(url)
        self.embedded = self.url.get_backend_name() == "sqlite"
        self.engine = self._connect(connections, timeout_seconds, statement_seconds)
        self._direct: deque[PoolProxiedConnection] = deque()
        if self.embedded:
            self._writer: Engine = self.engine.execution_options(immediate=True)
            self._reader: Engine = self.engine
            self._snapshot: Engine = self.engine
        else:
            self._writer = self.engine
            # A single statement needs no BEGIN and no ROLLBACK around it: one round trip instead of three.
            self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._snapshot = self.engine.execution_options(isolation_level="REPEATABLE READ")

    def _connect(self, connections: int, timeout_seconds: int, statement_seconds: float | None) -> Engine:
        common: dict[str, Any] = {
            "json_serializer": lambda document: orjson.dumps(document).decode(),
            "json_deserializer": orjson.loads,
            "hide_parameters": True,  # errors go to the log; what users compute does not
            "pool_size": connections,
            "max_overflow": 0,
            "pool_timeout": timeout_seconds,
        }
        if self.embedded:
            engine = create_engine(self.url, connect_args={"timeout": timeout_seconds}, **common)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(
            self.url,
            connect_args={"connect_timeout": timeout_seconds},
            # A server that was restarted leaves dead connections in the pool; find out before using one.
            pool_pre_ping=True,
            **common,
        )
        if statement_seconds is not None:
            from service.store import postgresql  # most installations do without

            postgresql.bound_statements(engine, statement_seconds)
        return engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for one SELECT; on PostgreSQL, two see two snapshots."""
        with _translated(), self._reader.connect() as connection:
            yield connection

    def holds(self, sql: str, values: Sequence[str]) -> bool:
        """Return whether a SELECT of the embedded database has a row.

        SQLite answers in a fifteenth of the time that SQLAlchemy takes to ask it, so it is asked directly, and on
        connections of its own: the pool alone takes twice as long as the answer. It is asked for a row where there is
        none, because sqlite3 lets go of the GIL four more times for a row, and other threads take it.
        """
        try:
            connection = self._direct.pop()
        except IndexError:
            connection = self._detached()
        try:
            missing = connection.cursor().execute(f"SELECT 1 WHERE NOT EXISTS ({sql})", values).fetchone()
        except sqlite3.Error as error:
            connection.close()
            raise _unavailable() from error
        self._direct.append(connection)
        return missing is None

    def _detached(self) -> PoolProxiedConnection:
        with _translated():
            connection = self.engine.raw_connection()
        connection.detach()
        return connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection whose SELECTs all see the database as it was at the first."""
        with _translated(), self._snapshot.connect() as connection:
            if self.embedded:
                connection.exec_driver_sql("BEGIN")  # see _begin_sqlite: readers have none otherwise
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is on disk when the block ends, or never was."""
        with _translated(), self._writer.begin() as connection:
            yield connection

    def use_write_ahead_log(self) -> None:
        """Let a SQLite file's readers and its writer work side by side; the file itself remembers it."""
        with _translated(), contextlib.closing(self.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close the connections that nobody is using."""
        while self._direct:
            self._direct.pop().close()
        self.engine.dispose()


def insert_or_ignore(connection: Connection, table: type[DeclarativeBase], key: list[str]) -> Any:
    """Return an INSERT that does nothing where a row with that key is there already."""
    # SQLAlchemy has no dialect-neutral ON CONFLICT; the two spell this one alike.
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    return insert(table).on_conflict_do_nothing(index_elements=key)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable("The database does not answer. Try again; with an Idempotency-Key nothing is done twice.")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not open transactions by itself: _begin_sqlite does, and says which kind.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL waits for the disk at each commit, so that an acknowledged run survives a power cut as well as
    # kill -9. In WAL mode NORMAL would survive the second only.
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once and waits for it (busy timeout). A deferred transaction that has read
    # before it writes would fail with "database is locked" instead: its snapshot is stale by then. A reader
    # has one SELECT, which is a transaction of its own.
    if connection.get_execution_options().get("immediate", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
