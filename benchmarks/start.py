"""What a start costs: compiling every loop once, and loading them compiled ever after."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks.report import Section, number
from benchmarks.timing import median_ns, once_ns

PROGRAMS = {
    "Python itself": "",
    "numpy and numba": "import numba",
    "the engine": "import engine.derivatives",
    "the service": "import service.wsgi, engine.derivatives",
}


def section(report: Callable[[str], None]) -> Section:
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": directory,
            "CHAINRULE_DATABASE_URL": f"sqlite:///{directory}/chainrule.sqlite3",
        }

        def start(program: str) -> None:
            subprocess.run([sys.executable, "-c", program], env=environment, check=True)

        cold, _ = once_ns(lambda: start(PROGRAMS["the engine"]))
        times = {name: median_ns(lambda program=program: start(program)) for name, program in PROGRAMS.items()}
    report(f"cold start {cold / 1e9:.1f} s, warm {times['the engine'] / 1e9:.2f} s")
    return Section(
        "Starting",
        "Seconds for a new process to be ready to compute. Compiling happens once for each version of the engine and "
        "kind of processor (`make install` and the building of the image do it); the result is kept on disk.",
        ["", "seconds"],
        [
            ["the engine, nothing compiled yet", number(cold / 1e9)],
            *([name, number(time / 1e9)] for name, time in times.items()),
        ],
    )
