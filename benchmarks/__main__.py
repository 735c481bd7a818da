"""`python -m benchmarks`: measure, print, and write its part of docs/performance.md with its picture."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import batches, requests, single, start, training
from benchmarks.picture import dot_plot
from benchmarks.report import DOCS, machine, markdown, write_part

PICTURE = "performance.svg"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small graphs only, and write nothing")
    quick = parser.parse_args().quick
    sections, run = single.sections(say, quick)
    sections += [*batches.sections(say), start.section(say)]
    # Last, because the service sets the collector for good.
    with tempfile.TemporaryDirectory() as directory:
        app = requests.application(Path(directory))
        sections += [requests.section(say, app), training.section(say, app, 5 if quick else 100)]
    page = markdown(sections, machine(), PICTURE)
    print(page)
    if not quick:
        write_part("bench", page)
        title = "Values and gradients of one graph: nanoseconds per node"
        DOCS.joinpath(PICTURE).write_text(dot_plot(title, "ns", run))


main()
