"""The column form of graph documents: {"columns": {"op", "inputs", "data", "id", "label"}}, for large graphs.

Inputs are positions of earlier nodes, or {"constant": number}. As in the node form, a bulk reader decides whether
all is right, and a careful one says what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import Findings, escape
from engine.forms import (
    ABSENT,
    CODES,
    MAX_ID_LENGTH,
    Nodes,
    all_numbers,
    all_text,
    assemble,
    check_data,
    check_id,
    check_nodes_list,
    check_number,
    check_operation,
    check_text,
    data_columns,
    heading,
    offsets_of,
    opcodes_of,
    read_outputs,
)
from engine.graph import Graph
from engine.numbers import describe, number_to_wire, quote
from engine.operations import CONSTANT, NAMES, resolve

_COLUMNS = ("op", "inputs", "data", "id", "label")


def read_columns(document: Mapping[str, Any], findings: Findings, max_nodes: int | None) -> Graph:
    """The graph of a column document whose other fields are checked; raises GraphError."""
    columns = document["columns"]
    if type(columns) is not dict:
        raise findings.fatal("/columns", "INVALID_VALUE", f"must be an object, not {describe(columns)}")
    for key in columns:
        if key not in _COLUMNS:
            known = ", ".join(_COLUMNS)
            findings.add(f"/columns/{escape(key)}", "UNKNOWN_FIELD", f"the columns are {known}")
    for key in ("op", "inputs"):
        if key not in columns:
            findings.add(f"/columns/{key}", "MISSING_FIELD", f"a graph of columns needs the column {key}")
    names: Any = columns.get("op")
    listed = "op" in columns and check_nodes_list(names, "/columns/op", findings, max_nodes)
    for key, column in columns.items():
        if key == "op" or key not in _COLUMNS:
            continue
        if type(column) is not list:
            findings.add(f"/columns/{key}", "INVALID_VALUE", f"must be a list, not {describe(column)}")
        elif listed and len(column) != len(names):
            detail = f"{len(column)} entries beside {len(names)} in op: a column has one entry for every node"
            findings.add(f"/columns/{key}", "LENGTH_MISMATCH", detail)
    if not listed or "inputs" not in columns or not all(_fits(columns, key) for key in _COLUMNS):
        raise findings.error()

    def find(value: object) -> int | tuple[str, str]:
        if type(value) is not int:
            return "INVALID_VALUE", f"must be a node's position, not {describe(value)}"
        if not 0 <= value < len(names):
            return "UNKNOWN_NODE", f"there is no node {_clip(value)}; the last is {len(names) - 1}"
        return value

    nodes = _bulk_columns(columns)
    if nodes is None:
        _examine_columns(columns, findings)
        read_outputs(document, find, findings)
        raise findings.error()
    outputs = read_outputs(document, find, findings)
    # Operands come before their node, so there is no cycle to be placed.
    return assemble(document.get("name"), nodes, outputs, findings, lambda node, operand: ("", {}))


def _fits(columns: Mapping[str, Any], key: str) -> bool:
    return key not in columns or (type(columns[key]) is list and len(columns[key]) == len(columns["op"]))


def _clip(value: int) -> str:
    """A position for an error's detail; Python refuses to spell out integers of thousands of digits."""
    return str(value) if abs(value) < 10**18 else "beyond all bounds"


def _bulk_columns(columns: Mapping[str, Any]) -> Nodes | None:
    """Well-formed columns, or None."""
    names, inputs = columns["op"], columns["inputs"]
    if set(map(type, inputs)) != {list}:
        return None
    try:
        codes = bytes(map(CODES.__getitem__, names))
    except (KeyError, TypeError):
        return None
    lengths = np.fromiter(map(len, inputs), np.uint32, len(inputs))
    ops = opcodes_of(codes, lengths)
    flat = list(chain.from_iterable(inputs))
    read = _positions(flat)
    if ops is None or read is None:
        return None
    operands, literals = read
    if (operands >= np.repeat(np.arange(ops.size), lengths)).any():
        return None
    column = columns.get("data", [])
    data = {k: column[k] for k in np.flatnonzero(ops <= CONSTANT).tolist() if column[k] is not None} if column else {}
    if len(data) + column.count(None) != len(column):
        return None
    values = data_columns(list(data), list(data.values()), ops)
    labels = {k: label for k, label in enumerate(columns.get("label", ())) if label is not None}
    ids = columns.get("id")
    if (
        values is None
        or (labels and not all_text(list(labels.values())))
        or (ids is not None and not (all_text(ids, MAX_ID_LENGTH) and len(set(ids)) == len(ids)))
    ):
        return None
    return Nodes(ids and list(ids), labels, ops, offsets_of(lengths), operands, literals, *values)


