"""Statements about runs that are not finished; a holder's are good for its own attempt alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update

from service.records import UNFINISHED, Run
from service.store import runs
from service.store.tables import RunRow


def depth(connection: Connection) -> int:
    """Return how many runs are queued."""
    return connection.execute(select(func.count()).where(RunRow.state == "queued")).scalar_one()


def is_any_due(connection: Connection, now: datetime) -> bool:
    """Return whether there is a run to take up."""
    return bool(connection.execute(select(exists().where(_due(now)))).scalar())


def claim(connection: Connection, now: datetime, lease_until: datetime) -> tuple[str, UUID, int] | None:
    """Take up the oldest run that is due; return its owner, id and attempt."""
    # Several may look at once: on PostgreSQL each locks another row, on SQLite one waits for the other.
    oldest = select(RunRow.id).where(_due(now)).order_by(RunRow.id).limit(1).with_for_update(skip_locked=True)
    statement = (
        update(RunRow)
        .where(RunRow.id == oldest.scalar_subquery())
        .values(state="running", attempt=RunRow.attempt + 1, lease_until=lease_until, started_at=now, progress=None)
        .returning(RunRow.owner, RunRow.id, RunRow.attempt)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else (row.owner, row.id, row.attempt)


def _due(now: datetime) -> ColumnElement[bool]:
    return or_(RunRow.state == "queued", and_(RunRow.state == "running", RunRow.lease_until < now))


def _held(run_id: UUID, attempt: int) -> ColumnElement[bool]:
    return and_(RunRow.id == run_id, RunRow.attempt == attempt, RunRow.state == "running")


def renew(
    connection: Connection, run_id: UUID, attempt: int, lease_until: datetime, progress: Mapping[str, int] | None
) -> bool:
    """Extend a lease and store progress; return whether the run is still held."""
    statement = update(RunRow).where(_held(run_id, attempt))
    return connection.execute(statement.values(lease_until=lease_until, progress=progress)).rowcount == 1


def hand_back(connection: Connection, run_id: UUID, attempt: int) -> None:
    """Queue a run again, if it is still held."""
    statement = update(RunRow).where(_held(run_id, attempt))
    connection.execute(statement.values(state="queued", started_at=None, lease_until=None, progress=None))


def finish(connection: Connection, attempt: int, run: Run) -> bool:
    """Store a run's result, if it is still held; return whether it was."""
    assert run.id is not None  # noqa: S101  (it came from a row)
    result: dict[str, Any] = {
        "state": run.state,
        "finished_at": run.finished_at,
        "options": run.options,
        "findings": run.findings,
        "error": run.error,
    }
    statement = update(RunRow).where(_held(run.id, attempt))
    if connection.execute(statement.values(**result, lease_until=None, progress=None)).rowcount == 0:
        return False
    runs.add_arrays(connection, run)
    return True


def cancel(connection: Connection, owner: str, run_id: UUID, now: datetime) -> bool:
    """Cancel an owner's run, unless it is finished; return whether it was cancelled."""
    statement = update(RunRow).where(RunRow.owner == owner, RunRow.id == run_id, RunRow.state.in_(UNFINISHED))
    values = {"state": "cancelled", "finished_at": now, "lease_until": None, "progress": None}
    return connection.execute(statement.values(**values)).rowcount == 1
