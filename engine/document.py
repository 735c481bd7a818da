"""Graph documents: the node and column forms into a Graph, with every error found, and back.

Each form has two readers that agree on what is right: a bulk one, a few tight loops that give up at the first
oddity, and a careful one that is asked only then and puts everything that is wrong into words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, pairwise, repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import Findings, escape
from engine.graph import Graph
from engine.numbers import describe, number_problem, number_to_wire, quote, read_number
from engine.operations import CONSTANT, NAMES, OPCODES, OPERATIONS, operation_of, resolve, suggest
from engine.ordering import cycles

MAX_ID_LENGTH = 128

_FORMS = {
    "nodes": ("version", "name", "nodes", "outputs"),
    "columns": ("version", "name", "columns", "outputs"),
    "expression": ("version", "name", "expression", "data", "outputs"),
}
_NODE_FIELDS = ("id", "op", "inputs", "data", "label")
_COLUMNS = ("op", "inputs", "data", "id", "label")

_MANY = np.iinfo(np.uint32).max
_LEAST = np.array([0, 0, *(row.min_inputs for row in OPERATIONS)], np.uint32)
_MOST = np.array([0, 0, *(_MANY if row.max_inputs is None else row.max_inputs for row in OPERATIONS)], np.uint32)
# The one name that means two operations, until the number of inputs is known.
_MINUS = 255
_CODES = {**OPCODES, "-": _MINUS}
# Nodes per round of the bulk reader: few enough that what one loop touched is in cache for the next.
_ROUND = 2048
_ABSENT = object()
# Ids of a cycle that are named before the rest is only counted.
_NAMED = 20


class Nodes(NamedTuple):
    """What every form of document says about its nodes: fields of `Graph`."""

    ids: list[str] | None
    labels: dict[int, str]
    ops: NDArray[np.uint8]
    offsets: NDArray[np.uint32]
    operands: NDArray[np.int32]
    literals: NDArray[np.float64]
    data: NDArray[np.float64]
    has_data: NDArray[np.bool_]


def read_document(document: object, pointer: str = "", max_nodes: int | None = None) -> Graph:
    """The graph of a document in any form; raises GraphError, with `pointer` before each error's pointer."""
    findings = Findings(pointer)
    if type(document) is not dict:
        raise findings.fatal("", "INVALID_VALUE", f"a graph must be an object, not {describe(document)}")
    forms = [key for key in document if key in _FORMS]
    if not forms:
        findings.add("/nodes", "MISSING_FIELD", "a graph needs nodes, an expression or columns")
    form = forms[0] if forms else "nodes"
    for key in document:
        if key in forms[1:]:
            findings.add(f"/{key}", "INVALID_VALUE", f"{key} and {form} exclude each other")
        elif key not in _FORMS[form]:
            known = ", ".join(_FORMS[form])
            findings.add(f"/{escape(key)}", "UNKNOWN_FIELD", f"the fields of such a graph are {known}")
    if type(version := document.get("version", 1)) is not int or version != 1:
        findings.add("/version", "INVALID_VALUE", "the version of a graph document is 1")
    if "name" in document:
        check_text(document["name"], "/name", findings)
    if not forms:
        raise findings.error()
    if form == "expression":
        from engine.expression import read_expression

        return read_expression(document, findings, max_nodes)
    return (_read_nodes if form == "nodes" else _read_columns)(document, findings, max_nodes)


# What all forms check alike.


def check_text(value: object, pointer: str, findings: Findings) -> bool:
    """Whether a value is a string that every encoding and database takes; if not, that is noted."""
    if not isinstance(value, str):
        findings.add(pointer, "INVALID_VALUE", f"must be a string, not {describe(value)}")
    elif "\0" in value:
        findings.add(pointer, "INVALID_VALUE", "must not contain a NUL character")
    elif not _is_unicode(value):
        findings.add(pointer, "INVALID_VALUE", "must not contain half a surrogate pair")
    else:
        return True
    return False


def check_id(value: object, pointer: str, findings: Findings) -> bool:
    """Whether a value can be a node's id; if not, that is noted."""
    if not check_text(value, pointer, findings):
        return False
    if not 1 <= len(str(value)) <= MAX_ID_LENGTH:
        findings.add(pointer, "INVALID_VALUE", f"an id has 1 to {MAX_ID_LENGTH} characters")
        return False
    return True


