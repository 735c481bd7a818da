"""Statements about graphs; every one is confined to its owner's."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, exists, select, tuple_

from engine.graph import Graph
from service.records import GraphSummary
from service.store.database import Database, insert_or_ignore
from service.store.tables import GraphRow, RunRow

# Statements are built once: that takes longer than SQLite takes to run them.
_THIS = (GraphRow.owner == bindparam("owner"), GraphRow.id == bindparam("id"))
_CREATED_AT = select(GraphRow.created_at).where(*_THIS)
_LOAD = select(GraphRow.document, GraphRow.created_at).where(*_THIS)


def add(connection: Connection, owner: str, graph: Graph, created_at: datetime) -> bool:
    """Store a graph unless it is there already; return whether it was new."""
    statement = insert_or_ignore(connection, GraphRow, ["owner", "id"]).returning(GraphRow.id)
    row = {
        "owner": owner,
        "id": graph.id,
        "created_at": created_at,
        "name": graph.name,
        "node_count": len(graph.ids),
        "document": graph.to_bytes(),
    }
    # Drivers disagree on what they count; a row that comes back was inserted.
    return connection.execute(statement, row).first() is not None


def created_at(connection: Connection, owner: str, graph_id: str) -> datetime | None:
    """Return when the owner stored that graph, or None if they have not."""
    return connection.execute(_CREATED_AT, {"owner": owner, "id": graph_id}).scalar_one_or_none()


def is_stored(database: Database, owner: str, graph_id: str) -> bool:
    """Return whether the owner has stored that graph."""
    if database.embedded:
        return database.holds("SELECT 1 FROM graphs WHERE owner = ? AND id = ?", (owner, graph_id))
    with database.reading() as connection:
        return created_at(connection, owner, graph_id) is not None


def load(connection: Connection, owner: str, graph_id: str) -> tuple[Graph, datetime] | None:
    """Return a stored graph and when it was stored, or None."""
    row = connection.execute(_LOAD, {"owner": owner, "id": graph_id}).one_or_none()
    return None if row is None else (Graph.from_bytes(row.document), row.created_at)


def page(connection: Connection, owner: str, *, after: tuple[datetime, str] | None, limit: int) -> list[GraphSummary]:
    """Return up to `limit` graphs, newest first, from after the one with the key (created_at, id)."""
    key = (GraphRow.created_at, GraphRow.id)
    statement = select(GraphRow.id, GraphRow.created_at, GraphRow.name, GraphRow.node_count)
    statement = statement.where(GraphRow.owner == owner)
    if after is not None:
        statement = statement.where(tuple_(*key) < after)
    statement = statement.order_by(*(column.desc() for column in key)).limit(limit)
    return [GraphSummary(*row) for row in connection.execute(statement)]


def remove(connection: Connection, owner: str, graph_id: str) -> bool:
    """Delete a graph that no run refers to; return whether it is gone. A foreign key backs the check."""
    used = exists().where(RunRow.owner == owner, RunRow.graph_id == graph_id)
    statement = delete(GraphRow).where(GraphRow.owner == owner, GraphRow.id == graph_id, ~used)
    return connection.execute(statement).rowcount == 1
