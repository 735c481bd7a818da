"""What every test may ask for: empty databases on both engines, and real server processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import URL, make_url

from tests.postgres import Cluster

ROOT = Path(__file__).parents[1]
CLUSTER = pytest.StashKey[Cluster]()

# The same examples every time, so that a commit's checks say the same twice; `make soak` looks for new ones. And a busy
# machine is no reason to fail.
settings.register_profile("chainrule", deadline=None, derandomize="CHAINRULE_TEST_SOAK_SECONDS" not in os.environ)
settings.load_profile("chainrule")


def pytest_configure(config: pytest.Config) -> None:
    """Agree on the cluster's directory: the controller names it, its xdist workers are told."""
    worker: dict[str, str] | None = getattr(config, "workerinput", None)
    if worker is None:
        directory = Path(tempfile.gettempdir(), f"chainrule-test-{uuid.uuid4().hex[:8]}")
    else:
        directory = Path(worker["postgres_directory"])
    config.stash[CLUSTER] = Cluster(directory)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: pytest.Item) -> None:
    """Tell an xdist worker where the run's cluster is."""
    node.workerinput["postgres_directory"] = str(node.config.stash[CLUSTER].directory)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the cluster when the whole run is over, however it ended."""
    if not hasattr(config, "workerinput"):
        config.stash[CLUSTER].stop()


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """URL of a PostgreSQL server on which databases may be created."""
    return os.environ.get("CHAINRULE_TEST_POSTGRES_URL") or pytestconfig.stash[CLUSTER].start()


@contextmanager
def new_postgres_database(server_url: str) -> Iterator[str]:
    """Create an empty database on the server, answer its URL, and drop it at the end."""
    server: URL = make_url(server_url)
    name = f"chainrule_test_{uuid.uuid4().hex}"
    maintenance = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def postgres_database_url(postgres_url: str) -> Iterator[str]:
    """URL of a fresh PostgreSQL database with nothing in it."""
    with new_postgres_database(postgres_url) as url:
        yield url


@pytest.fixture
def sqlite_database_url(tmp_path: Path) -> str:
    """URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'chainrule.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh database with nothing in it, on each of the two engines in turn."""
    fixture = {"sqlite": "sqlite_database_url", "postgresql": "postgres_database_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url


@dataclass(frozen=True)
class Server:
    """A running `chainrule serve`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid


StartServer = Callable[..., Server]


def free_port() -> int:
    """A loopback TCP port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_server(log: Path, environment: Mapping[str, str], *arguments: str) -> Server:
    """Start `chainrule serve` on a free port and wait until it is alive.

    Raises AssertionError with the server's output if it ends, or says nothing for three minutes, which compiling the
    kernels may take on a busy machine.
    """
    port = free_port()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "service",
                "serve",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                *arguments,
            ],
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/livez", timeout=5):  # noqa: S310
                return Server(url, process, log)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"chainrule serve did not come up:\n{log.read_text(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        # A worker that was told to end before it was quite there is killed by the server after 30 seconds.
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StartServer]:
    """Start real server processes: `server(CHAINRULE_DATABASE_URL=...)`; all end with the test.

    Positional arguments go to the command line; each server's working directory is the test's `tmp_path`.
    """
    with ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> Server:
            started = start_server(tmp_path / f"server-{uuid.uuid4().hex[:8]}.log", environment, *arguments)
            stack.callback(_end, started.process)
            return started

        yield start
