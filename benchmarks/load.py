"""`python -m benchmarks.load`: real servers under wrk beside a bare endpoint, for a part of docs/performance.md."""

from __future__ import annotations

import argparse
import cProfile
import json
import logging.config
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import echo, requests
from benchmarks.report import Goal, Section, machine, number, part, write_part
from benchmarks.timing import median_ns
from service.config import Config
from service.store import schema
from service.store.database import Database
from service.telemetry import METRICS_DIRECTORY, logs
from tests.conftest import free_port, new_postgres_database, start_server
from tests.postgres import Cluster

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_suffix(".lua")
CONNECTIONS = 16
WORKERS = (1, 2)

ECHO = "bare echo"
NOT_STORED = "run, not stored"
ONE_THREAD = "run, not stored, CHAINRULE_THREADS=1"
SQLITE = "run, stored on SQLite"
POSTGRESQL = "run, stored on PostgreSQL"

WHY_NOT_STORED = (
    "both are Python, and a run calls more than twice as many functions as the echo; each of them takes longer, too, "
    "presumably since so much code does not stay in the processor's caches. Then the threads of a process wait for "
    "each other: a run lets go of the interpreter's lock seven times (five of them in Python's sqlite3, to see that "
    "the graph is still there), another thread takes it, and the run goes on when that one lets go. With one thread, "
    "which a long run would keep from all others, there is none of that. No other part stands out: see *Where the "
    "time goes*."
)
WHY_STORED = (
    "the same, and SQLAlchemy's part of storing a run and its three arrays, which one transaction for up to four runs, "
    "one for each thread, shares out only in part; SQLite itself and an idle disk take 0.2 ms for such a transaction."
)


