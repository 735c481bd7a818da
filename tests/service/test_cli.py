"""The command line, without and with a database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from service import __version__
from service.cli import main
from service.config import Config, settings
from service.store import schema
from service.store.database import Database
from tests.service.documents import NEURON, product

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command in an empty directory: `invoke("db", "current", CHAINRULE_DATABASE_URL=...)`."""
    monkeypatch.chdir(tmp_path)
    for setting in settings():
        monkeypatch.delenv(setting.variable, raising=False)
    return lambda *arguments, stdin=None, **environment: CliRunner().invoke(
        main, arguments, input=stdin, env=environment
    )


def write(tmp_path: Path, document: Any) -> str:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(document))
    return str(file)


def without_times(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if not name.endswith("_at")}


def test_version(invoke: Invoke) -> None:
    assert __version__ in invoke("--version").output


@pytest.mark.parametrize("form", ["nodes", "columns"])
def test_run_prints_what_the_server_answers(
    invoke: Invoke, tmp_path: Path, validating_client: FlaskClient, form: str
) -> None:
    request = {"graph": NEURON, "inputs": {"b": 8}, "seeds": {"o": 2.0}}
    result = invoke("run", write(tmp_path, request), "--form", form)
    assert result.exit_code == 0, result.stderr
    answer = validating_client.post(f"/v1/runs?form={form}", json=request | {"store": False})
    assert without_times(json.loads(result.stdout)) == without_times(answer.get_json())
    assert list(json.loads(result.stdout)) == list(answer.get_json())


def test_run_takes_a_bare_graph_and_standard_input(invoke: Invoke) -> None:
    result = invoke("run", "-", stdin=json.dumps(product(a=3.0, b=4.0)))
    assert json.loads(result.stdout)["gradients"] == {"a": 4.0, "b": 3.0, "y": 1.0}
    result = invoke("run", "-", stdin='{"expression": "a*b", "data": {"a": 3, "b": 4}}')
    assert json.loads(result.stdout)["gradients"]["a"] == 4.0


def test_run_leaves_nothing_behind(invoke: Invoke, tmp_path: Path) -> None:
    invoke("run", "-", stdin=json.dumps(product(a=3.0, b=4.0)))
    assert list(tmp_path.iterdir()) == []


def test_run_says_what_is_wrong_as_the_server_does(
    invoke: Invoke, tmp_path: Path, validating_client: FlaskClient
) -> None:
    for request in ({"graph": product(), "sed": 1}, {"graph": {"nodes": [{}]}}, [], {"graph_id": 3}):
        result = invoke("run", write(tmp_path, request))
        assert (result.exit_code, result.stdout) == (1, "")
        problem = validating_client.post("/v1/runs", json=request).get_json()
        assert json.loads(result.stderr) == {
            name: problem[name] for name in problem if name not in ("instance", "request_id")
        }


def test_run_points_into_a_bare_graph(invoke: Invoke) -> None:
    result = invoke("run", "-", stdin='{"nodes": [{"id": "x", "op": "inptu"}]}')
    (error,) = json.loads(result.stderr)["errors"]
    assert (error["pointer"], error["code"]) == ("/nodes/0/op", "UNKNOWN_OPERATION")


def test_run_refuses_what_is_not_json_and_what_only_a_server_has(invoke: Invoke) -> None:
    assert json.loads(invoke("run", "-", stdin="{").stderr)["code"] == "MALFORMED_JSON"
    stored = invoke("run", "-", stdin=json.dumps({"graph_id": "0" * 64}))
    assert (stored.exit_code, json.loads(stored.stderr)["code"]) == (1, "NOT_FOUND")
    assert invoke("run", "missing.json").exit_code == 2