def _positions(flat: list[Any]) -> tuple[NDArray[np.int32], NDArray[np.float64]] | None:
    """Operands and literals of inputs that are positions or {"constant": number}, else None."""
    literals: list[Any] = []
    if not set(map(type, flat)) <= {int}:
        literals = [item for item in flat if type(item) is not int]
        if not all(type(item) is dict and item.keys() == {"constant"} for item in literals):
            return None
        numbered = count(1)
        flat = [item if type(item) is int else -next(numbered) for item in flat]
    spelled = [item["constant"] for item in literals]
    numbers = all_numbers(spelled)
    try:
        operands = np.array(flat, np.int32)
    except OverflowError:
        return None
    if numbers is None or str in map(type, spelled) or np.count_nonzero(operands < 0) != len(literals):
        return None
    return operands, numbers


def _examine_columns(columns: Mapping[str, Any], findings: Findings) -> None:
    """Note everything that is wrong with columns of equal length."""
    names, inputs = columns["op"], columns["inputs"]
    absent = [None] * len(names)
    labels, data = columns.get("label", absent), columns.get("data", absent)
    ids = columns.get("id")
    first: dict[str, int] = {}
    for position in range(len(names)):
        if ids is not None:
            name, at = ids[position], f"/columns/id/{position}"
            if check_id(name, at, findings) and first.setdefault(name, position) != position:
                findings.add(at, "DUPLICATE_ID", f"node {first[name]} has the id {quote(name)} already")
        if labels[position] is not None:
            check_text(labels[position], f"/columns/label/{position}", findings)
        items, at = inputs[position], f"/columns/inputs/{position}"
        if type(items) is not list:
            findings.add(at, "INVALID_VALUE", f"must be a list of positions, not {describe(items)}")
            items = None
        for place, item in enumerate(items or ()):
            _examine_operand(item, position, f"{at}/{place}", findings)
        name, op_at = names[position], f"/columns/op/{position}"
        if type(name) is not str:
            findings.add(op_at, "INVALID_VALUE", f"must be the name of an operation, not {describe(name)}")
            continue
        opcode = resolve(name, len(items or ()))
        if opcode is None or items is not None:
            check_operation(name, len(items or ()), op_at, at, findings)
        if opcode is not None:
            value = ABSENT if data[position] is None else data[position]
            check_data(opcode, value, f"/columns/data/{position}", findings)


def _examine_operand(item: object, position: int, at: str, findings: Findings) -> None:
    if type(item) is int:
        if not 0 <= item < position:
            detail = f"node {position} has no node {_clip(item)} before it; inputs are positions of earlier nodes"
            findings.add(at, "UNKNOWN_NODE", detail)
    elif type(item) is dict and item.keys() == {"constant"}:
        number = item["constant"]
        if isinstance(number, str):
            findings.add(f"{at}/constant", "NOT_A_NUMBER", f"must be a number, not {describe(number)}")
        else:
            check_number(number, f"{at}/constant", findings)
    else:
        detail = f'must be the position of an earlier node, or {{"constant": number}}, not {describe(item)}'
        findings.add(at, "INVALID_VALUE", detail)


def write_columns(graph: Graph) -> dict[str, Any]:
    """The column document of a graph.

    Its nodes come in document order, or else, where that is no evaluation order, in one and with their ids.
    """
    order = range(len(graph)) if graph.order is None else graph.order.tolist()
    rank = np.empty(len(graph), np.int32)
    rank[order] = np.arange(len(graph), dtype=np.int32)
    operands: list[Any] = np.where(graph.operands < 0, graph.operands, rank.take(graph.operands, mode="clip")).tolist()
    for place in np.flatnonzero(graph.operands < 0).tolist():
        operands[place] = {"constant": float(graph.literals[-1 - operands[place]])}
    ops, bounds = graph.ops.tolist(), graph.offsets.tolist()
    data, has_data = graph.data.tolist(), graph.has_data.tolist()
    columns: dict[str, Any] = {
        "op": [NAMES[ops[k]] for k in order],
        "inputs": [operands[bounds[k] : bounds[k + 1]] for k in order],
        "data": [number_to_wire(data[k]) if has_data[k] else None for k in order],
    }
    if graph.order is not None or graph.given_ids is not None:
        columns["id"] = [graph.ids[k] for k in order]
    if graph.labels:
        columns["label"] = [graph.labels.get(k) for k in order]
    return {**heading(graph), "columns": columns, "outputs": rank[graph.outputs].tolist()}
