"""Checks that what a run asks for names nodes of its graph."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from engine.errors import escape
from engine.graph import Graph
from engine.numbers import quote
from engine.operations import INPUT
from service.errors import FieldError


def check_inputs(graph: Graph, inputs: Mapping[str, object]) -> list[FieldError]:
    """Bindings name inputs, and every input has data: its own or a binding."""
    return [*_misplaced_bindings(graph, inputs), *_inputs_without_data(graph, inputs)]


def _misplaced_bindings(graph: Graph, inputs: Mapping[str, object]) -> Iterable[FieldError]:
    for node in inputs:
        pointer = f"/inputs/{escape(node)}"
        position = find(graph, node)
        if position is None:
            yield _unknown(node, pointer)
        elif graph.ops[position] != INPUT:
            yield FieldError("INVALID_VALUE", f"Only inputs can be bound; {quote(node)} is none.", pointer)


def _inputs_without_data(graph: Graph, inputs: Mapping[str, object]) -> Iterable[FieldError]:
    for position in np.flatnonzero((graph.ops == INPUT) & ~graph.has_data).tolist():
        node = graph.ids[position]
        if node not in inputs:
            detail = f"Input {quote(node)} has no data in the graph and no value in the request."
            yield FieldError("MISSING_DATA", detail, f"/inputs/{escape(node)}")


def check_nodes(graph: Graph, nodes: Sequence[str], field: str) -> list[FieldError]:
    """A list of ids names nodes, each once."""
    errors = []
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        if find(graph, node) is None:
            errors.append(_unknown(node, f"/{field}/{index}"))
        elif node in seen:
            errors.append(FieldError("DUPLICATE_ID", f"{quote(node)} is named twice in {field}.", f"/{field}/{index}"))
        seen.add(node)
    return errors


def check_seeds(graph: Graph, seeds: Mapping[str, float], outputs: Sequence[str] | None) -> list[FieldError]:
    """Seeds name nodes; beside `outputs`, they name outputs."""
    errors = []
    allowed = None if outputs is None else set(outputs)
    for node in seeds:
        pointer = f"/seeds/{escape(node)}"
        if find(graph, node) is None:
            errors.append(_unknown(node, pointer))
        elif allowed is not None and node not in allowed:
            errors.append(FieldError("INVALID_VALUE", f"{quote(node)} is not among the outputs.", pointer))
    return errors


def find(graph: Graph, node: str) -> int | None:
    """Return the position of a node, or None if the graph has no such node."""
    try:
        return graph.position(node)
    except KeyError:
        return None


def _unknown(node: str, pointer: str) -> FieldError:
    return FieldError("UNKNOWN_NODE", f"The graph has no node {quote(node)}.", pointer)