def check_number(value: object, pointer: str, findings: Findings) -> None:
    """Note it when a value is no number."""
    if read_number(value) is None:
        findings.add(pointer, *number_problem(value))


def check_data(opcode: int, data: object, pointer: str, findings: Findings) -> None:
    """Note data that an operation has, that a constant lacks, or that is no number."""
    if opcode > CONSTANT:
        if data is not _ABSENT:
            findings.add(pointer, "UNKNOWN_FIELD", f"{NAMES[opcode]} computes its value: it has no data")
    elif data is not _ABSENT:
        check_number(data, pointer, findings)
    elif opcode == CONSTANT:
        findings.add(pointer, "MISSING_DATA", "a constant needs data")


def check_operation(
    name: str, inputs: int, pointer: str, inputs_pointer: str, findings: Findings, **place: int
) -> int | None:
    """The opcode of a name, or None; an unknown name and a wrong number of inputs are noted."""
    opcode = resolve(name, inputs)
    if opcode is None:
        near = suggest(name)
        hint = f"did you mean {near}?" if near else "the catalogue of operations lists them all"
        findings.add(pointer, "UNKNOWN_OPERATION", f"{quote(name)} is no operation; {hint}", **place)
    elif opcode <= CONSTANT:
        if inputs:
            findings.add(inputs_pointer, "WRONG_ARITY", f"a leaf takes no inputs, and {NAMES[opcode]} is one", **place)
    elif not _LEAST[opcode] <= inputs <= _MOST[opcode]:
        findings.add(inputs_pointer, "WRONG_ARITY", arity_problem(opcode, inputs), **place)
    return opcode


def arity_problem(opcode: int, inputs: int) -> str:
    """The sentence for an operation with a wrong number of inputs."""
    name, least, most = NAMES[opcode], int(_LEAST[opcode]), operation_of(opcode).max_inputs
    wanted = "at least 1 input" if most is None else "1 input" if least == 1 else f"{least} inputs"
    wider = {"add": "sum", "mul": "prod"}.get(name) if inputs > least else None
    return f"{name} takes {wanted}, not {inputs}" + (f"; {wider} takes any number" if wider else "")


def check_nodes_list(value: object, pointer: str, findings: Findings, max_nodes: int | None) -> bool:
    """Whether a value is a list of nodes, neither empty nor too long; if not, that is noted."""
    if type(value) is not list:
        findings.add(pointer, "INVALID_VALUE", f"must be a list, not {describe(value)}")
    elif not value:
        findings.add(pointer, "INVALID_VALUE", "a graph needs at least one node")
    elif max_nodes is not None and len(value) > max_nodes:
        findings.add(pointer, "TOO_MANY_NODES", f"{len(value)} nodes; at most {max_nodes} are accepted")
    else:
        return True
    return False


def read_outputs(
    document: Mapping[str, Any], find: Callable[[object], int | tuple[str, str]], findings: Findings
) -> list[int] | None:
    """The positions in a document's `outputs`, or None where it gives none.

    `find` answers a node's position, or the code and detail of what is wrong.
    """
    if "outputs" not in document:
        return None
    value = document["outputs"]
    if type(value) is not list or not value:
        wrong = "an empty list" if value == [] else describe(value)
        findings.add("/outputs", "INVALID_VALUE", f"must be a list of at least one node, not {wrong}")
        return []
    positions: dict[int, int] = {}
    for place, item in enumerate(value):
        found = find(item)
        if isinstance(found, tuple):
            findings.add(f"/outputs/{place}", *found)
        elif positions.setdefault(found, place) != place:
            findings.add(f"/outputs/{place}", "DUPLICATE_ID", f"the same node as output {positions[found]}")
    return list(positions)


def finder(positions: Mapping[str, int]) -> Callable[[object], int | tuple[str, str]]:
    """What `read_outputs` needs to find nodes by id."""

    def find(value: object) -> int | tuple[str, str]:
        if type(value) is not str:
            return "INVALID_VALUE", f"must be a node's id, not {describe(value)}"
        return positions.get(value, ("UNKNOWN_NODE", f"no node has the id {quote(value)}"))

    return find


