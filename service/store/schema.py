"""The state of a database's schema: which revision it has, and how to change it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import migrations
from service.store.database import Database

# Any number will do, as long as nobody else locks it: this one is "chain" in ASCII.
_ADVISORY_LOCK = 0x636861696E


class SchemaState(Enum):
    """How a database's schema relates to this version of the service."""

    CURRENT = "current"
    OUTDATED = "outdated"
    NEWER = "newer"


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring a database up to a revision; of several processes at once, one does it and the others wait."""
    wanted = head() if revision == "head" else revision
    with _changing(database) as connection:
        if _revision(connection) != wanted:
            command.upgrade(_alembic(connection), wanted)


def downgrade(database: Database, revision: str) -> None:
    """Take a database back to an earlier revision ("base" is an empty database)."""
    with _changing(database) as connection:
        command.downgrade(_alembic(connection), revision)


def current(database: Database) -> str | None:
    """Return the database's revision; None if it has no schema."""
    with database.reading() as connection:
        return _revision(connection)


def head() -> str:
    """Return the revision that this version of the service needs."""
    found = _scripts().get_current_head()
    if found is None:
        raise RuntimeError("migrations/versions holds no revision")
    return found


def state(database: Database) -> SchemaState:
    """Compare a database with what this version needs."""
    revision = current(database)
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision == head():
        return SchemaState.CURRENT
    return SchemaState.OUTDATED if revision is None or revision in known else SchemaState.NEWER


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic())


def _alembic(connection: Connection | None = None) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _changing(database: Database) -> Iterator[Connection]:
    """Give a connection in one transaction, alone among those who change the schema."""
    if database.embedded:
        database.use_write_ahead_log()
    with database.writing() as connection:
        # SQLite's writers are alone already, from BEGIN IMMEDIATE on.
        if not database.embedded:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        yield connection
