"""Checks that what a run asks for names nodes of its graph."""

from collections.abc import Iterable, Mapping, Sequence

from engine.errors import escape
from engine.graph import Graph
from engine.numbers import quote
from engine.operations import INPUT
from service.errors import FieldError
from service.limits import Limits


def check_inputs(graph: Graph, inputs: Mapping[str, object]) -> list[FieldError]:
    """Bindings name inputs, and every input has data: its own or a binding."""
    return [*_misplaced_bindings(graph, inputs), *_inputs_without_data(graph, inputs)]


def _misplaced_bindings(graph: Graph, inputs: Mapping[str, object]) -> Iterable[FieldError]:
    for node in inputs:
        position = find(graph, node)
        if position is None:
            yield _unknown(node, pointer("inputs", node))
        elif graph.ops[position] != INPUT:
            detail = f"Only inputs can be bound; {quote(node)} is none."
            yield FieldError("INVALID_VALUE", detail, pointer("inputs", node))


def _inputs_without_data(graph: Graph, inputs: Mapping[str, object]) -> Iterable[FieldError]:
    leaves = graph.tape.inputs
    for position in leaves[~graph.has_data[leaves]].tolist():
        node = graph.ids[position]
        if node not in inputs:
            detail = f"Input {quote(node)} has no data in the graph and no value in the request."
            yield FieldError("MISSING_DATA", detail, pointer("inputs", node))


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
        where = pointer("seeds", node)
        if find(graph, node) is None:
            errors.append(_unknown(node, where))
        elif allowed is not None and node not in allowed:
            errors.append(FieldError("INVALID_VALUE", f"{quote(node)} is not among the outputs.", where))
    return errors


def check_wrt(graph: Graph, wrt: Sequence[str] | None) -> list[FieldError]:
    """What to differentiate by are inputs, each named once."""
    return check_inputs_named(graph, wrt or [], "wrt")


def wrt_count(graph: Graph, wrt: Sequence[str] | None) -> int:
    """Return how many inputs are differentiated by: those named, or all."""
    return len(wrt) if wrt else int((graph.ops == INPUT).sum())


def check_inputs_named(graph: Graph, nodes: Sequence[str], field: str) -> list[FieldError]:
    """A list of ids names inputs, each once."""
    errors = check_nodes(graph, nodes, field)
    return errors or [
        FieldError("INVALID_VALUE", f"{quote(node)} is no input, and {field} are inputs.", f"/{field}/{index}")
        for index, node in enumerate(nodes)
        if graph.ops[graph.position(node)] != INPUT
    ]


def check_node(graph: Graph, node: str, field: str) -> list[FieldError]:
    """An id names a node."""
    return [] if find(graph, node) is not None else [_unknown(node, f"/{field}")]


def check_by_input(graph: Graph, numbers: Mapping[str, float], field: str) -> list[FieldError]:
    """Numbers by node id are by inputs' ids."""
    errors = []
    for node in numbers:
        position = find(graph, node)
        if position is None:
            errors.append(_unknown(node, pointer(field, node)))
        elif graph.ops[position] != INPUT:
            errors.append(
                FieldError("INVALID_VALUE", f"Only inputs have {field}; {quote(node)} is none.", pointer(field, node))
            )
    return errors


def check_cells(cells: int, limits: Limits, where: str, what: str) -> list[FieldError]:
    """A computation stays within the limit of cells; `what` says what it would take."""
    if cells <= limits.max_batch_cells:
        return []
    detail = f"{what} make {cells} cells, more than this service's {limits.max_batch_cells}."
    return [FieldError("LIMIT_EXCEEDED", detail, where)]


def check_numbers(numbers: int, limits: Limits, where: str, what: str) -> list[FieldError]:
    """An answer stays within the limit of numbers; `what` says what it would hold."""
    if numbers <= limits.max_numbers:
        return []
    detail = f"{what}: {numbers} numbers are more than this service's {limits.max_numbers} for one answer."
    return [FieldError("LIMIT_EXCEEDED", detail, where)]


def pointer(field: str, node: str) -> str:
    """Return the JSON pointer to what a field of the request says of a node."""
    return f"/{field}/{escape(node)}"


def find(graph: Graph, node: str) -> int | None:
    """Return the position of a node, or None if the graph has no such node."""
    try:
        return graph.position(node)
    except KeyError:
        return None


def _unknown(node: str, where: str) -> FieldError:
    return FieldError("UNKNOWN_NODE", f"The graph has no node {quote(node)}.", where)
