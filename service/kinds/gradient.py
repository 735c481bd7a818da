"""Gradient runs: the value of every node, and d(seeded outputs)/d(node) for every node but constants.

Every other kind answers this too, and one member more: `with_gradient` makes such a kind.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.derivatives import gradient
from engine.graph import Graph
from engine.numbers import number_to_wire
from engine.operations import CONSTANT, INPUT
from service import references, wire
from service.errors import FieldError
from service.forms import Form
from service.kinds import batch
from service.kinds.base import Kind, Options, Outcome
from service.limits import Limits
from service.records import Run
from service.work import Work


def check(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    """Find what is wrong with the fields that all kinds share."""
    outputs = options.get("outputs")
    select = options.get("select")
    return [
        *references.check_inputs(graph, options.get("inputs", {})),
        *references.check_nodes(graph, outputs or [], "outputs"),
        *references.check_seeds(graph, options.get("seeds", {}), outputs),
        *references.check_nodes(graph, select if isinstance(select, list) else [], "select"),
    ]


def outputs_of(graph: Graph, options: Options) -> list[str]:
    """Return the ids of the outputs that a request asks for."""
    return options.get("outputs") or list(options.get("seeds", {})) or [graph.ids[k] for k in graph.outputs]


def compute(graph: Graph, options: Options, work: Work) -> Outcome:
    """Compute values and gradients."""
    seeds = options.get("seeds", {})
    outputs = outputs_of(graph, options)
    found = gradient(
        graph,
        options.get("inputs", {}),
        outputs=outputs,
        seeds={node: seeds.get(node, 1.0) for node in outputs},
        checkpoint=work.checkpoint,
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


def answer(graph: Graph, run: Run, form: Form) -> dict[str, Any]:
    """Show the members that all kinds share."""
    inputs = run.options.get("inputs", {})
    if not run.arrays:
        return {"inputs": inputs}
    values, gradients = run.arrays["values"], run.arrays["gradients"]
    outputs = run.findings["outputs"]
    names = [graph.ids[position] for position in outputs]
    return {
        "inputs": inputs,
        "seeds": wire.mapping(names, run.arrays["seeds"]),
        "outputs": {
            name: number_to_wire(float(values[position])) for name, position in zip(names, outputs, strict=True)
        },
        **_nodes(graph, _selected(graph, run.options.get("select", "all")), values, gradients, form),
        "nonsmooth": [graph.ids[position] for position in run.findings["nonsmooth"]],
        "disconnected": [graph.ids[position] for position in run.findings["disconnected"]],
        "nonfinite": batch.nonfinite(graph, *run.findings["nonfinite"]),
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
    constants = constant.nonzero()[0].tolist()
    if form is Form.COLUMNS:
        column: list[Any] = wire.numbers(gradients)
        for index in constants:
            column[index] = None
        return {"ids": list(ids), "values": wire.numbers(values), "gradients": column}
    by_id = wire.mapping(ids, gradients)
    for index in constants:
        del by_id[ids[index]]
    return {"values": wire.mapping(ids, values), "gradients": by_id}


def _check_either(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    return [*check(graph, options, limits), *batch.check(graph, options, limits)]


def _compute_either(graph: Graph, options: Options, work: Work) -> Outcome:
    if batch.asked(options):
        return batch.compute(graph, options, outputs_of(graph, options), work)
    return compute(graph, options, work)


def _answer_either(graph: Graph, run: Run, form: Form) -> dict[str, Any]:
    return batch.answer(graph, run, form) if "rows" in run.findings else answer(graph, run, form)


GRADIENT = Kind(
    name="gradient",
    fields=frozenset({"inputs", "outputs", "seeds", "select", "reduce"}),
    check=_check_either,
    compute=_compute_either,
    answer=_answer_either,
    kept=batch.kept,
    rows=batch.rows,
    cost=batch.cost,
)


def with_gradient(
    name: str,
    *,
    fields: set[str],
    needs: set[str] = frozenset(),  # type: ignore[assignment]
    check_more: Callable[[Graph, Options, Limits], list[FieldError]],
    compute_more: Callable[[Graph, Options, Work], Outcome],
    answer_more: Callable[[Graph, Run], Any],
    member: str | None = None,
    cost: Callable[[Graph, Options], int] = lambda graph, options: len(graph),
) -> Kind:
    """Make a kind that answers what a gradient run does, and the member of its own name."""

    def check_all(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
        errors = [*check(graph, options, limits), *batch.refuse(options, name)]
        return [*errors, *check_more(graph, options, limits)]

    def compute_all(graph: Graph, options: Options, work: Work) -> Outcome:
        common, more = compute(graph, options, work), compute_more(graph, options, work)
        return Outcome({**common.arrays, **more.arrays}, {**common.findings, **more.findings})

    def answer_all(graph: Graph, run: Run, form: Form) -> dict[str, Any]:
        members: Mapping[str, Any] = answer(graph, run, form)
        return {**members, member or name: answer_more(graph, run)} if run.arrays else dict(members)

    return Kind(
        name=name,
        fields=frozenset({"inputs", "outputs", "select", *fields}),
        needs=frozenset(needs),
        check=check_all,
        compute=compute_all,
        answer=answer_all,
        cost=cost,
    )
