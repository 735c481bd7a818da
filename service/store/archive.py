"""Statements about whole databases, whoever owns what: everything out in order, and in again once."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, select

from engine.graph import Graph
from service.records import Run
from service.store import runs
from service.store.database import insert_or_ignore
from service.store.tables import GraphRow, RunRow

_BATCH = 100  # rows that are in memory at a time


def each_graph(connection: Connection) -> Iterator[tuple[str, datetime, Graph]]:
    """Yield owner, when it was stored, and the graph."""
    statement = select(GraphRow.owner, GraphRow.created_at, GraphRow.document)
    statement = statement.order_by(GraphRow.created_at, GraphRow.owner, GraphRow.id)
    for row in connection.execute(statement, execution_options={"yield_per": _BATCH}):
        yield row.owner, row.created_at, Graph.from_bytes(row.document)


def each_run(connection: Connection) -> Iterator[tuple[str, Run]]:
    """Yield owner and run, oldest first."""
    statement = select(RunRow.owner, RunRow.id).order_by(RunRow.id)
    for row in connection.execute(statement, execution_options={"yield_per": _BATCH}):
        run = runs.load(connection, row.owner, row.id)
        if run is not None:  # in a snapshot it is there
            yield row.owner, run


def add_run(connection: Connection, owner: str, run: Run) -> bool:
    """Store a run unless its id is there already; return whether it was new. IntegrityError without its graph."""
    statement = insert_or_ignore(connection, RunRow, ["id"]).returning(RunRow.id)
    if connection.execute(statement, runs.row(owner, run)).first() is None:
        return False
    runs.add_arrays(connection, run)
    return True
