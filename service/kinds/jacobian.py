"""Jacobian runs: d(output)/d(input) for all of the outputs and of the inputs asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.derivatives import jacobian, wrt_positions
from engine.graph import Graph
from service import references, wire
from service.errors import FieldError
from service.kinds.base import Options, Outcome
from service.kinds.gradient import outputs_of, with_gradient
from service.limits import Limits
from service.records import Run
from service.work import Work


def _check(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    wrong = references.check_wrt(graph, options.get("wrt"))
    rows, columns = _shape(graph, options)
    sweeps = min(rows, columns)
    return wrong or [
        *references.check_cells(_cost(graph, options), limits, "/wrt", f"{sweeps} sweeps over {len(graph)} nodes"),
        *references.check_numbers(rows * columns, limits, "/wrt", f"A matrix of {rows} by {columns}"),
    ]


def _shape(graph: Graph, options: Options) -> tuple[int, int]:
    rows = len(options.get("outputs") or graph.outputs)
    return rows, references.wrt_count(graph, options.get("wrt"))


def _cost(graph: Graph, options: Options) -> int:
    return min(_shape(graph, options)) * len(graph)


def _compute(graph: Graph, options: Options, work: Work) -> Outcome:
    columns = wrt_positions(graph, options.get("wrt")).tolist()
    outputs, wrt = outputs_of(graph, options), [graph.ids[position] for position in columns]
    task = partial(_block, graph, options.get("inputs", {}), outputs, wrt)
    blocks = work.spread(task, lambda part: part, min(len(outputs), len(wrt)), len(graph))
    matrix = np.concatenate(blocks, axis=0 if _by_rows(outputs, wrt) else 1)
    return Outcome({"jacobian": matrix}, {"wrt": columns})


def _by_rows(outputs: list[str], wrt: list[str]) -> bool:
    return len(outputs) <= len(wrt)


def _block(
    graph: Graph,
    inputs: Mapping[str, float],
    outputs: list[str],
    wrt: list[str],
    part: slice,
    *,
    checkpoint: Callable[[], None],
) -> NDArray[np.float64]:
    """Return the rows, or the columns, of one part: of those that are fewer, for a sweep each."""
    if _by_rows(outputs, wrt):
        outputs = outputs[part]
    else:
        wrt = wrt[part]
    return jacobian(graph, inputs, outputs=outputs, wrt=wrt, checkpoint=checkpoint)[1]


def _answer(graph: Graph, run: Run) -> Any:
    return {
        "rows": [graph.ids[position] for position in run.findings["outputs"]],
        "columns": [graph.ids[position] for position in run.findings["wrt"]],
        "matrix": [wire.numbers(row) for row in run.arrays["jacobian"]],
    }


JACOBIAN = with_gradient(
    "jacobian", fields={"wrt"}, check_more=_check, compute_more=_compute, answer_more=_answer, cost=_cost
)
