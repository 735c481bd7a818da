"""A Dask cluster of real processes, whose workers can be held in the middle of a part."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT, free_port

GATE = "CHAINRULE_TEST_GATE"
"""The variable that tells a worker the directory of its gate."""


class DaskCluster:
    """A scheduler and workers of one thread each, every one a process of its own.

    While the gate is closed, workers that were given a part of a run wait in it.
    """

    def __init__(self, directory: Path, workers: int = 2, *, preload: str = "tests.dask.gated") -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.log = directory / "dask.log"
        self._preload = preload
        self._gate = directory / "gate"
        self._gate.mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.open()
        self.scheduler = self.start_scheduler()
        self.workers = [self.start_worker() for _ in range(workers)]

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        return self._start("scheduler", "--port", self.address.rpartition(":")[2])

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", self.address, "--nthreads", "1", "--no-nanny", "--preload", self._preload)

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{program}", "--no-dashboard", *arguments],
                cwd=self.log.parent,
                env={**os.environ, "PYTHONPATH": str(ROOT), GATE: str(self._gate)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def open(self) -> None:
        """Let the workers compute."""
        (self._gate / "open").touch()

    def close(self) -> None:
        """Make the workers wait with every part that they are given from now on."""
        (self._gate / "open").unlink()
        for entered in self._gate.iterdir():
            entered.unlink()

    def wait_until_busy(self, workers: int) -> None:
        """Wait until so many workers were given a part since the gate was closed."""
        wait_until(
            lambda: len([file for file in self._gate.iterdir() if file.name != "open"]) >= workers, str(self.log)
        )

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def wait_until(true: Callable[[], object], about: str = "") -> None:
    """Look again and again; AssertionError when it is not so within two minutes."""
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, about
        time.sleep(0.01)