def assemble(
    name: str | None,
    nodes: Nodes,
    outputs: list[int] | None,
    findings: Findings,
    place: Callable[[int, int], tuple[str, dict[str, int]]],
) -> Graph:
    """The graph of nodes without an error of their own, or the errors of the whole: no cycle, clear outputs.

    `place` answers the pointer (and line and column) of a node's input, for the cycles.
    """
    candidates: list[int] | None = None
    if outputs is None:
        feeds = np.zeros(nodes.ops.size, np.bool_)
        feeds[nodes.operands[nodes.operands >= 0]] = True
        outputs = candidates = np.flatnonzero(~feeds).tolist()
    if not findings.errors and (candidates is None or len(candidates) == 1):
        try:
            return Graph.assemble(name=name, **nodes._asdict(), outputs=np.array(outputs, np.int32))
        except ValueError:
            pass
    bounds, operands = nodes.offsets.tolist(), nodes.operands.tolist()
    ids = nodes.ids or [str(position) for position in range(nodes.ops.size)]
    operands_of = [[k for k in operands[i:j] if k >= 0] for i, j in pairwise(bounds)]
    note_cycles(operands_of, ids, findings, place)
    if candidates is not None and len(candidates) > 1:
        named = ", ".join(quote(ids[k]) for k in candidates[:_NAMED])
        more = f" and {len(candidates) - _NAMED} more" if len(candidates) > _NAMED else ""
        detail = f"say which nodes are the outputs; those that feed nothing are {named}{more}"
        findings.add("/outputs", "AMBIGUOUS_OUTPUT", detail)
    raise findings.error()


def note_cycles(
    operands_of: list[list[int]],
    ids: Sequence[str],
    findings: Findings,
    place: Callable[[int, int], tuple[str, dict[str, int]]],
) -> None:
    """Note every cycle among nodes, at the input of its first node that closes it."""
    for cycle in cycles(operands_of):
        named = [quote(ids[position]) for position in cycle[:_NAMED]]
        left_out = len(cycle) - len(named)
        path = " → ".join([*named, *([f"… {left_out} more …"] if left_out else []), named[0]])
        pointer, where = place(cycle[0], cycle[-1])
        findings.add(pointer, "CYCLE", f"these nodes feed each other in a circle: {path}", **where)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _all_text(texts: list[Any], longest: int | None = None) -> bool:
    """Whether all are strings that `check_text` takes (`check_id`, when there is a longest)."""
    if set(map(type, texts)) != {str}:
        return False
    joined = "\0".join(texts)
    if joined.count("\0") != len(texts) - 1 or not _is_unicode(joined):
        return False
    return longest is None or (min(map(len, texts)) >= 1 and max(map(len, texts)) <= longest)


def _all_numbers(values: list[Any]) -> NDArray[np.float64] | None:
    """The float64 of values that are all numbers, else None."""
    if set(map(type, values)) <= {float, int}:
        try:
            numbers = np.array(values, np.float64)
        except OverflowError:
            return None
        return numbers if np.isfinite(numbers).all() else None
    read = [read_number(value) for value in values]
    return None if None in read else np.array(read, np.float64)


def _opcodes(codes: bytes | bytearray, counts: NDArray[np.uint32]) -> NDArray[np.uint8] | None:
    """Opcodes once the numbers of inputs are known, None when a number is wrong."""
    ops = np.frombuffer(bytes(codes), np.uint8)
    minus = ops == _MINUS
    if minus.any():
        ops = np.where(minus, np.where(counts == 1, OPCODES["neg"], OPCODES["sub"]), ops).astype(np.uint8)
    right = (counts >= _LEAST[ops]) & (counts <= _MOST[ops])
    return ops if right.all() else None


def _offsets(counts: NDArray[np.uint32]) -> NDArray[np.uint32]:
    offsets = np.zeros(counts.size + 1, np.uint32)
    np.cumsum(counts, out=offsets[1:])
    return offsets


# The node form.


def _read_nodes(document: Mapping[str, Any], findings: Findings, max_nodes: int | None) -> Graph:
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
        ids = [row["id"] if type(row) is dict and type(row.get("id")) is str else "" for row in rows]
        note_cycles(operands_of, ids, findings, place)
        raise findings.error()
    nodes, positions = found
    outputs = read_outputs(document, finder(positions), findings)
    return assemble(document.get("name"), nodes, outputs, findings, place)


