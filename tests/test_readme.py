"""The README's commands answer what it says they answer."""

import doctest
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, StartServer

README = (ROOT / "README.md").read_text()
CHANGING = {"id", "created_at", "started_at", "finished_at"}


def send(url: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer


def lasting(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name not in CHANGING}


def test_the_neuron_is_answered_as_shown_and_found_again_after_a_restart(
    server: StartServer, sqlite_database_url: str
) -> None:
    shown = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    command = re.search(r"^curl -s http://127.0.0.1:8000(\S+) .* -d @(\S+)$", README, re.MULTILINE)
    assert shown and command
    first = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    answer = send(first.url + command[1], Path(ROOT, command[2]).read_bytes())
    assert lasting(answer) == lasting(json.loads(shown[1]))
    assert answer.keys() == json.loads(shown[1]).keys()
    first.process.terminate()
    assert first.process.wait(timeout=30) == 0
    second = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    assert send(f"{second.url}{command[1]}/{answer['id']}") == answer


def test_the_python_session_runs_as_shown() -> None:
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert results.attempted >= 8
    assert results.failed == 0
