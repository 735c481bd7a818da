"""Use cases about a run's numbers, node by node and step by step."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.explain import Step, Steps, brief
from engine.graph import Graph
from engine.notation import visible
from engine.numbers import number_to_wire
from engine.operations import CONSTANT, INPUT, NAMES, resolve, suggest
from service.errors import FieldError, InvalidRequest, NotFound
from service.forms import Form
from service.paging import MAX_PAGE_SIZE, Page, make_token, read_token
from service.records import Run
from service.runs import answer

EXPLAINED_STEPS = 2000
"""As many steps as an explanation brings along: more than any drawing has."""

SORTS = ("id", "op", "value", "gradient", "abs_gradient")

Numbers = NDArray[np.float64]


def node_numbers(run: Run, graph: Graph) -> tuple[Numbers | None, Numbers | None]:
    """Return the values and gradients float64[n] of a run; None for what it has not of every single node."""
    if "rows" in run.findings:  # a batch holds what was selected of it, reduced perhaps: by chance n numbers, too
        return None, None
    found = (run.arrays.get(name) for name in ("values", "gradients"))
    values, gradients = (array if array is not None and array.shape == (len(graph),) else None for array in found)
    return values, gradients


def nodes_page(
    run: Run, graph: Graph, *, sort: str | None, op: str | None, page_size: int, page_token: str | None
) -> Page[dict[str, Any]]:
    """Return one page of a run's nodes: in document order, or sorted by one of SORTS, descending after a `-`.

    Ties are in document order; numbers that are NaN, and gradients that constants do not have, come last.
    """
    values, gradients = node_numbers(run, graph)
    if values is None:
        raise _nothing(run, "values of single nodes")
    filters = {"run": str(run.id), "sort": sort, "op": op}
    start = 0 if page_token is None else int(read_token(page_token, "nodes", filters)[0])
    shown = np.arange(len(graph))
    if op is not None:
        shown = np.flatnonzero(graph.ops == _opcode(op))
    if sort is not None:
        shown = _sorted(graph, shown, sort.removeprefix("-"), sort.startswith("-"), values, gradients)
    rows = [_node(graph, position, values, gradients) for position in shown[start : start + page_size].tolist()]
    end = start + page_size
    return Page(rows, make_token("nodes", filters, [str(end)]) if end < len(shown) else None)


def _opcode(name: str) -> int:
    opcode = resolve(name, 2)
    if opcode is None:
        near = suggest(name)
        hint = f" Did you mean {near}?" if near else ""
        raise InvalidRequest(
            [FieldError("INVALID_VALUE", f"There is no operation {name!r:.80}.{hint}", parameter="op")]
        )
    return opcode


def _sorted(
    graph: Graph,
    shown: NDArray[np.intp],
    key: str,
    descending: bool,
    values: Numbers,
    gradients: Numbers | None,
) -> NDArray[np.intp]:
    if key in ("id", "op"):
        texts: Sequence[str] = graph.ids if key == "id" else [NAMES[opcode] for opcode in graph.ops.tolist()]
        # Python's sort keeps the order of equals in either direction.
        return np.array(sorted(shown.tolist(), key=texts.__getitem__, reverse=descending), dtype=np.intp)
    numbers = values if key == "value" else gradients
    if numbers is None:
        numbers = np.full(len(graph), np.nan)
    numbers = numbers[shown]
    if key == "abs_gradient":
        numbers = np.abs(numbers)
    # The sort puts NaN last, also among negated numbers.
    return shown[np.argsort(-numbers if descending else numbers, kind="stable")]


def _node(graph: Graph, position: int, values: Numbers, gradients: Numbers | None) -> dict[str, Any]:
    opcode = int(graph.ops[position])
    return {
        "id": graph.ids[position],
        "op": NAMES[opcode],
        "label": graph.labels.get(position),
        "inputs": []
        if opcode in (INPUT, CONSTANT)
        else [graph.ids[each] if isinstance(each, int) else number_to_wire(each) for each in graph.inputs(position)],
        "value": number_to_wire(float(values[position])),
        "gradient": None if gradients is None or opcode == CONSTANT else number_to_wire(float(gradients[position])),
    }


def steps_page(run: Run, graph: Graph, *, page_size: int, page_token: str | None) -> Page[dict[str, Any]]:
    """Return one page of a run's backward pass."""
    steps = steps_of(run, graph)
    filters = {"run": str(run.id)}
    start = 0 if page_token is None else int(read_token(page_token, "steps", filters)[0])
    end = start + page_size
    rows = [show_step(step) for step in steps.page(start, end)]
    return Page(rows, make_token("steps", filters, [str(end)]) if end < len(steps) else None)


def steps_of(run: Run, graph: Graph) -> Steps:
    """Return the steps of a run; NotFound when it made no single backward pass."""
    values, gradients = node_numbers(run, graph)
    if values is None or gradients is None or "seeds" not in run.arrays:
        raise _nothing(run, "single backward pass")
    return Steps(graph, values, run.findings["outputs"], run.arrays["seeds"].tolist())


def explain(run: Run, graph: Graph) -> dict[str, Any]:
    """Return all there is to see of a run that need not be stored: graph, results, and its first steps."""
    steps = steps_of(run, graph)
    return {
        "graph": graph.to_document(),
        "expression": graph.to_expression(),
        "run": answer(run, graph, Form.NODES),
        "steps": {"count": len(steps), "items": [show_step(step) for step in steps.page(0, EXPLAINED_STEPS)]},
    }


def show_step(step: Step) -> dict[str, Any]:
    """Return a step as it crosses the wire."""
    return {
        "index": step.index,
        "node": step.node,
        "op": step.op,
        "to": step.to,
        "derivative": step.derivative,
        "local": number_to_wire(step.local),
        "upstream": number_to_wire(step.upstream),
        "contribution": number_to_wire(step.contribution),
        "gradient": number_to_wire(step.gradient),
        "text": step.text,
    }


_COLUMNS = ("step", "from", "operation", "to", "local derivative", "", "upstream", "contribution", "gradient so far")
_TEXTS = 5
"""The columns before the numbers."""


def steps_table(steps: Steps) -> Iterator[str]:
    """Yield the lines of a table of steps; columns are as wide as the first rows need."""
    widths: list[int] | None = None
    for start in range(0, len(steps), MAX_PAGE_SIZE):
        rows = [_cells(step) for step in steps.page(start, start + MAX_PAGE_SIZE)]
        if widths is None:
            widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
            yield _line(_COLUMNS, widths)
        for row in rows:
            yield _line(row, widths)


def _cells(step: Step) -> tuple[str, ...]:
    numbers = (step.local, step.upstream, step.contribution, step.gradient)
    # Ids may hold characters that a terminal would obey.
    texts = map(visible, (step.node or "", step.op, step.to, step.derivative))
    return (str(step.index), *texts, *map(brief, numbers))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.ljust(width) if 0 < column < _TEXTS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def _nothing(run: Run, what: str) -> NotFound:
    reason = f"its kind is {run.kind}" if run.state == "succeeded" else f"it is {run.state}"
    name = "This run" if run.id is None else f"Run {run.id}"
    return NotFound(f"{name} has no {what}: {reason}.")