def bulk_nodes(rows: list[Any]) -> tuple[Nodes, dict[str, int]] | None:
    """Well-formed nodes and the positions of their ids, or None."""
    positions: dict[str, int] = {}
    codes = bytearray()
    counts: list[int] = []
    flat: list[Any] = []
    data: list[Any] = []
    data_of: list[int] = []
    none: list[Any] = []
    fields = 0
    try:
        for start in range(0, len(rows), _ROUND):
            part = rows[start : start + _ROUND]
            inputs: list[Any] = []
            for position, row in enumerate(part, start):
                positions[row["id"]] = position
                code = _CODES[row["op"]]
                codes.append(code)
                if code > CONSTANT:
                    inputs.append(row["inputs"])
                else:
                    inputs.append(row.get("inputs", none))
                    if "data" in row:
                        data_of.append(position)
                        data.append(row["data"])
            if set(map(type, part)) != {dict} or set(map(type, inputs)) != {list}:
                return None
            counts += map(len, inputs)
            flat += chain.from_iterable(inputs)
            fields += sum(map(len, part))
        operands = np.fromiter(map(positions.get, flat, repeat(-1)), np.int32, len(flat))
    except (KeyError, TypeError, AttributeError):
        return None
    ids = list(positions)
    if len(ids) != len(rows) or not _all_text(ids, MAX_ID_LENGTH):
        return None
    lengths = np.array(counts, np.uint32)
    ops = _opcodes(codes, lengths)
    literals = _literals(operands, flat)
    values = _data(data_of, data, ops)
    if ops is None or literals is None or values is None:
        return None
    labels: dict[int, str] = {}
    unaccounted = fields - 2 * len(rows) - int(np.count_nonzero(ops > CONSTANT)) - len(data)
    if unaccounted:
        labels = {k: row["label"] for k, row in enumerate(rows) if "label" in row}
        leaves = np.flatnonzero(ops <= CONSTANT).tolist()
        unaccounted -= len(labels) + sum("inputs" in rows[k] for k in leaves)
        if unaccounted or (labels and not _all_text(list(labels.values()))):
            return None
    return Nodes(ids, labels, ops, _offsets(lengths), operands, literals, *values), positions


def _literals(operands: NDArray[np.int32], flat: list[Any]) -> NDArray[np.float64] | None:
    """The numbers among a document's inputs; their operands, -1 so far, are made to point to them."""
    places = np.flatnonzero(operands < 0)
    literals = [flat[place] for place in places.tolist()]
    if str in set(map(type, literals)):
        return None
    operands[places] = -1 - np.arange(places.size)
    return _all_numbers(literals)


