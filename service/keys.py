"""Use cases about API keys: create one, list them, revoke some, and find whose one is."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from service.records import Key, Scope
from service.store import keys as statements
from service.store.database import Database

_PREFIX = "chainrule_"  # lets scanners for leaked secrets recognise one
_BITS = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


class Keys:
    """The keys of all names. A name may have several, so that one can be replaced without a gap."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, scope: Scope) -> str:
        """Store a new key's hash and return the key; nobody can read it again. ValueError: not a name."""
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r:.160} is not a name: it takes 1 to 128 letters, digits and . _ @ + -, a letter or digit first"
            )
        key = _PREFIX + secrets.token_urlsafe(_BITS // 8)
        created = Key(secrets.token_hex(4), name, scope, datetime.now(UTC), None)
        with self._database.writing() as connection:
            statements.add(connection, created, _digest(key))
        return key

    def all(self) -> Sequence[Key]:
        """Return every key there ever was, by name, oldest first."""
        with self._database.reading() as connection:
            return statements.load_all(connection)

    def revoke(self, name: str, key_id: str | None = None) -> int:
        """Revoke a name's keys, or the one with that id; return how many were in force."""
        with self._database.writing() as connection:
            return statements.revoke(connection, name, key_id, datetime.now(UTC))

    def find(self, key: str) -> Key | None:
        """Return what is known of a key in force, or None.

        Looked up by its hash, every time: a new key is valid at once, and a revoked one is not. The time this
        takes tells nothing, for whoever cannot invert SHA-256 cannot choose what it compares.
        """
        with self._database.reading() as connection:
            return statements.find(connection, _digest(key))


def _digest(key: str) -> str:
    # A fast hash is enough: slow ones protect what people choose, and nobody guesses 256 random bits.
    return sha256(key.encode()).hexdigest()
