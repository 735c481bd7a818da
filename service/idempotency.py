"""Use cases about idempotency keys: a request that is sent again is answered again, and done once."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Lock
from uuid import UUID

from service.errors import IdempotencyInFlight, IdempotencyKeyReused, Unavailable
from service.identifiers import run_id
from service.store import idempotency as statements
from service.store.database import Database

LIFETIME = timedelta(hours=24)


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """The right to do what a key asks for, until its lease runs out.

    `run_id` is reserved for the run that comes of it. Whoever takes over after a crash gets the same one, so a run
    that was stored is found instead of made again: nothing depends on the answer having been kept with it.
    """

    id: str
    attempt: int
    run_id: UUID


class Idempotency:
    """Every owner's idempotency keys."""

    def __init__(self, database: Database, *, lease_seconds: float) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._held: set[Claim] = set()
        self._lock = Lock()

    def claim(self, owner: str, path: str, key: str, request: Sequence[bytes]) -> Claim | Answer:
        """Return the answer that was given before, or the right to give the first one.

        `request` is what has to be the same for both. IdempotencyKeyReused if it is not, IdempotencyInFlight while
        someone else has the claim.
        """
        claim_id = _digest(owner.encode(), path.encode(), key.encode())
        fingerprint = _digest(*request)
        while (outcome := self._try(claim_id, fingerprint)) is None:
            pass  # the one who had it failed and let go of it between our two statements
        if isinstance(outcome, Claim):
            with self._lock:
                self._held.add(outcome)
        return outcome

    def _try(self, claim_id: str, fingerprint: str) -> Claim | Answer | None:
        now = datetime.now(UTC)
        reserved = run_id(now)
        with self._database.writing() as connection:
            statements.forget(connection, before=now - LIFETIME, claim_id=claim_id)
            if statements.add(connection, claim_id, fingerprint, reserved, now, now + self._lease):
                return Claim(claim_id, 1, reserved)
            found = statements.load(connection, claim_id)
            if found is None:
                return None
            if found.fingerprint != fingerprint:
                raise IdempotencyKeyReused("This Idempotency-Key came with another request before.")
            if found.status is not None:
                return Answer(found.status, [(name, value) for name, value in found.headers], found.body)
            if found.claimed_until > now:
                raise IdempotencyInFlight("The first request with this Idempotency-Key is still being worked on.")
            statements.take_over(connection, claim_id, now + self._lease)
            return Claim(claim_id, found.attempt + 1, found.run_id)

    def settle(self, claim: Claim, answer: Answer) -> None:
        """Keep the answer for those who ask again."""
        self._let_go(claim)
        with self._database.writing() as connection:
            statements.settle(connection, claim.id, claim.attempt, answer.status, answer.headers, answer.body)

    def release(self, claim: Claim) -> None:
        """Forget a request that failed: it changed nothing, so it may be sent again, mended or not."""
        self._let_go(claim)
        with self._database.writing() as connection:
            statements.release(connection, claim.id, claim.attempt)

    def pass_on(self, claim: Claim) -> None:
        """Let the next who asks take over at once: the database may have stored what it could not confirm."""
        self._let_go(claim)
        with suppress(Unavailable), self._database.writing() as connection:  # else the lease has to end first
            statements.renew(connection, claim.id, claim.attempt, datetime.now(UTC))

    def _let_go(self, claim: Claim) -> None:
        with self._lock:
            self._held.discard(claim)

    def renew(self) -> None:
        """Extend the leases of the requests that this process is working on."""
        with self._lock:
            held = list(self._held)
        if held:
            with self._database.writing() as connection:
                for claim in held:
                    statements.renew(connection, claim.id, claim.attempt, datetime.now(UTC) + self._lease)

    def purge(self) -> None:
        """Delete the keys whose time is over."""
        with self._database.writing() as connection:
            statements.forget(connection, before=datetime.now(UTC) - LIFETIME)


def _digest(*parts: bytes) -> str:
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
