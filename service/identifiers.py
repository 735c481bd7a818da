"""Time-ordered run ids."""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID


def run_id(created_at: datetime) -> UUID:
    """Return a UUID version 7 (RFC 9562) for a run created at that moment.

    The 12 bits after the milliseconds hold the microseconds (the RFC's method 3), so the order of ids is
    the order of creation and a list needs no other key; the last 62 bits are random.
    """
    microseconds = int(created_at.timestamp()) * 1_000_000 + created_at.microsecond
    milliseconds, remainder = divmod(microseconds, 1000)
    high = milliseconds << 16 | 0x7 << 12 | remainder
    low = 0b10 << 62 | int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=high << 64 | low)


def moment_of(identifier: UUID) -> datetime:
    """Return the moment that an id of `run_id` was made for."""
    milliseconds, remainder = identifier.int >> 80, identifier.int >> 64 & 0xFFF
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds, microseconds=remainder)


def parse_run_id(text: str) -> UUID | None:
    """Return the id that `text` spells exactly as answers do, or None."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None
