"""Jacobian-vector products: how the outputs move when the inputs move along given tangents."""

from typing import Any

from engine.derivatives import jvp
from engine.graph import Graph
from service import references, wire
from service.errors import FieldError
from service.kinds.base import Options, Outcome
from service.kinds.gradient import outputs_of, with_gradient
from service.limits import Limits
from service.records import Run
from service.work import Work


def _check(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    return references.check_by_input(graph, options.get("tangents", {}), "tangents")


def _compute(graph: Graph, options: Options, work: Work) -> Outcome:
    _, tangents = jvp(
        graph,
        options["tangents"],
        options.get("inputs", {}),
        outputs=outputs_of(graph, options),
        checkpoint=work.checkpoint,
    )
    return Outcome({"tangents": tangents}, {})


def _answer(graph: Graph, run: Run) -> Any:
    return wire.mapping([graph.ids[k] for k in run.findings["outputs"]], run.arrays["tangents"])


JVP = with_gradient(
    "jvp",
    fields={"tangents"},
    needs={"tangents"},
    check_more=_check,
    compute_more=_compute,
    answer_more=_answer,
    member="tangents",
)
