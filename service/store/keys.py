"""Statements about API keys."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from service.records import Key, Scope
from service.store.tables import KeyRow

_KEY = select(KeyRow.id, KeyRow.name, KeyRow.scope, KeyRow.created_at, KeyRow.revoked_at)


def add(connection: Connection, key: Key, digest: str) -> None:
    """Store a key by its hash."""
    row = {
        "digest": digest,
        "id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "created_at": key.created_at,
    }
    connection.execute(insert(KeyRow), row)


def load_all(connection: Connection) -> list[Key]:
    """Return all keys, by name, oldest first."""
    return [_read(*row) for row in connection.execute(_KEY.order_by(KeyRow.name, KeyRow.created_at))]


def find(connection: Connection, digest: str) -> Key | None:
    """Return the key with that hash, unless it is revoked."""
    row = connection.execute(_KEY.where(KeyRow.digest == digest, KeyRow.revoked_at.is_(None))).one_or_none()
    return None if row is None else _read(*row)


def revoke(connection: Connection, name: str, key_id: str | None, revoked_at: datetime) -> int:
    """Revoke the keys of a name that are in force, or the one with that id; return how many these were."""
    statement = update(KeyRow).where(KeyRow.name == name, KeyRow.revoked_at.is_(None))
    if key_id is not None:
        statement = statement.where(KeyRow.id == key_id)
    return connection.execute(statement.values(revoked_at=revoked_at)).rowcount


def _read(key_id: str, name: str, scope: str, created_at: datetime, revoked_at: datetime | None) -> Key:
    return Key(key_id, name, Scope(scope), created_at, revoked_at)
