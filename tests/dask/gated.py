"""Loaded by the workers of a cluster under test: makes them wait with their parts while the gate is closed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import service.kinds  # noqa: F401  (so that the first part need not wait for it)
from service import work
from tests.dask import GATE

gate = Path(os.environ[GATE])
compute = work._compute


def gated(*arguments: Any) -> Any:
    (gate / str(os.getpid())).touch()
    while not (gate / "open").exists():
        time.sleep(0.01)
    return compute(*arguments)


work._compute = gated
