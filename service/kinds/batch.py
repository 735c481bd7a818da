"""Batches: gradient runs whose inputs hold arrays, one independent row after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.blocks import TOGETHER
from engine.derivatives import Batch, batch
from engine.graph import Graph
from engine.operations import CONSTANT, INPUT
from service import references, wire
from service.errors import FieldError
from service.forms import Form
from service.kinds.base import Options, Outcome
from service.limits import Limits
from service.records import Run
from service.work import Work

REDUCTIONS = ("none", "sum", "mean")


def asked(options: Options) -> bool:
    """Return whether a request is one for a batch."""
    return np.ndarray in map(type, options.get("inputs", {}).values())


def rows_of(options: Options) -> int:
    """Return how many rows a batch has."""
    return next(len(value) for value in options["inputs"].values() if isinstance(value, np.ndarray))


def cost(graph: Graph, options: Options) -> int:
    """Return the cells of a batch, or of the single row that any other request has."""
    return len(graph) * (rows_of(options) if asked(options) else 1)


def refuse(options: Options, kind: str) -> list[FieldError]:
    """Find arrays where a kind takes numbers only."""
    return [
        FieldError(
            "INVALID_VALUE", f"Runs of kind {kind} take one number for an input.", references.pointer("inputs", node)
        )
        for node, value in options.get("inputs", {}).items()
        if isinstance(value, np.ndarray)
    ]


def check(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    """Find what is wrong with a batch, or with asking for the reduction of what is none."""
    if not asked(options):
        if options.get("reduce", "none") == "none":
            return []
        return [FieldError("INVALID_VALUE", "Only a batch can be reduced: give an input an array.", "/reduce")]
    rows = rows_of(options)
    if options.get("reduce", "none") == "none":
        select = options.get("select")
        shown = 2 * len(select) if isinstance(select, list) else 2 * len(graph)
        if select is None:
            outputs = options.get("outputs") or options.get("seeds") or graph.outputs
            shown = len(outputs) + int(np.count_nonzero(graph.ops == INPUT))
    else:
        shown = 0
    return [
        *references.check_cells(rows * len(graph), limits, "/inputs", f"{rows} rows of {len(graph)} nodes"),
        *references.check_numbers(rows * shown, limits, "/select", f"{shown} numbers in each of {rows} rows"),
    ]


def kept(options: Options) -> Options:
    """Return the options without the arrays."""
    if not asked(options):
        return options
    numbers = {node: value for node, value in options["inputs"].items() if not isinstance(value, np.ndarray)}
    return {**options, "inputs": numbers}


def rows(options: Options) -> Outcome:
    """Return the arrays that `kept` leaves out."""
    if not asked(options):
        return Outcome({}, {})
    inputs = options["inputs"]
    batched = [node for node, value in inputs.items() if isinstance(value, np.ndarray)]
    return Outcome(
        {"inputs": np.stack([inputs[node] for node in batched])},
        {"rows": rows_of(options), "inputs": list(inputs), "batched": batched},
    )


def compute(graph: Graph, options: Options, outputs: list[str], work: Work) -> Outcome:
    """Compute the rows; what is kept is what the request selects, reduced if it asks for that."""
    seeds = options.get("seeds", {})
    inputs = options["inputs"]
    count = rows_of(options)
    reduction = options.get("reduce", "none")
    value_of, gradient_of = _selected(graph, options.get("select"), [graph.position(node) for node in outputs])
    task = partial(
        _part,
        graph,
        # The outputs come with every answer.
        value_of=np.concatenate([[graph.position(node) for node in outputs], value_of]).astype(np.int64),
        gradient_of=gradient_of,
        outputs=outputs,
        seeds={node: seeds.get(node, 1.0) for node in outputs},
        summed=reduction != "none",
    )

    def cut(part: slice) -> _Rows:
        # In one piece, on every core; each of several parts is one thread's.
        threads = None if part == slice(0, count) else 1
        return _Rows(
            part.start,
            {node: value[part] if isinstance(value, np.ndarray) else value for node, value in inputs.items()},
            threads,
        )

    # Sums of the same rows are made together, however the batch is split.
    unit = 1 if reduction == "none" else TOGETHER
    found = _joined(work.spread(task, cut, count, len(graph), unit=unit))
    values, gradients = found.values, found.gradients
    if reduction != "none":
        with np.errstate(all="ignore"):
            divisor = count if reduction == "mean" else 1
            values, gradients = values.sum(axis=1) / divisor, gradients.sum(axis=1) / divisor
    return Outcome(
        arrays={
            "outputs": values[: len(outputs)],
            "values": values[len(outputs) :],
            "gradients": gradients,
            "seeds": found.seeds,
        },
        findings={
            "outputs": found.outputs.tolist(),
            "value_of": value_of.tolist(),
            "gradient_of": gradient_of.tolist(),
            "nonsmooth": found.nonsmooth,
            "disconnected": found.disconnected,
            "nonfinite": [*found.nonfinite, found.row],
        },
    )


@dataclass(frozen=True)
class _Rows:
    """A part of a batch: where it starts, its inputs, and how many threads may work on it."""

    start: int
    inputs: Mapping[str, float | NDArray[np.float64]]
    threads: int | None


def _part(graph: Graph, rows: _Rows, **asked: Any) -> Batch:
    """Return the batch of some rows, numbered in the whole."""
    found = batch(graph, rows.inputs, threads=rows.threads, **asked)
    return found if found.row is None else replace(found, row=rows.start + found.row)


def _joined(parts: list[Batch]) -> Batch:
    """Return the batch that was computed in parts."""
    bad = next((part for part in parts if part.row is not None), parts[0])
    return replace(
        parts[0],
        values=np.concatenate([part.values for part in parts], axis=1),
        gradients=np.concatenate([part.gradients for part in parts], axis=1),
        nonsmooth=sorted({position for part in parts for position in part.nonsmooth}),
        nonfinite=bad.nonfinite,
        row=bad.row,
    )


def _selected(
    graph: Graph, select: str | list[str] | None, outputs: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions whose values, and whose gradients, are kept; constants have no gradient."""
    if select is None:
        return np.array(outputs, np.int64), np.flatnonzero(graph.ops == INPUT)
    if select == "all":
        nodes = np.arange(len(graph))
    elif select == "leaves":
        nodes = np.flatnonzero((graph.ops == INPUT) | (graph.ops == CONSTANT))
    else:
        nodes = np.sort(np.array([graph.position(node) for node in select], np.int64))
    return nodes, nodes[graph.ops[nodes] != CONSTANT]


