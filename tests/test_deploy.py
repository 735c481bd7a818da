"""What operators deploy and read: manifests, the dashboard, the pages about running and security."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes_validate
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from service.config import settings
from service.telemetry import metrics

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "deploy/kubernetes"
MANIFESTS: list[dict[str, Any]] = [
    document for file in sorted(KUBERNETES.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())
]
PODS = [document["spec"]["template"] for document in MANIFESTS if document["kind"] in ("Deployment", "Job")]
DASHBOARD = json.loads((ROOT / "deploy/monitoring/chainrule.json").read_text())
CLUSTER = {"chainrule-scheduler", "chainrule-worker"}
VERSION = "1.34"


def of_kind(kind: str, name: str = "chainrule") -> dict[str, Any]:
    (found,) = (document for document in MANIFESTS if (document["kind"], document["metadata"]["name"]) == (kind, name))
    return found


def name_of(pod: dict[str, Any]) -> str:
    name: str = pod["metadata"]["labels"]["app.kubernetes.io/name"]
    return name


@pytest.mark.parametrize(
    "document", MANIFESTS, ids=lambda document: f"{document['kind']} {document['metadata']['name']}"
)
def test_a_manifest_is_what_kubernetes_takes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_a_wrong_manifest_is_noticed() -> None:
    wrong = of_kind("Service") | {"spec": {"ports": "http"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("pod", PODS, ids=name_of)
def test_pods_are_confined_and_limited(pod: dict[str, Any]) -> None:
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["automountServiceAccountToken"] is False
    for container in pod["spec"]["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
        variables = {entry["name"]: entry for entry in container.get("env", [])}
        assert variables.keys() <= {setting.variable for setting in settings()}
        # It comes from a secret, and workers have none.
        assert ("CHAINRULE_DATABASE_URL" in variables) == (name_of(pod) not in CLUSTER)
        assert "value" not in variables.get("CHAINRULE_DATABASE_URL", {})


def policy(name: str) -> set[str]:
    """The pods that a network policy is about."""
    (expression,) = of_kind("NetworkPolicy", name)["spec"]["podSelector"]["matchExpressions"]
    return set(expression["values"])


def test_the_cluster_is_reached_by_the_service_and_itself_alone_and_reaches_nothing_else() -> None:
    assert policy("chainrule-dask") == CLUSTER
    spec = of_kind("NetworkPolicy", "chainrule-dask")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    for rule, others in ((spec["ingress"][0]["from"], {"chainrule"}), (spec["egress"][1]["to"], set())):
        ((reached,),) = (peer["podSelector"]["matchExpressions"] for peer in rule)
        assert set(reached["values"]) == CLUSTER | others


@pytest.mark.parametrize("name", sorted(CLUSTER))
def test_the_clusters_commands_are_understood(name: str) -> None:
    (container,) = of_kind("Deployment", name)["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["dask"]
    program, *arguments = container["args"]
    understood = import_module(f"distributed.cli.dask_{program}").main.make_context(program, arguments).params
    assert understood["preload_argv"] == ()  # where options end up that there are not
    (port,) = container["ports"]
    assert understood.get("worker_port") in (None, str(port["containerPort"]))
    assert understood.get("scheduler") in (None, "tcp://chainrule-scheduler:8786")


def test_the_policies_and_the_budget_speak_of_the_pods_that_there_are() -> None:
    assert policy("chainrule") == {name_of(pod) for pod in PODS} - CLUSTER
    deployed = of_kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == deployed
    assert of_kind("Service")["spec"]["selector"] == deployed
    assert of_kind("PodDisruptionBudget")["spec"]["minAvailable"] < of_kind("Deployment")["spec"]["replicas"]


class Family(NamedTuple):
    """A metric that /metrics shows."""

    name: str
    type: str
    labels: set[str]


def declared() -> list[Family]:
    """Every metric there is, used or not."""
    kept = [
        value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase) and not value._labelvalues
    ]
    families = [Family(metric._name, metric._type, set(metric._labelnames)) for metric in kept]
    current = metrics._Current(lambda: 0).collect()
    return [*families, *(Family(each.name, each.type, set(each.samples[0].labels)) for each in current)]


def series() -> dict[str, set[str]]:
    """Names of the time series that /metrics has, with their labels."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
    return {
        family.name + suffix: family.labels | ({"le"} if suffix == "_bucket" else set())
        for family in declared()
        for suffix in suffixes[family.type]
    }


def test_the_dashboard_asks_only_for_metrics_and_labels_that_exist() -> None:
    known = series()
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert queries
    asked = set()
    for query in queries:
        names = set(re.findall(r"chainrule_\w+", query))
        assert names and names <= known.keys(), query
        grouped = {label for group in re.findall(r"by \(([\w, ]+)\)", query) for label in re.split(r",\s*", group)}
        matched = set(re.findall(r"(\w+)=~?\"", query))
        for name in names:
            assert grouped | matched <= known[name], query
        asked |= names
    families = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in asked}
    assert families == {family.name for family in declared()}  # and none is left out


def test_the_page_about_running_names_every_metric() -> None:
    rows = set(re.findall(r"^\| `(chainrule_\w+)` \|", (ROOT / "docs/running.md").read_text(), re.MULTILINE))
    assert rows == {family.name + ("_total" if family.type == "counter" else "") for family in declared()}


def test_the_threat_model_names_every_limit() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    limits = {setting.variable for setting in settings() if setting.name.startswith(("max_", "drawing_"))}
    assert [limit for limit in sorted(limits) if f"`{limit}`" not in text] == []
    mentioned = set(re.findall(r"CHAINRULE_[A-Z_]+", text + (ROOT / "docs/running.md").read_text()))
    assert mentioned <= {setting.variable for setting in settings()}
