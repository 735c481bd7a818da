"""Random graph documents for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.numbers import number_to_wire
from engine.operations import OPERATIONS

OPERATION_NAMES = [
    name for operation in OPERATIONS for name in (operation.name, *operation.aliases) if name != operation.name
] + [operation.name for operation in OPERATIONS]
_BY_NAME = {name: operation for operation in OPERATIONS for name in (operation.name, *operation.aliases)}

IDS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.integers(0, 20).map(str),
    st.sampled_from(["x", "_1", "_2", "lambda", "NaN", "max"]),
)
LABELS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.floats(width=64)
LITERALS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1))


@st.composite
def documents(
    draw: st.DrawFn,
    numbers: st.SearchStrategy[float] = NUMBERS,
    literals: st.SearchStrategy[float | int] = LITERALS,
    names: list[str] = OPERATION_NAMES,
    max_nodes: int = 12,
    shuffled: bool = True,
) -> dict[str, Any]:
    """A valid node document with nodes in any order, aliases, literals, labels, and data for all its leaves."""
    ids = draw(st.lists(IDS, min_size=1, max_size=max_nodes, unique=True))
    nodes: list[dict[str, Any]] = []
    for position, node in enumerate(ids):
        if position == 0 or draw(st.integers(0, 3)) == 0:
            op = draw(st.sampled_from(["input", "input", "constant"]))
            nodes.append({"id": node, "op": op, "data": number_to_wire(draw(numbers))})
        else:
            name = draw(st.sampled_from(names))
            operation = _BY_NAME[name]
            count = draw(st.integers(operation.min_inputs, operation.max_inputs or 4))
            earlier = st.sampled_from(ids[:position])
            inputs = draw(st.lists(st.one_of(earlier, earlier, literals), min_size=count, max_size=count))
            nodes.append({"id": node, "op": name, "inputs": inputs})
        if draw(st.booleans()):
            nodes[-1]["label"] = draw(LABELS)
    outputs = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3, unique=True))
    document: dict[str, Any] = {"nodes": draw(st.permutations(nodes)) if shuffled else nodes, "outputs": outputs}
    if draw(st.booleans()):
        document["name"] = draw(LABELS)
    return document
