"""A disk that is full, and has room again: no lie, no loss, no restart."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.conftest import StartServer
from tests.faults.load import Load
from tests.faults.servers import every_run, prepare, worker_processes
from tests.faults.small_disk import mounting
from tests.postgres import Cluster
from tests.service.documents import NEURON

_LARGE = {
    "graph": {"nodes": [{"id": str(k), "op": "input", "data": 1.0} for k in range(5_000)], "outputs": ["0"]},
    "select": "leaves",
}


def test_a_full_disk_is_503_and_there_being_room_again_is_noticed(
    server: StartServer, sqlite_database_url: str
) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    file = Path(sqlite_database_url.removeprefix("sqlite:///"))
    with httpx.Client(base_url=started.url, timeout=60) as client:
        kept = client.post("/v1/runs", json={"graph": NEURON})
        (worker,) = worker_processes(started)
        soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        written = max(file.stat().st_size, file.with_name(f"{file.name}-wal").stat().st_size)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (written + 20_000, hard))
        refused = client.post("/v1/runs", json=_LARGE)
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get(kept.headers["Location"]).content == kept.content
        assert client.post("/v1/runs", json=_LARGE | {"store": False}).status_code == 200
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (soft, hard))
        assert client.post("/v1/runs", json=_LARGE).status_code == 201
        assert len(every_run(client)) == 2


class SmallDisk:
    """A PostgreSQL database whose tables have 32 megabytes."""

    def __init__(self, cluster: Cluster) -> None:
        folder = cluster.new_folder("small")
        self.url = cluster.start(mounting(folder, megabytes=32))
        self._execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        self._execute("ALTER DATABASE postgres SET default_tablespace = small")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement.encode())

    def fill(self) -> None:
        self._execute("CREATE TABLE ballast (bytes bytea) TABLESPACE small")
        self._execute("ALTER TABLE ballast ALTER bytes SET STORAGE PLAIN")
        with pytest.raises(psycopg.errors.DiskFull):
            while True:
                self._execute("INSERT INTO ballast SELECT repeat('x', 8000)::bytea FROM generate_series(1, 100)")

    def free(self) -> None:
        self._execute("DROP TABLE ballast")


class PretendedSmallDisk(SmallDisk):
    """Where nothing may be mounted: a database that says, when told to, that its disk is full."""

    def __init__(self, cluster: Cluster) -> None:
        self.url = cluster.start()

    def fill(self) -> None:
        self._execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END$$"
        )
        self._execute("CREATE TRIGGER fail BEFORE INSERT ON runs EXECUTE FUNCTION fail()")

    def free(self) -> None:
        self._execute("DROP FUNCTION fail CASCADE")


@pytest.fixture
def small_disk(cluster: Cluster) -> SmallDisk:
    try:
        return SmallDisk(cluster)
    except subprocess.SubprocessError:  # all that Python tells of what happened before the server's start
        return PretendedSmallDisk(cluster)


def test_postgresql_with_a_full_disk_refuses_and_recovers_and_keeps_what_it_has(
    server: StartServer, small_disk: SmallDisk
) -> None:
    started = server(CHAINRULE_DATABASE_URL=prepare(small_disk.url), CHAINRULE_LEASE_SECONDS="1")
    with Load(started.url) as load, httpx.Client(base_url=started.url, timeout=60) as client:
        load.wait_for_more(20)
        small_disk.fill()
        load.wait_for_refusals(20)
        refused = client.post("/v1/runs", json=_LARGE)
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
        assert int(refused.headers["Retry-After"]) > 0
        for location, content in list(load.acknowledged.items()):
            assert client.get(location).content == content
        assert client.post("/v1/runs", json=_LARGE | {"store": False}).status_code == 200
        assert client.get("/readyz").status_code == 200
        small_disk.free()
        load.wait_for_more(20)
        assert client.post("/v1/runs", json=_LARGE).status_code == 201
    assert load.broken == []
    load.check(started)