@dataclass(frozen=True)
class Server:
    """One that answers: `pid` is the process that the others are children of."""

    url: str
    pid: int

    def resident(self) -> float:
        """The memory of all its processes in megabytes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [self.pid, *children])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Answered:
    """What wrk saw; latencies are in milliseconds."""

    per_second: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Load:
    """Requests to one server: the lines of a file are the bodies, sent in turn."""

    url: str
    bodies: Path

    def run(self, seconds: float) -> Answered:
        """Send them over so many connections that are never idle; AssertionError unless each was answered with 2xx."""
        said = subprocess.run(
            [
                "wrk",
                "--threads=1",
                f"--connections={CONNECTIONS}",
                f"--duration={seconds:.0f}s",
                "--timeout=30s",
                f"--script={SCRIPT}",
                self.url,
                "--",
                self.bodies,
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        found = json.loads(said.splitlines()[-1])
        assert found["requests"] and not found["refused"] and not found["broken"], f"{self.url}: {said}"
        return Answered(found["requests"] / found["seconds"], found["p50"], found["p99"])


class Servers:
    """Starts servers in a folder of their own, and ends them together."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._cluster = Cluster(folder / "postgresql")
        stack.callback(self._cluster.stop)

    def echo(self, workers: int) -> Server:
        """The peer: a bare endpoint on the same server program, with the settings that ours has by default."""
        port = free_port()
        options = ["--interface=wsgi", f"--workers={workers}", f"--blocking-threads={Config.threads}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *options, f"--port={port}", "benchmarks.echo:app"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(process.wait, timeout=30)
        self._stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        while process.poll() is None:
            try:
                httpx.get(url)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return Server(url, process.pid)
        raise AssertionError("The echo server ended before it answered.")

    def service(self, workers: int, database_url: str, **settings: str) -> Server:
        """The service as it is deployed, its log written to a file."""
        database = Database(database_url)
        schema.upgrade(database)
        database.close()
        log = Path(tempfile.mkstemp(dir=self.folder, suffix=".log")[1])
        settings = {"CHAINRULE_DATABASE_URL": database_url, **settings}
        started = start_server(log, settings, "--workers", str(workers))
        self._stack.callback(started.process.wait, timeout=30)
        self._stack.callback(started.process.terminate)
        return Server(started.url, started.pid)

    def sqlite(self) -> str:
        """The URL of a file that does not exist yet."""
        return f"sqlite:///{tempfile.mkdtemp(dir=self.folder)}/chainrule.sqlite3"

    def postgresql(self) -> str:
        """The URL of an empty database."""
        return self._stack.enter_context(new_postgres_database(self._cluster.start()))


@contextmanager
def servers() -> Iterator[Servers]:
    """A folder on a disk, where /tmp may be memory and fsync cost nothing."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="chainrule-load-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # PostgreSQL runs as somebody else
        yield Servers(Path(folder), stack)


def neuron() -> dict[str, Any]:
    """The lecture's."""
    graph: dict[str, Any] = json.loads((ROOT / "examples/neuron.json").read_text())["graph"]
    return graph


def bodies(server: Server, folder: Path, *stored: bool) -> Path:
    """A file of runs of the lecture's neuron, which is stored on the server, with a new input each.

    `stored` says in turn which of them are stored.
    """
    graph_id = httpx.post(f"{server.url}/v1/graphs", json=neuron()).raise_for_status().json()["id"]
    file = Path(tempfile.mkstemp(dir=folder, suffix=".jsonl")[1])
    runs = [
        {"graph_id": graph_id, "inputs": {"x1": k / 64, "w1": -3.0}, "store": stored[k % len(stored)]}
        for k in range(20 * len(stored))
    ]
    file.write_text("".join(json.dumps(run) + "\n" for run in runs))
    return file


def loads(started: Servers, workers: int) -> dict[str, Load]:
    """What is measured, by name, each with a server of its own."""
    on_sqlite, on_postgresql = (started.service(workers, url) for url in (started.sqlite(), started.postgresql()))
    of_one_thread = started.service(workers, started.sqlite(), CHAINRULE_THREADS="1")
    kept, passing = (bodies(on_sqlite, started.folder, stored) for stored in (True, False))
    # Everywhere the same: an id is the content's hash.
    assert kept.read_text() == bodies(on_postgresql, started.folder, True).read_text()
    assert passing.read_text() == bodies(of_one_thread, started.folder, False).read_text()
    return {
        ECHO: Load(started.echo(workers).url, kept),
        NOT_STORED: Load(f"{on_sqlite.url}/v1/runs", passing),
        ONE_THREAD: Load(f"{of_one_thread.url}/v1/runs", passing),
        SQLITE: Load(f"{on_sqlite.url}/v1/runs", kept),
        POSTGRESQL: Load(f"{on_postgresql.url}/v1/runs", kept),
    }


@dataclass(frozen=True)
class Measured:
    """The median of several rounds; `of_echo` is that of the ratios to the echo of the same round."""

    answered: Answered
    of_echo: float


def measure(workers: int, rounds: int, seconds: float, report: Callable[[str], None]) -> dict[str, Measured]:
    """Every load in every round, so that what else the machine does falls on all of them."""
    with servers() as started:
        found: dict[str, list[Answered]] = {}
        each = loads(started, workers)
        for load in each.values():
            load.run(1)
        for _ in range(rounds):
            for name, load in each.items():
                found.setdefault(name, []).append(load.run(seconds))
    medians = {
        name: Measured(
            Answered(
                statistics.median(each.per_second for each in answered),
                statistics.median(each.p50 for each in answered),
                statistics.median(each.p99 for each in answered),
            ),
            statistics.median(
                ours.per_second / echo.per_second for ours, echo in zip(answered, found[ECHO], strict=True)
            ),
        )
        for name, answered in found.items()
    }
    for name, median in medians.items():
        report(f"{workers} workers, {name}: {median.answered.per_second:.0f}/s, {median.of_echo:.3f} of the echo")
    return medians


def throughput(rounds: int, seconds: float, report: Callable[[str], None]) -> Section:
    """Requests a second beside the bare echo, with one worker process and with several."""
    by_workers = {workers: measure(workers, rounds, seconds, report) for workers in WORKERS}
    one = by_workers[1]
    rows = [
        [
            f"{name}, {workers} worker{'s' if workers > 1 else ''}",
            number(median.answered.per_second),
            number(median.of_echo),
            number(median.answered.per_second / one[name].answered.per_second),
            number(median.answered.p50),
            number(median.answered.p99),
        ]
        for name in one
        for workers, median in ((workers, found[name]) for workers, found in by_workers.items())
    ]
    return Section(
        "Small runs",
        "`POST /v1/runs` of the lecture's neuron, stored before, named by its id, with two inputs bound: "
        f"{CONNECTIONS} connections that are never idle, from wrk on the same machine. The echo is a Flask application "
        "of one view under the same server program with as many processes, and four threads in each; it reads the same "
        "JSON with the same library and writes it back. Settings are the defaults: every request is logged and "
        f"counted, every stored run is on the disk before it is answered. Medians of {rounds} rounds of {seconds:.0f} "
        "seconds, in each of which all take their turn; ratios are to the echo of the same round with as many workers. "
        "wrk, the workers and the database share the processors, so that growth ends where these do.",
        ["", "requests/s", "of the echo's", "of one worker's", "p50, ms", "p99, ms"],
        rows,
        [
            Goal("run, not stored / bare echo", 0.5, one[NOT_STORED].of_echo, at_least=True, why=WHY_NOT_STORED),
            Goal("run, stored on SQLite / bare echo", 1 / 3, one[SQLITE].of_echo, at_least=True, why=WHY_STORED),
        ],
    )


_PARTS = {
    "reading the body": "read_body",
    "looking whose the graph is": "to_run",
    "checking the request against the graph": "accept",
    "computing: the engine": "gradient",
    "computing: what is around it": "compute",
    "spelling the answer": "answer",
    "writing it": "respond",
    "metrics of the run": "observe_run",
    "metrics and log line of the request": "describe",
}


def profile(report: Callable[[str], None]) -> Section:
    """Where the time of a run that is not stored goes, in one thread and without a socket."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, Path(os.devnull).open("w") as log:
        os.environ[METRICS_DIRECTORY] = folder  # as `chainrule serve` sets it
        logging.config.dictConfig(logs.configuration("info"))
        (handler,) = logging.getLogger().handlers
        handler.setStream(log)  # type: ignore[attr-defined]
        app = requests.application(Path(folder))
        graph = requests.post(app, "/v1/graphs", json.dumps(neuron()).encode())
        run = {"graph_id": json.loads(graph)["id"], "inputs": {"x1": 1.5, "w1": -3.0}, "store": False}
        body = json.dumps(run).encode()
        ours = median_ns(lambda: requests.post(app, "/v1/runs", body), seconds=3) / 1000
        peer = median_ns(lambda: requests.post(echo.app, "/", body), seconds=3) / 1000
        profiler = cProfile.Profile()
        with profiler:
            for _ in range(2000):
                requests.post(app, "/v1/runs", body)
    seconds: dict[str, float] = {}
    for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if file.startswith((str(ROOT / "service"), str(ROOT / "engine"), str(ROOT / "benchmarks"))):
            seconds[name] = max(cumulative, seconds.get(name, 0.0))
    seconds["compute"] -= seconds["gradient"]
    shares = {part: seconds[name] / seconds["post"] for part, name in _PARTS.items()}
    shares["Flask, Werkzeug and the rest"] = 1 - sum(shares.values())
    report(f"in process: {ours:.0f} µs, echo {peer:.0f} µs")
    return Section(
        "Where the time goes",
        f"In one thread and without a socket, a run that is not stored takes {ours:.0f} µs and the echo {peer:.0f}. "
        "Shares are as `cProfile` tells them, which makes calls of functions look dearer than they are.",
        ["", "share"],
        [[part, number(share)] for part, share in shares.items()],
    )


def soak(seconds: float, report: Callable[[str], None]) -> Section:
    """Memory over a long time under load, one run in ten stored."""
    with servers() as started:
        server = started.service(1, started.sqlite())
        load = Load(f"{server.url}/v1/runs", bodies(server, started.folder, *[False] * 9, True))
        # Garbage gathers until the collector looks at it, after some 60,000 requests; after that it is steady.
        load.run(max(10, seconds / 10))
        first, answered = server.resident(), 0.0
        rows = [["0", "0", number(first), "", ""]]
        for quarter in range(1, 5):
            found = load.run(max(1, seconds / 4))
            answered += found.per_second * max(1, seconds / 4)
            last = server.resident()
            minutes = number(quarter * seconds / 240)
            rows.append([minutes, f"{answered:,.0f}", number(last), number(found.per_second), number(found.p99)])
            report(f"soak, {minutes} minutes: {last:.0f} MB, {found.per_second:.0f}/s")
    return Section(
        "Memory",
        f"The same with one worker for {seconds / 60:g} minutes, after a tenth of that to warm up, every tenth run "
        "stored on SQLite: the resident memory of the server's processes.",
        ["minutes", "runs answered", "MB", "requests/s", "p99, ms"],
        rows,
        [Goal("memory at the end of the soak / at its beginning", 1.1, last / first)],
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each load has its turn")
    parser.add_argument("--seconds", type=float, default=5, help="how long a turn is")
    parser.add_argument("--soak", type=float, default=3600, help="how many seconds memory is watched for; 0 does not")
    parser.add_argument("--dry", action="store_true", help="print only, and write nothing")
    options = parser.parse_args()
    sections = [throughput(options.rounds, options.seconds, say)]
    if options.soak:
        sections.append(soak(options.soak, say))
    sections.append(profile(say))  # last, because the service sets the collector for good
    text = part("Under load", f"Measured by `make load` on {machine()}.", sections)
    print(text)
    if not options.dry:
        write_part("load", text)


if __name__ == "__main__":
    main()
