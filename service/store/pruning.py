"""Statements that count and delete what is old, whoever owns it."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, tuple_

from service.records import UNFINISHED
from service.store.tables import GraphRow, RunRow


def count_runs(connection: Connection, before: datetime) -> int:
    """Return how many finished runs were created before that moment."""
    return connection.execute(select(func.count()).select_from(RunRow).where(_old_run(before))).scalar_one()


def count_graphs(connection: Connection, before: datetime) -> int:
    """Return how many graphs would be left to nobody once the old runs are gone."""
    return connection.execute(
        select(func.count()).select_from(GraphRow).where(_idle(before, ~_old_run(before)))
    ).scalar_one()


def delete_runs(connection: Connection, before: datetime, most: int) -> int:
    """Delete up to `most` finished runs created before that moment, oldest first; return how many."""
    oldest = select(RunRow.id).where(_old_run(before)).order_by(RunRow.id).limit(most)
    return connection.execute(delete(RunRow).where(RunRow.id.in_(oldest))).rowcount


def delete_graphs(connection: Connection, before: datetime, most: int) -> int:
    """Delete up to `most` graphs stored before that moment that no run refers to; return how many.

    IntegrityError if a run came in between the check and the deletion.
    """
    key = tuple_(GraphRow.owner, GraphRow.id)
    idle = select(GraphRow.owner, GraphRow.id).where(_idle(before)).limit(most)
    return connection.execute(delete(GraphRow).where(key.in_(idle))).rowcount


def _old_run(before: datetime) -> ColumnElement[bool]:
    return and_(RunRow.created_at < before, RunRow.state.not_in(UNFINISHED))


def _idle(before: datetime, *among: ColumnElement[bool]) -> ColumnElement[bool]:
    used = exists().where(RunRow.owner == GraphRow.owner, RunRow.graph_id == GraphRow.id, *among)
    return and_(GraphRow.created_at < before, ~used)
