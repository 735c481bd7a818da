"""Graphs of one operation each, the subjects of the tests of the table."""

from __future__ import annotations

from engine.graph import Graph
from engine.operations import OPERATIONS, Operation

SIZES = {
    operation.name: (1, 2, 3, 5) if operation.variadic else (len(operation.parameters),) for operation in OPERATIONS
}
"""Numbers of operands to try each operation with."""

SUBJECTS = [(operation, size) for operation in OPERATIONS for size in SIZES[operation.name]]


def subject_name(subject: object) -> str:
    return subject.name if isinstance(subject, Operation) else str(subject)


def single(name: str, operands: int) -> Graph:
    """The graph of one operation `y` on the inputs x0, x1, ..., in positions 0 to operands; they have no data."""
    inputs = [f"x{place}" for place in range(operands)]
    return Graph.from_document(
        {
            "nodes": [
                *({"id": node, "op": "input"} for node in inputs),
                {"id": "y", "op": name, "inputs": inputs},
            ]
        }
    )