def test_run_prints_the_backward_pass_as_a_table(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("run", "--steps", write(tmp_path, {"graph": NEURON}))
    lines = result.stdout.splitlines()
    assert lines[0].split("  ")[0] == "step" and len(lines) == 11
    assert lines[2].split() == ["1", "o", "tanh", "n", "1", "-", "o**2", "0.5", "1.0", "0.5", "0.5"]
    assert len({len(line) for line in lines}) == 1


def test_run_shows_no_control_characters_of_an_id_in_the_table(invoke: Invoke, tmp_path: Path) -> None:
    graph = {"nodes": [{"id": "\x1b[2Jx", "op": "input", "data": 1}, {"id": "y", "op": "neg", "inputs": ["\x1b[2Jx"]}]}
    assert "\x1b" not in invoke("run", "--steps", write(tmp_path, graph)).stdout


def test_run_has_no_steps_for_a_batch(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("run", "--steps", write(tmp_path, {"graph": NEURON, "inputs": {"b": [1, 2]}}))
    assert result.exit_code == 1
    assert "This run has no single backward pass" in result.stderr


def test_db_goes_up_and_down(invoke: Invoke, database_url: str) -> None:
    assert invoke("db", "current", CHAINRULE_DATABASE_URL=database_url).output == "none (outdated)\n"
    assert invoke("db", "upgrade", CHAINRULE_DATABASE_URL=database_url).exit_code == 0
    current = f"{schema.head()} (current)\n"
    assert invoke("db", "current", CHAINRULE_DATABASE_URL=database_url).output == current
    assert invoke("db", "downgrade", "base", CHAINRULE_DATABASE_URL=database_url).exit_code == 0
    assert invoke("db", "current", CHAINRULE_DATABASE_URL=database_url).output == "none (outdated)\n"


def test_db_explains_what_it_cannot_do(invoke: Invoke, sqlite_database_url: str) -> None:
    unknown = invoke("db", "upgrade", "nonsense", CHAINRULE_DATABASE_URL=sqlite_database_url)
    assert unknown.exit_code == 1
    assert "nonsense" in unknown.stderr
    down = invoke(
        "db", "current",
        CHAINRULE_DATABASE_URL="postgresql://me:hidden@127.0.0.1:1/none",
        CHAINRULE_DATABASE_TIMEOUT_SECONDS="1",
    )  # fmt: skip
    assert down.exit_code == 1
    assert "does not answer" in down.stderr
    assert "hidden" not in down.output


def test_serve_refuses_an_outdated_postgresql_and_names_the_command(invoke: Invoke, postgres_database_url: str) -> None:
    result = invoke("serve", CHAINRULE_DATABASE_URL=postgres_database_url)
    assert result.exit_code == 1
    assert "chainrule db upgrade" in result.stderr


def test_serve_refuses_a_schema_of_the_future(invoke: Invoke, database_url: str) -> None:
    database = Database(database_url)
    schema.upgrade(database)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    result = invoke("serve", CHAINRULE_DATABASE_URL=database_url)
    assert result.exit_code == 1
    assert "newer" in result.stderr


def test_a_bad_setting_stops_every_command_with_a_sentence(invoke: Invoke) -> None:
    for command in (["serve"], ["config"], ["db", "current"]):
        result = invoke(*command, CHAINRULE_PORT="http", CHAINRULE_MAX_NODES="0")
        assert result.exit_code == 1
        assert "CHAINRULE_PORT is 'http', which is not a whole number." in result.stderr
        assert "CHAINRULE_MAX_NODES is 0, but must be at least 1." in result.stderr


def test_config_prints_every_setting_with_its_value_and_default(invoke: Invoke) -> None:
    printed = invoke("config", CHAINRULE_PORT="9000").output
    for setting in settings():
        value = 9000 if setting.name == "port" else setting.default
        assert f"\n{setting.variable}={value}\n" in f"\n{printed}"
        assert f"{setting.meaning} Default: {setting.default}" in printed


def test_config_hides_passwords(invoke: Invoke) -> None:
    for url in ("postgresql://me:hidden@db/chainrule", "postgresql://db/chainrule?user=me&password=hidden"):
        printed = invoke("config", CHAINRULE_DATABASE_URL=url).output
        assert "hidden" not in printed
        assert "***@db/chainrule" in printed or "password=..." in printed


@pytest.mark.parametrize(
    ("url", "complaint"),
    [("mysql://u:hidden@h/d", "'mysql'"), ("nonsense", "is not a database URL"), ("", "is not a database URL"),
     ("sqlite://", "names no SQLite file"), ("sqlite:///:memory:", "names no SQLite file"),
     ("postgresql+psycopg2://u:hidden@h/d", "'postgresql+psycopg2'"), ("sqlite+aiosqlite:///x", "'sqlite+aiosqlite'"),
     ("postgresql://u:hidden@h:port/d", "is not a database URL")],
)  # fmt: skip
def test_a_bad_database_url_is_explained_without_its_password(invoke: Invoke, url: str, complaint: str) -> None:
    result = invoke("config", CHAINRULE_DATABASE_URL=url)
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert "hidden" not in result.output


def test_settings_come_from_their_variables() -> None:
    given = {"CHAINRULE_HOST": "::1", "CHAINRULE_WORKERS": "3", "CHAINRULE_DATABASE_URL": "postgres://h/d"}
    config = Config.from_environment(given)
    assert (config.host, config.workers, config.port) == ("::1", 3, 8000)
    assert config.database_url == "postgresql://h/d"
    assert Config.from_environment({}) == Config()