def _data(
    positions: list[int], values: list[Any], ops: NDArray[np.uint8] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """The columns `data` and `has_data`; None when there is one too few or too many, or one is no number."""
    numbers = _all_numbers(values)
    if ops is None or numbers is None:
        return None
    data, has_data = np.zeros(ops.size), np.zeros(ops.size, np.bool_)
    data[positions] = numbers
    has_data[positions] = True
    if (has_data & (ops > CONSTANT)).any() or not has_data[ops == CONSTANT].all():
        return None
    return data, has_data


def _examine_nodes(rows: list[Any], findings: Findings) -> tuple[dict[str, int], list[list[int]]]:
    """Note everything that is wrong with nodes; answers the positions of ids and of inputs, where known."""
    positions: dict[str, int] = {}
    for position, row in enumerate(rows):
        if type(row) is dict and type(row.get("id")) is str:
            positions.setdefault(row["id"], position)
    operands_of: list[list[int]] = [[] for _ in rows]
    for position, row in enumerate(rows):
        at = f"/nodes/{position}"
        if type(row) is not dict:
            findings.add(at, "INVALID_VALUE", f"a node must be an object, not {describe(row)}")
            continue
        for key in row:
            if key not in _NODE_FIELDS:
                known = ", ".join(_NODE_FIELDS)
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
            _examine_operation(row["op"], inputs, "inputs" in row, row.get("data", _ABSENT), at, findings)
    return positions, operands_of


def _examine_operation(
    name: object, inputs: list[Any] | None, has_inputs: bool, data: object, at: str, findings: Findings
) -> None:
    """Note what is wrong between a node's operation, its inputs (None: no list) and its data."""
    if type(name) is not str:
        findings.add(f"{at}/op", "INVALID_VALUE", f"must be the name of an operation, not {describe(name)}")
        return
    count = len(inputs) if inputs is not None else None
    if (opcode := resolve(name, 0 if count is None else count)) is None:
        check_operation(name, 0, f"{at}/op", "", findings)
        return
    if opcode > CONSTANT and not has_inputs:
        findings.add(f"{at}/inputs", "MISSING_FIELD", arity_problem(opcode, 0))
    elif count is not None:
        check_operation(name, count, f"{at}/op", f"{at}/inputs", findings)
    check_data(opcode, data, f"{at}/data", findings)


def write_nodes(graph: Graph) -> dict[str, Any]:
    """The node document of a graph."""
    ids = graph.ids
    ops, bounds, operands = graph.ops.tolist(), graph.offsets.tolist(), graph.operands.tolist()
    literals, data, has_data = graph.literals.tolist(), graph.data.tolist(), graph.has_data.tolist()
    nodes = []
    for position, code in enumerate(ops):
        node: dict[str, Any] = {"id": ids[position], "op": NAMES[code]}
        if code > CONSTANT:
            inputs = operands[bounds[position] : bounds[position + 1]]
            node["inputs"] = [ids[k] if k >= 0 else literals[-1 - k] for k in inputs]
        elif has_data[position]:
            node["data"] = number_to_wire(data[position])
        nodes.append(node)
    for position, label in graph.labels.items():
        nodes[position]["label"] = label
    return _document(graph, "nodes", nodes, [ids[k] for k in graph.outputs.tolist()])


def _document(graph: Graph, form: str, content: object, outputs: list[Any]) -> dict[str, Any]:
    head: dict[str, Any] = {"version": 1}
    if graph.name is not None:
        head["name"] = graph.name
    return {**head, form: content, "outputs": outputs}


# The column form.


def _read_columns(document: Mapping[str, Any], findings: Findings, max_nodes: int | None) -> Graph:
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
    if nodes is None or findings.errors:
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
        codes = bytes(map(_CODES.__getitem__, names))
    except (KeyError, TypeError):
        return None
    lengths = np.fromiter(map(len, inputs), np.uint32, len(inputs))
    ops = _opcodes(codes, lengths)
    flat = list(chain.from_iterable(inputs))
    read = _positions(flat)
    if ops is None or read is None:
        return None
    operands, literals = read
    if (operands >= np.repeat(np.arange(ops.size), lengths)).any():
        return None
    column = columns.get("data", [])
    data_of = [k for k, value in enumerate(column) if value is not None]
    values = _data(data_of, [column[k] for k in data_of], ops)
    labels = {k: label for k, label in enumerate(columns.get("label", ())) if label is not None}
    ids = columns.get("id")
    if (
        values is None
        or (labels and not _all_text(list(labels.values())))
        or (ids is not None and not (_all_text(ids, MAX_ID_LENGTH) and len(set(ids)) == len(ids)))
    ):
        return None
    return Nodes(ids and list(ids), labels, ops, _offsets(lengths), operands, literals, *values)


def _positions(flat: list[Any]) -> tuple[NDArray[np.int32], NDArray[np.float64]] | None:
    """Operands and literals of inputs that are positions or {"constant": number}, else None."""
    literals: list[Any] = []
    if set(map(type, flat)) <= {int}:
        positions = flat
    else:
        positions = []
        for item in flat:
            if type(item) is dict and item.keys() == {"constant"} and type(item["constant"]) is not str:
                literals.append(item["constant"])
                positions.append(-len(literals))
            elif type(item) is int and item >= 0:
                positions.append(item)
            else:
                return None
    try:
        operands = np.array(positions, np.int32)
    except OverflowError:
        return None
    numbers = _all_numbers(literals)
    if numbers is None or (operands < -numbers.size).any():
        return None
    return operands, numbers


def _examine_columns(columns: Mapping[str, Any], findings: Findings) -> None:
    """Note everything that is wrong with columns of equal length."""
    names, inputs = columns["op"], columns["inputs"]
    count = len(names)
    absent = [None] * count
    labels, data = columns.get("label", absent), columns.get("data", absent)
    ids = columns.get("id")
    first: dict[str, int] = {}
    for position in range(count):
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
        if items is not None or opcode is None:
            check_operation(name, len(items or ()), op_at, at, findings)
        if opcode is not None:
            value = _ABSENT if data[position] is None else data[position]
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
    return _document(graph, "columns", columns, rank[graph.outputs].tolist())
