"""What the forms of a graph document have in common: their checks, their outputs, and becoming a Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import Findings
from engine.graph import Graph
from engine.numbers import describe, number_problem, quote, read_number
from engine.operations import CONSTANT, NAMES, OPCODES, OPERATIONS, operation_of, resolve, suggest
from engine.ordering import CycleError, cycles

MAX_ID_LENGTH = 128
ABSENT = object()

_MANY = np.iinfo(np.uint32).max
_LEAST = np.array([0, 0, *(row.min_inputs for row in OPERATIONS)], np.uint32)
_MOST = np.array([0, 0, *(_MANY if row.max_inputs is None else row.max_inputs for row in OPERATIONS)], np.uint32)
# The one name that means two operations, until the number of inputs is known.
_MINUS = 255
CODES = {**OPCODES, "-": _MINUS}
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
        if data is not ABSENT:
            findings.add(pointer, "UNKNOWN_FIELD", f"{NAMES[opcode]} computes its value: it has no data")
    elif data is not ABSENT:
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
    positions: dict[str, int] | None = None,
) -> Graph:
    """The graph of nodes without an error of their own, or the errors of the whole: no cycle, clear outputs.

    `place` answers the pointer (and line and column) of a node's input, for the cycles; `positions` are those of
    the ids, where the caller has them.
    """
    candidates: list[int] | None = None
    if outputs is None:
        feeds = np.zeros(nodes.ops.size, np.bool_)
        feeds[nodes.operands[nodes.operands >= 0]] = True
        outputs = candidates = np.flatnonzero(~feeds).tolist()
    if not findings.errors and (candidates is None or len(candidates) == 1):
        try:
            return Graph.assemble(
                name=name, **nodes._asdict(), outputs=np.array(outputs, np.int32), positions=positions
            )
        except CycleError:
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


def heading(graph: Graph) -> dict[str, Any]:
    """The fields with which a document of any form begins."""
    return {"version": 1} if graph.name is None else {"version": 1, "name": graph.name}


# For the bulk readers: the checks above for many at once, without the words.


def all_text(texts: list[Any], longest: int | None = None) -> bool:
    """Whether all are strings that `check_text` takes (`check_id`, when there is a longest)."""
    try:
        joined = "\0".join(texts)
    except TypeError:
        return False
    if joined.count("\0") != max(len(texts) - 1, 0) or not (joined.isascii() or _is_unicode(joined)):
        return False
    return longest is None or ("" not in texts and max(map(len, texts)) <= longest)


def all_numbers(values: list[Any]) -> NDArray[np.float64] | None:
    """The float64 of values that are all numbers, else None."""
    if set(map(type, values)) <= {float, int}:
        try:
            numbers = np.array(values, np.float64)
        except OverflowError:
            return None
        return numbers if np.isfinite(numbers).all() else None
    read = [read_number(value) for value in values]
    return None if None in read else np.array(read, np.float64)


def opcodes_of(codes: bytes | bytearray, counts: NDArray[np.uint32]) -> NDArray[np.uint8] | None:
    """Opcodes once the numbers of inputs are known, None when a number is wrong."""
    ops = np.frombuffer(bytes(codes), np.uint8)
    minus = ops == _MINUS
    if minus.any():
        ops = np.where(minus, np.where(counts == 1, OPCODES["neg"], OPCODES["sub"]), ops).astype(np.uint8)
    right = (counts >= _LEAST[ops]) & (counts <= _MOST[ops])
    return ops if right.all() else None


def offsets_of(counts: NDArray[np.uint32]) -> NDArray[np.uint32]:
    offsets = np.zeros(counts.size + 1, np.uint32)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def data_columns(
    positions: list[int], values: list[Any], ops: NDArray[np.uint8] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """The columns `data` and `has_data`; None when there is one too few or too many, or one is no number."""
    numbers = all_numbers(values)
    if ops is None or numbers is None:
        return None
    data, has_data = np.zeros(ops.size), np.zeros(ops.size, np.bool_)
    data[positions] = numbers
    has_data[positions] = True
    if (has_data & (ops > CONSTANT)).any() or not has_data[ops == CONSTANT].all():
        return None
    return data, has_data


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
