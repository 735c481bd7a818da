"""Statements about runs; every one is confined to its owner's."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from service.records import Run, RunSummary
from service.store import arrays
from service.store.tables import RunArrayRow, RunRow

_SUMMARY = (
    RunRow.id,
    RunRow.kind,
    RunRow.state,
    RunRow.graph_id,
    RunRow.created_at,
    RunRow.started_at,
    RunRow.finished_at,
    RunRow.error,
)


def add(connection: Connection, owner: str, run: Run) -> None:
    """Store a run and its arrays; IntegrityError when its graph is not there."""
    row = {column.key: getattr(run, column.key) for column in (*_SUMMARY, RunRow.options, RunRow.findings)}
    connection.execute(insert(RunRow), row | {"owner": owner})
    if run.arrays:
        connection.execute(
            insert(RunArrayRow),
            [
                {"run_id": run.id, "name": name, "shape": list(array.shape), "data": arrays.to_blob(array)}
                for name, array in run.arrays.items()
            ],
        )


def load(connection: Connection, owner: str, run_id: UUID) -> Run | None:
    """Return a run with its arrays, or None."""
    # One statement, so that a run deleted meanwhile is either whole or not there.
    statement = (
        select(*_SUMMARY, RunRow.options, RunRow.findings, RunArrayRow.name, RunArrayRow.shape, RunArrayRow.data)
        .join(RunArrayRow, RunArrayRow.run_id == RunRow.id, isouter=True)
        .where(RunRow.owner == owner, RunRow.id == run_id)
    )
    rows = connection.execute(statement).all()
    if not rows:
        return None
    first = rows[0]
    return Run(
        **{column.key: getattr(first, column.key) for column in _SUMMARY},
        options=first.options,
        findings=first.findings,
        arrays={row.name: arrays.from_blob(row.data, row.shape) for row in rows if row.name is not None},
    )


def page(
    connection: Connection, owner: str, filters: Mapping[str, Any], *, after: UUID | None, limit: int
) -> list[RunSummary]:
    """Return up to `limit` runs that pass the filters, newest first, from after the run with the id `after`.

    Filters: graph_id, kind and state are equal; created_after and created_before are exclusive moments.
    """
    statement = select(*_SUMMARY).where(RunRow.owner == owner, *_conditions(filters))
    if after is not None:
        statement = statement.where(RunRow.id < after)
    statement = statement.order_by(RunRow.id.desc()).limit(limit)
    return [RunSummary(*row) for row in connection.execute(statement)]


def _conditions(filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    columns = RunRow.__table__.columns
    conditions = []
    for name, value in filters.items():
        if name == "created_after":
            conditions.append(RunRow.created_at > value)
        elif name == "created_before":
            conditions.append(RunRow.created_at < value)
        else:
            conditions.append(columns[name] == value)
    return conditions


def remove(connection: Connection, owner: str, run_id: UUID) -> bool:
    """Delete a run and its arrays; return whether it was there."""
    statement = delete(RunRow).where(RunRow.owner == owner, RunRow.id == run_id)
    return connection.execute(statement).rowcount == 1
