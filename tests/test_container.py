"""The image's recipe and the composition around it, as far as they can be judged without running them."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.config import settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint comes with requirements-test.txt"
    result = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_every_setting_in_the_recipes_is_one_the_service_knows() -> None:
    recipes = DOCKERFILE + (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"CHAINRULE_[A-Z_]+", recipes)) <= {setting.variable for setting in settings()}


def test_the_base_images_agree_and_run_a_supported_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) > 1 and len(set(bases)) == 1
    version = re.match(r"python:(\d+)\.(\d+)-slim-", bases[0])
    assert version
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert (int(version[1]), int(version[2])) >= tuple(map(int, least.removeprefix(">=").split(".")))


def test_the_image_runs_the_service_directly_and_without_privileges() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    # Only the exec form hands SIGTERM to the service instead of to a shell.
    assert re.search(r'^ENTRYPOINT \["chainrule"\]$', last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*\\\n +CMD \[.*/livez.*\]$", last, re.MULTILINE)


def test_the_loops_are_compiled_for_the_processor_they_are_looked_up_for() -> None:
    places = re.findall(r"NUMBA_CPU_NAME=\S+ NUMBA_CPU_FEATURES=\S* NUMBA_CACHE_DIR=\S+", DOCKERFILE)
    assert len(places) == 2 and len(set(places)) == 1


def test_the_build_sees_nothing_but_what_it_copies() -> None:
    first, *let_through = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    assert first == "*"
    assert {line[1:] for line in let_through if line.startswith("!")} == {
        "engine",
        "service",
        "migrations",
        "pyproject.toml",
        "README.md",
        "requirements.txt",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service and "cap_add" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_no_password_is_written_down() -> None:
    for name, service in SERVICES.items():
        for variable, value in service["environment"].items():
            if "PASSWORD" in variable or "://" in value:
                assert "${POSTGRES_PASSWORD:?" in value, (name, variable)


def test_the_schema_is_migrated_once_before_the_service_starts() -> None:
    assert SERVICES["migrate"]["command"] == ["db", "upgrade"]
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["service"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert "healthcheck" in SERVICES["database"]


def test_the_cluster_has_a_network_of_its_own_and_no_secrets() -> None:
    in_it = {name for name, service in SERVICES.items() if "cluster" in service.get("networks", ["default"])}
    assert in_it == {"service", "scheduler", "worker"}
    assert COMPOSE["networks"]["cluster"] == {"internal": True}
    for name in ("scheduler", "worker"):
        service = SERVICES[name]
        assert (service["profiles"], service["networks"]) == (["distributed"], ["cluster"])
        assert not service["environment"] and "ports" not in service
        assert service["image"] == SERVICES["service"]["image"]


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_the_clusters_commands_are_understood(name: str) -> None:
    service = SERVICES[name]
    assert service["entrypoint"] == ["dask"]
    program, *arguments = service["command"]
    understood = import_module(f"distributed.cli.dask_{program}").main.make_context(program, arguments).params
    assert understood["preload_argv"] == ()  # where options end up that there are not
    assert understood["dashboard"] is False
    for module in understood["preload"]:
        assert find_spec(module), module


def test_the_image_has_what_the_cluster_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[\w.-]+", requirement) for requirement in project["optional-dependencies"]["distributed"]]
    locked = (ROOT / "requirements.txt").read_text()
    assert names and all(name and f"\n{name[0]}==" in locked for name in names)


def test_the_service_is_told_of_the_scheduler_by_the_name_that_it_has() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "CHAINRULE_DASK_SCHEDULER=tcp://scheduler:8786 docker compose" in text
    assert "CHAINRULE_DASK_SCHEDULER" in SERVICES["service"]["environment"]
    assert "tcp://scheduler:8786" in SERVICES["worker"]["command"]


def test_the_database_outlives_its_container() -> None:
    (volume,) = SERVICES["database"]["volumes"]
    assert volume.split(":")[0] in COMPOSE["volumes"]
