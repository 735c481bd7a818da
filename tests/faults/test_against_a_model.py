"""Whatever clients do in whatever order, the service does what a few dictionaries do."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from service.config import Auth, Config
from service.keys import Keys
from service.records import Scope
from service.store import schema
from service.store.database import Database
from service.work import Work
from tests.service.clients import client_of
from tests.service.documents import product

# `make soak` tries more.
EXAMPLES = max(12, int(os.environ.get("CHAINRULE_TEST_SOAK_SECONDS", "0")) // 10)
NAMES = itertools.count()


def machine_for(client: FlaskClient, keys: Keys) -> type[RuleBasedStateMachine]:
    """Every example is a name of its own, which shares the database with all before it."""

    class Service(RuleBasedStateMachine):
        graphs = Bundle("graphs")
        runs = Bundle("runs")
        sent = Bundle("sent")

        @initialize()
        def become_someone(self) -> None:
            self.headers = {"Authorization": f"Bearer {keys.create(f'name-{next(NAMES)}', Scope.WRITE)}"}
            self.stored: dict[str, Any] = {}  # runs by path, in the order of their creation
            self.known: set[str] = set()  # ids of graphs

        def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
            return client.open(path, method=method, json=body, headers=self.headers | headers)

        def remember(self, response: Any) -> str:
            run = response.get_json()
            self.stored[response.headers["Location"]] = run
            self.known.add(run["graph_id"])
            location: str = response.headers["Location"]
            return location

        def expected(self, graph: str) -> float:
            a, b = (node["data"] for node in self.call("GET", f"/v1/graphs/{graph}").get_json()["nodes"][:2])
            product: float = a * b
            return product

        @rule(target=graphs, a=st.integers(0, 3))
        def store_graph(self, a: int) -> str:
            response = self.call("POST", "/v1/graphs", product(a=float(a), b=2.0))
            identifier: str = response.get_json()["id"]
            assert response.status_code == (200 if identifier in self.known else 201)
            self.known.add(identifier)
            return identifier

        @rule(target=runs, a=st.integers(0, 3), asynchronous=st.booleans())
        def run_document(self, a: int, asynchronous: bool) -> str:
            prefer = {"Prefer": "respond-async"} if asynchronous else {}
            response = self.call("POST", "/v1/runs", {"graph": product(a=float(a), b=2.0)}, **prefer)
            assert response.status_code == (202 if asynchronous else 201)
            return self.remember(response)

        @rule(target=runs, graph=graphs)
        def run_stored_graph(self, graph: str) -> str:
            response = self.call("POST", "/v1/runs", {"graph_id": graph})
            if graph in self.known:
                assert response.status_code == 201
                return self.remember(response)
            assert response.status_code == 404
            return "/v1/runs/none"

        @rule(target=sent, a=st.integers(0, 3), asynchronous=st.booleans())
        def run_with_a_key(self, a: int, asynchronous: bool) -> tuple[dict[str, str], int, bytes]:
            headers = {"Idempotency-Key": f"key-{next(NAMES)}"}
            if asynchronous:
                headers["Prefer"] = "respond-async"
            response = self.call("POST", "/v1/runs", {"graph": product(a=float(a), b=3.0)}, **headers)
            self.remember(response)
            return headers, a, response.data

        @rule(request=sent)
        def replay(self, request: tuple[dict[str, str], int, bytes]) -> None:
            """Whatever became of the run: it may have been computed, cancelled or deleted since."""
            headers, a, answer = request
            response = self.call("POST", "/v1/runs", {"graph": product(a=float(a), b=3.0)}, **headers)
            assert (response.data, response.headers["Idempotency-Replayed"]) == (answer, "true")

        @rule(request=sent)
        def use_the_key_for_something_else(self, request: tuple[dict[str, str], int, bytes]) -> None:
            headers, a, _ = request
            response = self.call("POST", "/v1/runs", {"graph": product(a=a + 0.5, b=3.0)}, **headers)
            assert (response.status_code, response.get_json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")

        @rule()
        def work(self) -> None:
            """Compute all that is queued, as a worker does."""
            services = client.application.extensions["chainrule"]
            while (claim := services.queue.claim()) is not None:
                assert services.queue.finish(claim, services.runs.execute(claim, Work(60)))
            for run, shown in self.stored.items():
                if shown["state"] == "queued":
                    self.stored[run] = self.call("GET", run).get_json()
                    assert self.stored[run]["state"] == "succeeded"
                    assert self.stored[run]["outputs"] == {"y": self.expected(shown["graph_id"])}

        @rule(run=runs)
        def cancel(self, run: str) -> None:
            response = self.call("POST", f"{run}/cancel")
            if run not in self.stored:
                assert response.status_code == 404
            elif self.stored[run]["state"] == "succeeded":
                assert response.status_code == 409
            else:
                assert response.get_json()["state"] == "cancelled"
                self.stored[run] = response.get_json()

        @rule(run=consumes(runs))
        def delete_run(self, run: str) -> None:
            assert self.call("DELETE", run).status_code == (204 if run in self.stored else 404)
            self.stored.pop(run, None)

        @rule(graph=graphs)
        def delete_graph(self, graph: str) -> None:
            used = any(run["graph_id"] == graph for run in self.stored.values())
            expected = 404 if graph not in self.known else 409 if used else 204
            assert self.call("DELETE", f"/v1/graphs/{graph}").status_code == expected
            if expected == 204:
                self.known.discard(graph)

        @rule(run=runs)
        def show(self, run: str) -> None:
            response = self.call("GET", run)
            assert response.status_code == (200 if run in self.stored else 404)
            if run in self.stored:
                assert response.get_json() == self.stored[run]

        @rule(size=st.integers(1, 4), state=st.sampled_from(["", "succeeded", "queued", "cancelled"]))
        def page_runs(self, size: int, state: str) -> None:
            path = f"/v1/runs?page_size={size}" + (f"&state={state}" if state else "")
            expected = [run for run, shown in self.stored.items() if state in ("", shown["state"])]
            assert [f"/v1/runs/{row['id']}" for row in self.pages(path)] == sorted(expected, reverse=True)

        @rule(size=st.integers(1, 4))
        def page_graphs(self, size: int) -> None:
            found = [row["id"] for row in self.pages(f"/v1/graphs?page_size={size}")]
            assert len(found) == len(set(found))
            assert set(found) == self.known

        def pages(self, path: str) -> Iterator[Any]:
            page = self.call("GET", path).get_json()
            yield from page["items"]
            if "next_page_token" in page:
                yield from self.pages(f"{path.partition('&page_token')[0]}&page_token={page['next_page_token']}")

        @invariant()
        def graphs_are_those_that_were_stored(self) -> None:
            listed = self.call("GET", "/v1/graphs").get_json()["items"]
            assert {row["id"] for row in listed} == self.known

    return Service


def test_the_service_agrees_with_a_model(database_url: str) -> None:
    database = Database(database_url)
    schema.upgrade(database)
    with client_of(Config(database_url=database_url, auth=Auth.KEYS)) as client:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            machine_for(client, Keys(database)),
            settings=settings(
                max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    database.close()
