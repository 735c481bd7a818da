"""How often a key may be used."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.errors import RateLimited


class Throttle:
    """Counts the requests of the last minute, key by key; each server process counts its own."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._requests = MovingWindowRateLimiter(MemoryStorage())

    def admit(self, key_id: str) -> None:
        """Count a request; RateLimited says when the next one is welcome if that was one too many."""
        if self._limit is None or self._requests.hit(self._limit, key_id):
            return
        reset = self._requests.get_window_stats(self._limit, key_id).reset_time
        raise RateLimited(
            f"More than {self._limit.amount} requests in a minute with this key.",
            max(1, math.ceil(reset - time.time())),
        )
