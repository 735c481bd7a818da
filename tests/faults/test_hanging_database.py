"""A database that is there and does not answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg

from tests.conftest import StartServer
from tests.faults.servers import prepare
from tests.postgres import Cluster
from tests.service.documents import NEURON


def refused(response: httpx.Response) -> bool:
    problem: dict[str, Any] = response.json()
    return (response.status_code, problem["code"]) == (503, "UNAVAILABLE") and int(response.headers["Retry-After"]) > 0


def test_a_database_that_hangs_is_503_until_it_goes_on(server: StartServer, cluster: Cluster) -> None:
    started = server(CHAINRULE_DATABASE_URL=prepare(cluster.start()), CHAINRULE_DATABASE_TIMEOUT_SECONDS="1")
    with httpx.Client(base_url=started.url, timeout=60) as client:
        kept = client.post("/v1/runs", json={"graph": NEURON})
        with cluster.frozen():
            # More at once than there are threads and connections.
            with ThreadPoolExecutor(12) as clients:
                posts = clients.map(lambda k: client.post("/v1/runs", json={"graph": NEURON}), range(12))
                assert all(refused(response) for response in posts)
            assert refused(client.get(kept.headers["Location"]))
            assert refused(client.get("/readyz"))
            assert client.get("/livez").status_code == 200
            assert client.post("/v1/runs", json={"graph": NEURON, "store": False}).status_code == 200
        assert client.get(kept.headers["Location"]).content == kept.content
        assert client.post("/v1/runs", json={"graph": NEURON}).status_code == 201
    crashes = [json.loads(line) for line in started.log.read_text().splitlines() if "crashed" in line]
    assert crashes == []


def test_a_table_that_someone_has_locked_is_503_until_it_is_free(
    server: StartServer, postgres_database_url: str
) -> None:
    started = server(CHAINRULE_DATABASE_URL=prepare(postgres_database_url), CHAINRULE_DATABASE_TIMEOUT_SECONDS="1")
    with httpx.Client(base_url=started.url, timeout=60) as client:
        with psycopg.connect(postgres_database_url.replace("+psycopg", "")) as other:
            other.execute("LOCK TABLE runs")
            assert refused(client.post("/v1/runs", json={"graph": NEURON}))
            assert refused(client.get("/v1/runs"))
            assert client.post("/v1/graphs", json=NEURON).status_code == 201
        assert client.post("/v1/runs", json={"graph": NEURON}).status_code == 201
