"""Second derivatives of one output: all of them (hessian), or their product with a vector (hvp)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.derivatives import hessian_columns, hvp, mirrored, wrt_positions
from engine.graph import Graph
from engine.operations import INPUT
from service import references, wire
from service.errors import FieldError
from service.kinds.base import Options, Outcome
from service.kinds.gradient import outputs_of, with_gradient
from service.limits import Limits
from service.records import Run
from service.work import Work


def _check_one_output(graph: Graph, options: Options) -> list[FieldError]:
    outputs = outputs_of(graph, options)
    if len(outputs) == 1:
        return []
    detail = f"Second derivatives are those of one output; here are {len(outputs)}: name one in outputs."
    return [FieldError("INVALID_VALUE", detail, "/outputs")]


def _check_hessian(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    wrong = [*_check_one_output(graph, options), *references.check_wrt(graph, options.get("wrt"))]
    columns = references.wrt_count(graph, options.get("wrt"))
    return wrong or [
        *references.check_cells(_cost(graph, options), limits, "/wrt", f"{columns} columns over {len(graph)} nodes"),
        *references.check_numbers(columns * columns, limits, "/wrt", f"A matrix of {columns} by {columns}"),
    ]


def _cost(graph: Graph, options: Options) -> int:
    return references.wrt_count(graph, options.get("wrt")) * len(graph)


def _compute_hessian(graph: Graph, options: Options, work: Work) -> Outcome:
    (output,) = outputs_of(graph, options)
    wrt = options.get("wrt")
    task = partial(_block, graph, options.get("inputs", {}), output, wrt)
    blocks = work.spread(task, lambda part: part, references.wrt_count(graph, options.get("wrt")), len(graph))
    matrix = mirrored(np.concatenate(blocks, axis=1))
    return Outcome({"hessian": matrix}, {"wrt": wrt_positions(graph, wrt).tolist()})


def _block(
    graph: Graph,
    inputs: Mapping[str, float],
    output: str,
    wrt: list[str] | None,
    part: slice,
    *,
    checkpoint: Callable[[], None],
) -> NDArray[np.float64]:
    """Return the columns of one part."""
    return hessian_columns(graph, inputs, output=output, wrt=wrt, columns=part, checkpoint=checkpoint)[1]


def _answer_hessian(graph: Graph, run: Run) -> Any:
    return {
        "wrt": [graph.ids[position] for position in run.findings["wrt"]],
        "matrix": [wire.numbers(row) for row in run.arrays["hessian"]],
    }


HESSIAN = with_gradient(
    "hessian",
    fields={"wrt"},
    check_more=_check_hessian,
    compute_more=_compute_hessian,
    answer_more=_answer_hessian,
    cost=_cost,
)


def _check_hvp(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    vector = options.get("vector", {})
    return [*_check_one_output(graph, options), *references.check_by_input(graph, vector, "vector")]


def _compute_hvp(graph: Graph, options: Options, work: Work) -> Outcome:
    (output,) = outputs_of(graph, options)
    _, product = hvp(graph, options["vector"], options.get("inputs", {}), output=output, checkpoint=work.checkpoint)
    return Outcome({"hvp": product}, {})


def _answer_hvp(graph: Graph, run: Run) -> Any:
    return wire.mapping([graph.ids[k] for k in np.flatnonzero(graph.ops == INPUT)], run.arrays["hvp"])


HVP = with_gradient(
    "hvp",
    fields={"vector"},
    needs={"vector"},
    check_more=_check_hvp,
    compute_more=_compute_hvp,
    answer_more=_answer_hvp,
)
