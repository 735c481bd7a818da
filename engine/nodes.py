"""The node form of graph documents: {"nodes": [{"id", "op", "inputs", "data", "label"}, …]}.

Two readers agree on what is right: a bulk one, one tight loop that gives up at the first oddity, and a careful one
that is asked only then and puts everything that is wrong into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, pairwise, repeat
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
    arity_problem,
    assemble,
    check_data,
    check_id,
    check_nodes_list,
    check_number,
    check_operation,
    check_text,
    data_columns,
    finder,
    heading,
    note_cycles,
    offsets_of,
    opcodes_of,
    read_outputs,
)
from engine.graph import Graph
from engine.numbers import describe, number_to_wire, quote
from engine.operations import CONSTANT, NAMES, resolve

_FIELDS = ("id", "op", "inputs", "data", "label")
# Nodes per round of the bulk reader: few enough that what one loop touched is in cache for the next.
_ROUND = 2048


def read_nodes(document: Mapping[str, Any], findings: Findings, max_nodes: int | None) -> Graph:
    """The graph of a node document whose other fields are checked; raises GraphError."""
    rows = document["nodes"]
    if not check_nodes_list(rows, "/nodes", findings, max_nodes):
        raise findings.error()

    def place(node: int, operand: int) -> tuple[str, dict[str, int]]:
        inputs = [positions.get(item) if type(item) is str else None for item in rows[node]["inputs"]]
        return f"/nodes/{node}/inputs/{inputs.index(operand)}", {}

    found = bulk_nodes(rows)
    if found is None:
        positions, operands_of = _examine_nodes(rows, findings)
        read_outputs(document, finder(positions), findings)
        ids = [row["id"] if isinstance(row, dict) and type(row.get("id")) is str else "" for row in rows]
        note_cycles(operands_of, ids, findings, place)
        raise findings.error()
    nodes, positions = found
    outputs = read_outputs(document, finder(positions), findings)
    return assemble(document.get("name"), nodes, outputs, findings, place, positions)


def bulk_nodes(rows: list[Any]) -> tuple[Nodes, dict[str, int]] | None:
    """Well-formed nodes and the positions of their ids, or None."""
    positions: dict[str, int] = {}
    codes = bytearray()
    counts: list[NDArray[np.uint32]] = []
    operands: list[NDArray[np.int32]] = []
    # Inputs that are no earlier node, by their place among all inputs.
    others: dict[int, Any] = {}
    data: dict[int, Any] = {}
    fields = edges = 0
    # Looked up once per node: as local names, which is a tenth of the loop.
    code_of, last_leaf, none = CODES, CONSTANT, list[Any]()
    try:
        for start in range(0, len(rows), _ROUND):
            part = rows[start : start + _ROUND]
            inputs: list[Any] = []
            for position, row in enumerate(part, start):
                positions[row["id"]] = position
                code = code_of[row["op"]]
                codes.append(code)
                if code > last_leaf:
                    inputs.append(row["inputs"])
                else:
                    inputs.append(row.get("inputs", none))
                    if "data" in row:
                        data[position] = row["data"]
            if set(map(type, inputs)) != {list}:
                return None
            counts.append(np.fromiter(map(len, inputs), np.uint32, len(part)))
            flat = list(chain.from_iterable(inputs))
            found = np.fromiter(map(positions.get, flat, repeat(-1)), np.int32, len(flat))
            operands.append(found)
            others |= {edges + place: flat[place] for place in np.flatnonzero(found < 0).tolist()}
            edges += len(flat)
            fields += sum(map(len, part))
    except (KeyError, TypeError, AttributeError):
        return None
    ids = list(positions)
    if len(ids) != len(rows) or not all_text(ids, MAX_ID_LENGTH):
        return None
    lengths, joined = np.concatenate(counts), np.concatenate(operands)
    ops = opcodes_of(codes, lengths)
    literals = _resolve(others, joined, positions)
    values = data_columns(list(data), list(data.values()), ops)
    if ops is None or literals is None or values is None:
        return None
    labels: dict[int, str] = {}
    unaccounted = fields - 2 * len(rows) - int(np.count_nonzero(ops > CONSTANT)) - len(data)
    if unaccounted:
        labels = {k: row["label"] for k, row in enumerate(rows) if "label" in row}
        leaves = np.flatnonzero(ops <= CONSTANT).tolist()
        unaccounted -= len(labels) + sum("inputs" in rows[k] for k in leaves)
        if unaccounted or (labels and not all_text(list(labels.values()))):
            return None
    return Nodes(ids, labels, ops, offsets_of(lengths), joined, literals, *values), positions


def _resolve(
    others: dict[int, Any], operands: NDArray[np.int32], positions: Mapping[str, int]
) -> NDArray[np.float64] | None:
    """Fill in the operands that are later nodes or numbers; answers the numbers, or None where one is neither."""
    literals: list[Any] = []
    found: list[int] = []
    for item in others.values():
        position = positions.get(item)
        if position is None:
            if type(item) is str:
                return None
            literals.append(item)
            position = -len(literals)
        found.append(position)
    operands[list(others)] = found
    return all_numbers(literals)


def _examine_nodes(rows: list[Any], findings: Findings) -> tuple[dict[str, int], list[list[int]]]:
    """Note everything that is wrong with nodes; answers the positions of ids and of inputs, where known."""
    positions: dict[str, int] = {}
    for position, row in enumerate(rows):
        if isinstance(row, dict) and type(row.get("id")) is str:
            positions.setdefault(row["id"], position)
    operands_of: list[list[int]] = [[] for _ in rows]
    for position, row in enumerate(rows):
        at = f"/nodes/{position}"
        if not isinstance(row, dict):
            findings.add(at, "INVALID_VALUE", f"a node must be an object, not {describe(row)}")
            continue
        for key in row:
            if key not in _FIELDS:
                known = ", ".join(_FIELDS)
                findings.add(f"{at}/{escape(key)}", "UNKNOWN_FIELD", f"the fields of a node are {known}")
        if "id" not in row:
            findings.add(f"{at}/id", "MISSING_FIELD", "a node needs an id")
        elif check_id(row["id"], f"{at}/id", findings) and positions[row["id"]] != position:
            first = positions[row["id"]]
            findings.add(f"{at}/id", "DUPLICATE_ID", f"node {first} has the id {quote(row['id'])} already")
        if "label" in row:
            check_text(row["label"], f"{at}/label", findings)
        inputs = row.get("inputs", [])
        if type(inputs) is not list:
            wrong = describe(inputs)
            findings.add(f"{at}/inputs", "INVALID_VALUE", f"must be a list of ids and numbers, not {wrong}")
            inputs = None
        for place, item in enumerate(inputs or ()):
            if type(item) is str:
                if item in positions:
                    operands_of[position].append(positions[item])
                else:
                    detail = f"no node has the id {quote(item)}"
                    findings.add(f"{at}/inputs/{place}", "UNKNOWN_NODE", detail)
            elif isinstance(item, (int, float)) and not isinstance(item, bool):
                check_number(item, f"{at}/inputs/{place}", findings)
            else:
                detail = f"must be a node's id or a number, not {describe(item)}"
                findings.add(f"{at}/inputs/{place}", "INVALID_VALUE", detail)
        if "op" not in row:
            findings.add(f"{at}/op", "MISSING_FIELD", "a node needs an op")
        else:
            _examine_operation(row["op"], inputs, "inputs" in row, row.get("data", ABSENT), at, findings)
    return positions, operands_of


def _examine_operation(
    name: object, inputs: list[Any] | None, has_inputs: bool, data: object, at: str, findings: Findings
) -> None:
    """Note what is wrong between a node's operation, its inputs (None: no list) and its data."""
    if type(name) is not str:
        findings.add(f"{at}/op", "INVALID_VALUE", f"must be the name of an operation, not {describe(name)}")
        return
    opcode = resolve(name, len(inputs or ()))
    if opcode is not None and opcode > CONSTANT and not has_inputs:
        findings.add(f"{at}/inputs", "MISSING_FIELD", arity_problem(opcode, 0))
    elif opcode is None or inputs is not None:
        check_operation(name, len(inputs or ()), f"{at}/op", f"{at}/inputs", findings)
    if opcode is not None:
        check_data(opcode, data, f"{at}/data", findings)


def write_nodes(graph: Graph) -> dict[str, Any]:
    """The node document of a graph."""
    ids, bounds, literals = graph.ids, graph.offsets.tolist(), graph.literals.tolist()
    flat = [ids[k] if k >= 0 else literals[-1 - k] for k in graph.operands.tolist()]
    nodes: list[dict[str, Any]] = [
        {"id": node, "op": NAMES[code], "inputs": flat[start:stop]}
        if code > CONSTANT
        else {"id": node, "op": NAMES[code]}
        for node, code, (start, stop) in zip(ids, graph.ops.tolist(), pairwise(bounds), strict=True)
    ]
    for position in np.flatnonzero(graph.has_data).tolist():
        nodes[position]["data"] = number_to_wire(float(graph.data[position]))
    for position, label in graph.labels.items():
        nodes[position]["label"] = label
    return {**heading(graph), "nodes": nodes, "outputs": [ids[k] for k in graph.outputs.tolist()]}
