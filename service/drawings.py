"""Use cases about pictures of graphs and runs."""

from enum import StrEnum
from http import HTTPStatus
from typing import Any

import numpy as np

from engine import graphviz
from engine.drawing import to_dot, to_mermaid
from engine.graph import Graph
from engine.numbers import read_number
from service.errors import Problem
from service.explanations import Numbers, node_numbers
from service.forms import Form
from service.records import Run
from service.runs import answer


class DrawingFormat(StrEnum):
    """What a picture can be asked for as."""

    SVG = "svg"
    DOT = "dot"
    MERMAID = "mermaid"


class DrawingTooLarge(Problem):
    """The graph has more nodes than a picture can show."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "DRAWING_TOO_LARGE"


class DrawingTooSlow(Problem):
    """No layout was found in the time that a picture may take."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "DRAWING_TOO_SLOW"


class GraphvizMissing(Problem):
    """The program that makes SVG is not installed where the service runs."""

    status = HTTPStatus.NOT_IMPLEMENTED
    code = "GRAPHVIZ_MISSING"


class Drawings:
    """Draws, within limits."""

    def __init__(self, *, max_nodes: int, seconds: float) -> None:
        self._max_nodes = max_nodes
        self._seconds = seconds

    def draw(self, graph: Graph, run: Run | None, form: DrawingFormat) -> str:
        """Return the picture of a graph, with the numbers of a run on it."""
        if len(graph) > self._max_nodes:
            raise DrawingTooLarge(
                f"The graph has {len(graph)} nodes; pictures show at most {self._max_nodes}. "
                "A run's nodes are listed under /v1/runs/{id}/nodes."
            )
        values, gradients = (None, None) if run is None else _numbers(run, graph)
        if form is DrawingFormat.MERMAID:
            return to_mermaid(graph, values, gradients)
        dot = to_dot(graph, values, gradients)
        return self._render(dot) if form is DrawingFormat.SVG else dot

    def _render(self, dot: str) -> str:
        try:
            return graphviz.render(dot, seconds=self._seconds)
        except graphviz.NotInstalled as error:
            raise GraphvizMissing(f"{error} The formats dot and mermaid need no program.") from None
        except graphviz.TooSlow as error:
            raise DrawingTooSlow(f"{error}. The formats dot and mermaid leave the layout to you.") from None


def _numbers(run: Run, graph: Graph) -> tuple[Numbers, Numbers | None]:
    """Return the numbers that a run has for nodes; masked arrays where it has them for some, or one for each row."""
    values, gradients = node_numbers(run, graph)
    if values is not None:
        return values, gradients
    shown = answer(run, graph, Form.NODES)
    some_values = np.ma.masked_array(graph.data.copy(), mask=~graph.has_data)
    some_gradients = np.ma.masked_all(len(graph))  # type: ignore[no-untyped-call]
    varying: dict[str, Any] = {node: [] for node in [*run.options.get("data", ()), *run.findings.get("data", ())]}
    for numbers, found in (
        (some_values, {**shown["inputs"], **varying, **shown.get("values", {})}),
        (some_gradients, shown.get("gradients", {})),
    ):
        for node, number in found.items():
            numbers[graph.position(node)] = np.ma.masked if isinstance(number, list) else read_number(number)
    return some_values, some_gradients
