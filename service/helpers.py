"""Who computes the parts of large runs: threads of this process, or the workers of a Dask cluster."""

import importlib.util
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from service.config import ConfigError
from service.work import Pool

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_SHARE_SECONDS = 30.0


@dataclass(frozen=True)
class Crew:
    """Who would help at this moment: of which kind, and on how many tasks at a time."""

    kind: str
    width: int


class Helpers(Protocol):
    """Who helps with large runs."""

    name: str

    def pool(self) -> Pool:
        """Return what tasks are handed to; OSError if nobody is there."""

    def crew(self) -> Crew:
        """Return who is there; OSError if nobody is."""


def helpers(dask_scheduler: str) -> Helpers:
    """Return the helpers of the cluster at that address, or those of this process if there is none.

    ConfigError if the packages that a cluster takes are not installed.
    """
    if not dask_scheduler:
        return Threads()
    if importlib.util.find_spec("distributed") is None:
        raise ConfigError(
            "CHAINRULE_DASK_SCHEDULER needs packages that are not there: pip install chainrule[distributed]."
        )
    return Cluster(dask_scheduler)


class Threads:
    """Threads of this process, one for each core."""

    name = "The pool of threads"

    def __init__(self) -> None:
        self._width = os.cpu_count() or 1
        self.executor = ThreadPoolExecutor(self._width, "task")

    def pool(self) -> Pool:
        """Return the threads."""
        return Pool(self.executor, self._width)

    def crew(self) -> Crew:
        """Return how many threads there are; OSError if they take no tasks any more."""
        try:
            self.executor.submit(_nothing)
        except RuntimeError as error:
            raise OSError(f"The threads that compute take no tasks: {error}.") from None
        return Crew("threads", self._width)


def _nothing() -> None:
    pass


class Cluster:
    """A connection to a Dask scheduler, made when it is needed and again when it is lost."""

    name = "The Dask scheduler"

    def __init__(self, address: str) -> None:
        self._address = address
        self._loop: Any = None
        self._client: Any = None
        self._lock = threading.Lock()

    def pool(self) -> Pool:
        """Return the cluster; OSError if the scheduler does not answer or has no workers."""
        client = self._connected()

        def share(argument: Any) -> Any:
            # Each worker gets a copy at once: it can be worked on anywhere then, also when one of them dies.
            (shared,) = client.sync(
                client.scatter, [argument], broadcast=True, hash=False, callback_timeout=_SHARE_SECONDS
            )
            return shared

        # Not pure: equal calls of different runs are different tasks, and are cancelled one by one.
        executor = client.get_executor(pure=False)
        return Pool(executor, self._width(client), share, lambda: self._width(client))

    def crew(self) -> Crew:
        """Return how many threads the workers have; OSError if there are none, or nobody knows."""
        return Crew("dask", self._width(self._connected()))

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._close()
            if self._loop is not None:
                self._loop.stop()
                self._loop = None

    def _connected(self) -> Any:
        from distributed import Client  # a second that only those wait for who use it
        from distributed.utils import LoopRunner

        with self._lock:
            if self._loop is None:
                # One thread for all connections: each that fails would leave its own behind.
                self._loop = LoopRunner(asynchronous=False)
                self._loop.start()
            if self._client is None or self._client.status != "running":
                self._close()
                try:
                    self._client = Client(
                        self._address, loop=self._loop.loop, timeout=_CONNECT_SECONDS, set_as_default=False
                    )
                except OSError as error:
                    raise OSError(f"{self.name} does not answer.") from error
                except Exception as error:  # that certificates are missing, for example, is a TypeError
                    raise OSError(f"{self.name} cannot be reached: {error}") from error
            return self._client

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # it is broken already
                client.close(timeout=_CONNECT_SECONDS)

    def _width(self, client: Any) -> int:
        # A scheduler that was killed is noticed at once; one that is stuck, or cut off, only by its silence.
        try:
            width: int = sum(client.sync(client.nthreads, callback_timeout=_ANSWER_SECONDS).values())
        except OSError as error:
            raise OSError(f"{self.name} does not answer.") from error
        if not width:
            raise OSError(f"{self.name} has no workers.")
        return width
