"""Statements about runs; every one is confined to its owner's."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select

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

_COLUMNS = (*(column.key for column in _SUMMARY), "options", "findings", "progress")

# Statements are built once: that takes longer than SQLite takes to run them.
_INSERT = insert(RunRow)
_INSERT_ARRAYS = insert(RunArrayRow)
_LOAD = (
    select(
        *_SUMMARY,
        RunRow.options,
        RunRow.findings,
        RunRow.progress,
        RunArrayRow.name,
        RunArrayRow.shape,
        RunArrayRow.data,
    )
    .join(RunArrayRow, RunArrayRow.run_id == RunRow.id, isouter=True)
    .where(RunRow.owner == bindparam("owner"), RunRow.id == bindparam("id"))
)


def add(connection: Connection, runs: Sequence[tuple[str, Run]]) -> None:
    """Store owners' runs and their arrays; IntegrityError when a graph is not there, or a run is already."""
    connection.execute(_INSERT, [row(owner, run) for owner, run in runs])
    add_arrays(connection, *(run for _, run in runs))


def row(owner: str, run: Run) -> dict[str, Any]:
    """Return a run as its row has it, arrays aside."""
    return {"owner": owner} | {column: getattr(run, column) for column in _COLUMNS}


def add_arrays(connection: Connection, *runs: Run) -> None:
    """Store the arrays of runs that are stored themselves."""
    rows = [
        {"run_id": run.id, "name": name, "shape": list(array.shape), "data": arrays.to_blob(array)}
        for run in runs
        for name, array in run.arrays.items()
    ]
    if rows:
        connection.execute(_INSERT_ARRAYS, rows)


def load(connection: Connection, owner: str, run_id: UUID) -> Run | None:
    """Return a run with its arrays, or None."""
    # One statement, so that a run deleted meanwhile is either whole or not there.
    rows = connection.execute(_LOAD, {"owner": owner, "id": run_id}).all()
    if not rows:
        return None
    first = rows[0]
    return Run(
        **{column: getattr(first, column) for column in _COLUMNS},
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