def answer(graph: Graph, run: Run, form: Form) -> dict[str, Any]:
    """Show a batch: arrays of the rows, or numbers where it was reduced."""
    arrays, findings = run.arrays, run.findings
    bound = {**run.options["inputs"], **_by_id(findings["batched"], arrays["inputs"])}
    inputs = {node: bound[node] for node in findings["inputs"]}
    if "values" not in arrays:
        return {"inputs": inputs}
    shown = {
        "values": _by_id([graph.ids[k] for k in findings["value_of"]], arrays["values"]),
        "gradients": _by_id([graph.ids[k] for k in findings["gradient_of"]], arrays["gradients"]),
    }
    members: dict[str, Any] = dict(shown)
    if form is Form.COLUMNS:
        ids = [graph.ids[k] for k in sorted({*findings["value_of"], *findings["gradient_of"]})]
        members = {"ids": ids} | {name: [column.get(node) for node in ids] for name, column in shown.items()}
    names = [graph.ids[position] for position in findings["outputs"]]
    return {
        "inputs": inputs,
        "seeds": wire.mapping(names, arrays["seeds"]),
        "outputs": _by_id(names, arrays["outputs"]),
        **members,
        "nonsmooth": [graph.ids[position] for position in findings["nonsmooth"]],
        "disconnected": [graph.ids[position] for position in findings["disconnected"]],
        "nonfinite": nonfinite(graph, *findings["nonfinite"]),
    }


def _by_id(ids: list[str], array: NDArray[np.float64]) -> dict[str, Any]:
    """Return {id: number} for one number each, {id: [number, ...]} for a row each."""
    if array.ndim == 1:
        return wire.mapping(ids, array)
    return {node: wire.numbers(row) for node, row in zip(ids, array, strict=True)}


def nonfinite(graph: Graph, value: int | None, gradient: int | None, row: int | None = None) -> dict[str, Any] | None:
    """Show where the first non-finite value and gradient were born; in a batch, in which row."""
    if value is None and gradient is None:
        return None
    born: dict[str, Any] = {
        "value": None if value is None else graph.ids[value],
        "gradient": None if gradient is None else graph.ids[gradient],
    }
    return born if row is None else born | {"row": row}
