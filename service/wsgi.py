"""The application as production servers load it, once in every worker process, before it takes requests."""

import ctypes
import gc
import multiprocessing.util
import os
import signal
import sys

import engine.derivatives  # noqa: F401  (compiles the kernels, or loads them from the cache)
from service.app import create_app
from service.config import Config, Switch
from service.telemetry import tracing

_PR_SET_PDEATHSIG = 1


def _end_with_the_parent() -> None:
    # A server that was killed with -9 cannot stop its workers; they would keep answering on its port. SIGTERM could
    # come before they know what to do with it, and be lost.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # It may have gone while this process was still importing, and then no signal comes any more.
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:
            sys.exit("The server is gone.")


def _spare_the_collector() -> None:
    # A parsed document is hundreds of thousands of containers, none of them garbage. With Python's thresholds
    # the collector walks over them again and again while they are made: 1,240 ns a node for 100,000 nodes
    # where parsing alone takes 370. What was loaded by now stays for good, so it need not be looked at; the
    # rest is looked at when there are half a million new containers, not 700.
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 10, 10)


def _trace() -> None:
    if Config.from_environment().tracing == Switch.ON:
        tracing.start()
        # A worker process leaves without atexit.
        multiprocessing.util.Finalize(None, tracing.stop, exitpriority=0)


_end_with_the_parent()
_trace()
app = create_app()
app.extensions["chainrule"].worker.start()
_spare_the_collector()
