"""Check runs: the gradient of the seeded outputs beside an independent numerical one."""

from typing import Any

import numpy as np

from engine.check import POINTS, check
from engine.graph import Graph
from service import references
from service.errors import FieldError
from service.kinds.base import Options, Outcome
from service.kinds.gradient import outputs_of, with_gradient
from service.limits import Limits
from service.records import Run
from service.wire import to_json
from service.work import Work


def _check(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    inputs = references.wrt_count(graph, options.get("wrt"))
    what = f"{POINTS} points for each of {inputs} inputs over {len(graph)} nodes"
    return references.check_wrt(graph, options.get("wrt")) or references.check_cells(
        _cost(graph, options), limits, "/wrt", what
    )


def _cost(graph: Graph, options: Options) -> int:
    return POINTS * references.wrt_count(graph, options.get("wrt")) * len(graph)


def _compute(graph: Graph, options: Options, work: Work) -> Outcome:
    outputs, seeds = outputs_of(graph, options), options.get("seeds", {})
    found = check(
        graph,
        options.get("inputs", {}),
        outputs=outputs,
        seeds={node: seeds.get(node, 1.0) for node in outputs},
        wrt=options.get("wrt"),
        checkpoint=work.checkpoint,
    )
    compared = (found.analytic, found.numeric, found.relative_error, found.error_estimate)
    return Outcome(
        {"check": np.stack(compared)},
        {"checked": found.positions.tolist(), "kinked": found.kinked.tolist(), "passed": found.passed.tolist()},
    )


def _answer(graph: Graph, run: Run) -> Any:
    findings = run.findings
    rows = zip(findings["checked"], run.arrays["check"].T.tolist(), findings["kinked"], findings["passed"], strict=True)
    nodes = {
        graph.ids[position]: {
            "analytic": analytic,
            "numeric": numeric,
            "relative_error": relative_error,
            "error_estimate": error_estimate,
            "kinked": kinked,
            "passed": passed,
        }
        for position, (analytic, numeric, relative_error, error_estimate), kinked, passed in rows
    }
    return {"passed": all(findings["passed"]), "nodes": to_json(nodes)}


CHECK = with_gradient(
    "check", fields={"seeds", "wrt"}, check_more=_check, compute_more=_compute, answer_more=_answer, cost=_cost
)
