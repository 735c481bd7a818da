"""Statements about idempotency keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, select, update

from service.store.database import insert_or_ignore
from service.store.tables import IdempotencyRow


def add(
    connection: Connection, claim_id: str, fingerprint: str, run_id: UUID, now: datetime, claimed_until: datetime
) -> bool:
    """Store a claim unless there is one; return whether it is new."""
    statement = insert_or_ignore(connection, IdempotencyRow, ["id"]).returning(IdempotencyRow.id)
    row = {
        "id": claim_id,
        "fingerprint": fingerprint,
        "created_at": now,
        "attempt": 1,
        "claimed_until": claimed_until,
        "run_id": run_id,
    }
    return connection.execute(statement, row).first() is not None


def load(connection: Connection, claim_id: str) -> Row[Any] | None:
    """Return a claim with its answer, if it has one; others who would take it over wait for this transaction."""
    statement = select(IdempotencyRow.__table__).where(IdempotencyRow.id == claim_id).with_for_update()
    return connection.execute(statement).one_or_none()


def take_over(connection: Connection, claim_id: str, claimed_until: datetime) -> None:
    """Give a claim to another holder."""
    statement = update(IdempotencyRow).where(IdempotencyRow.id == claim_id)
    connection.execute(statement.values(attempt=IdempotencyRow.attempt + 1, claimed_until=claimed_until))


def settle(
    connection: Connection,
    claim_id: str,
    attempt: int,
    status: int,
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> None:
    """Store the answer, unless the claim is someone else's by now."""
    statement = update(IdempotencyRow).where(IdempotencyRow.id == claim_id, IdempotencyRow.attempt == attempt)
    connection.execute(statement.values(status=status, headers=list(headers), body=body))


def release(connection: Connection, claim_id: str, attempt: int) -> None:
    """Delete a claim, unless it is someone else's by now."""
    statement = delete(IdempotencyRow).where(IdempotencyRow.id == claim_id, IdempotencyRow.attempt == attempt)
    connection.execute(statement)


def renew(connection: Connection, claim_id: str, attempt: int, claimed_until: datetime) -> None:
    """Extend a lease, unless it is someone else's by now."""
    statement = update(IdempotencyRow).where(IdempotencyRow.id == claim_id, IdempotencyRow.attempt == attempt)
    connection.execute(statement.values(claimed_until=claimed_until))


def forget(connection: Connection, *, before: datetime, claim_id: str | None = None) -> None:
    """Delete the claims, or the one claim, made before a moment."""
    statement = delete(IdempotencyRow).where(IdempotencyRow.created_at < before)
    if claim_id is not None:
        statement = statement.where(IdempotencyRow.id == claim_id)
    connection.execute(statement)
