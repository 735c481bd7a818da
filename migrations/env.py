"""How alembic reaches the database: over the connection it is handed, or by the service's settings."""

from alembic import context
from sqlalchemy import Connection

from service.config import Config
from service.store.database import Database
from service.store.tables import Table


def migrate(connection: Connection) -> None:
    """Run the revisions in the transaction that the connection is in."""
    # transactional_ddl: SQLite can do it too, and only alembic doubts it.
    context.configure(connection, target_metadata=Table.metadata, transactional_ddl=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


handed: Connection | None = context.config.attributes.get("connection")
if handed is not None:
    migrate(handed)
else:  # alembic's own command line, for writing a new revision
    with Database(Config.from_environment().database_url).writing() as own:
        migrate(own)
