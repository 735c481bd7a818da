"""Gradient runs: the value of every node, and d(seeded outputs)/d(node) for every node but constants."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.derivatives import gradient
from engine.graph import Graph
from engine.operations import CONSTANT, INPUT
from service import references, wire
from service.errors import FieldError
from service.forms import Form
from service.kinds.base import Kind, Options, Outcome
from service.records import Run


def _check(graph: Graph, options: Options) -> list[FieldError]:
    outputs = options.get("outputs")
    select = options.get("select")
    return [
        *references.check_inputs(graph, options.get("inputs", {})),
        *references.check_nodes(graph, outputs or [], "outputs"),
        *references.check_seeds(graph, options.get("seeds", {}), outputs),
        *references.check_nodes(graph, select if isinstance(select, list) else [], "select"),
    ]


def _compute(graph: Graph, options: Options) -> Outcome:
    seeds = options.get("seeds", {})
    outputs = options.get("outputs") or list(seeds) or [graph.ids[position] for position in graph.outputs]
    found = gradient(
        graph,
        options.get("inputs", {}),
        outputs=outputs,
        seeds={node: seeds.get(node, 1.0) for node in outputs},
    )
    return Outcome(
        arrays={"values": found.values, "gradients": found.gradients, "seeds": found.seeds},
        findings={
            "outputs": found.outputs.tolist(),
            "nonsmooth": found.nonsmooth,
            "disconnected": found.disconnected,
            "nonfinite": list(found.nonfinite),
        },
    )


def _answer(graph: Graph, run: Run, form: Form) -> dict[str, Any]:
    inputs = run.options.get("inputs", {})
    if run.state != "succeeded":
        return {"inputs": inputs}
    values, gradients = run.arrays["values"], run.arrays["gradients"]
    outputs = run.findings["outputs"]
    names = [graph.ids[position] for position in outputs]
    return {
        "inputs": inputs,
        "seeds": wire.mapping(names, run.arrays["seeds"]),
        "outputs": wire.mapping(names, values[outputs]),
        **_nodes(graph, _selected(graph, run.options.get("select", "all")), values, gradients, form),
        "nonsmooth": [graph.ids[position] for position in run.findings["nonsmooth"]],
        "disconnected": [graph.ids[position] for position in run.findings["disconnected"]],
        "nonfinite": _nonfinite(graph, *run.findings["nonfinite"]),
    }


def _selected(graph: Graph, select: str | list[str]) -> NDArray[np.intp] | None:
    """Return the positions of the nodes to show, in document order; None for all."""
    if select == "all":
        return None
    if select == "leaves":
        return np.flatnonzero((graph.ops == INPUT) | (graph.ops == CONSTANT))
    return np.sort(np.array([graph.position(node) for node in select], dtype=np.intp))


def _nodes(
    graph: Graph,
    shown: NDArray[np.intp] | None,
    values: NDArray[np.float64],
    gradients: NDArray[np.float64],
    form: Form,
) -> dict[str, Any]:
    ids = graph.ids
    constant = graph.ops == CONSTANT
    if shown is not None:
        ids = [ids[position] for position in shown]
        values, gradients, constant = values[shown], gradients[shown], constant[shown]
    constants = np.flatnonzero(constant).tolist()
    if form is Form.COLUMNS:
        column: list[Any] = wire.numbers(gradients)
        for index in constants:
            column[index] = None
        return {"ids": list(ids), "values": wire.numbers(values), "gradients": column}
    by_id = wire.mapping(ids, gradients)
    for index in constants:
        del by_id[ids[index]]
    return {"values": wire.mapping(ids, values), "gradients": by_id}


def _nonfinite(graph: Graph, value: int | None, gradient: int | None) -> dict[str, str | None] | None:
    if value is None and gradient is None:
        return None
    return {
        "value": None if value is None else graph.ids[value],
        "gradient": None if gradient is None else graph.ids[gradient],
    }


GRADIENT = Kind(
    name="gradient",
    fields=frozenset({"inputs", "outputs", "seeds", "select"}),
    check=_check,
    compute=_compute,
    answer=_answer,
)
