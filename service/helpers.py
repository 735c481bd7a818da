"""Who computes the parts of large runs: threads of this process, or the workers of a Dask cluster."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache
from typing import Any

_CONNECT_SECONDS = 5


def helpers(dask_scheduler: str) -> Callable[[], Executor]:
    """Return what gives the executor: of the cluster at that address, or of this process if there is none."""
    return _Cluster(dask_scheduler).executor if dask_scheduler else cache(_threads)


def _threads() -> Executor:
    return ThreadPoolExecutor(os.cpu_count(), "task")


class _Cluster:
    """A connection to a Dask scheduler, made when it is needed and again when it is lost."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self._lock = threading.Lock()

    def executor(self) -> Executor:
        """Return the cluster as an executor; OSError if the scheduler does not answer."""
        from distributed import Client  # the extra `distributed`; a second that only those wait for who use it

        with self._lock:
            if self._client is None or self._client.status != "running":
                self._client = Client(self._address, timeout=_CONNECT_SECONDS, set_as_default=False)
            # Not pure: equal calls of different runs are different tasks, and are cancelled one by one.
            executor: Executor = self._client.get_executor(pure=False)
            return executor
