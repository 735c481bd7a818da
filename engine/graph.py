"""The computation graph: immutable, checked, with an evaluation order; document <-> Graph."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import encoding
from engine.errors import GraphError
from engine.operations import NAMES
from engine.ordering import evaluation_order

if TYPE_CHECKING:
    from engine.tape import Tape
    from engine.value import Value

__all__ = ["Graph", "GraphError"]


_DECIMALS: list[str] = []


def _decimals(count: int) -> list[str]:
    """The numbers from 0 as text; the first hundred thousand are made once."""
    kept = min(count, 100_000)
    if len(_DECIMALS) < kept:
        _DECIMALS[:] = map(str, range(kept))
    return [*_DECIMALS[:kept], *map(str, range(kept, count))]


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A checked computation graph of n nodes, as read-only arrays in document order.

    ops: uint8[n], opcodes (`NAMES[opcode]` is the operation's canonical name).
    offsets: uint32[n + 1] and operands: int32[m]; node i has the inputs operands[offsets[i]:offsets[i + 1]]:
        a value >= 0 is a node's position, a value < 0 stands for the number literals[-1 - value].
    literals: float64[k], one per occurrence, in the order of the operands.
    data: float64[n], 0.0 where absent, and has_data: bool[n].
    outputs: int32[o], positions.
    order: int32[n], positions in evaluation order; None when document order is one.
    labels: position -> label, only where the document gave one.
    given_ids: the ids, or None when every id is its node's position as text.
    """

    name: str | None
    given_ids: list[str] | None
    labels: Mapping[int, str]
    ops: NDArray[np.uint8]
    offsets: NDArray[np.uint32]
    operands: NDArray[np.int32]
    literals: NDArray[np.float64]
    data: NDArray[np.float64]
    has_data: NDArray[np.bool_]
    outputs: NDArray[np.int32]
    order: NDArray[np.int32] | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", MappingProxyType(self.labels))
        for field in vars(self).values():
            if isinstance(field, np.ndarray):
                field.setflags(write=False)

    @classmethod
    def from_document(cls, document: object, *, pointer: str = "", max_nodes: int | None = None) -> Graph:
        """The graph of a document in any of its three forms: nodes, columns or expression.

        Takes what a JSON parser makes of it. Raises GraphError with every error, `pointer` before each of
        their pointers.
        """
        from engine.document import read_document

        return read_document(document, pointer, max_nodes)

    def gradient(
        self,
        wrt: Sequence[str] | None = None,
        *,
        outputs: Sequence[str] | None = None,
        seeds: Mapping[str, float] | None = None,
        checkpoint: Callable[[int], None] = lambda nodes: None,
    ) -> Graph:
        """The backward graph: see engine.backward.backward_graph."""
        from engine.backward import backward_graph

        return backward_graph(self, wrt, outputs=outputs, seeds=seeds, checkpoint=checkpoint)

    def to_document(self) -> dict[str, Any]:
        """The node document, with canonical operation names and with its outputs."""
        from engine.nodes import write_nodes

        return write_nodes(self)

    def to_columns(self) -> dict[str, Any]:
        """The column document; a number literal among its inputs is written {"constant": number}."""
        from engine.columns import write_columns

        return write_columns(self)

    def to_values(self, inputs: Mapping[str, float] | None = None) -> dict[str, Value]:
        """A `Value` for every node, by id; `inputs` replaces data, and an input that has none is a ValueError."""
        from engine.value import values_of

        return values_of(self, inputs or {})

    def to_expression(self) -> dict[str, Any]:
        """An expression document with the same values, for reading; see `engine.rendering`."""
        from engine.rendering import write_expression

        return write_expression(self)

    @classmethod
    def assemble(
        cls,
        *,
        name: str | None,
        ids: list[str] | None,
        labels: Mapping[int, str],
        ops: NDArray[np.uint8],
        offsets: NDArray[np.uint32],
        operands: NDArray[np.int32],
        literals: NDArray[np.float64],
        data: NDArray[np.float64],
        has_data: NDArray[np.bool_],
        outputs: NDArray[np.int32],
        positions: dict[str, int] | None = None,
    ) -> Graph:
        """The graph of checked parts, sorted; a cycle is a CycleError. `positions` spares indexing the ids again.

        Brings what has several spellings to one: ids that are the positions to none, every NaN to the same.
        """
        given = ids
        if ids is not None and ids[0] == "0" and ids[-1] == str(len(ids) - 1) and ids == _decimals(len(ids)):
            given = None
        data = np.where(np.isnan(data), np.nan, data)
        order = evaluation_order(offsets, operands)
        graph = cls(name, given, labels, ops, offsets, operands, literals, data, has_data, outputs, order)
        if ids is not None:
            vars(graph)["ids"] = ids
        if positions is not None:
            vars(graph)["positions"] = MappingProxyType(positions)
        return graph

    @classmethod
    def from_bytes(cls, stored: bytes) -> Graph:
        """The graph that `to_bytes` wrote, taken on trust: nothing is checked or sorted."""
        return cls(**encoding.decode(stored))

    def to_bytes(self) -> bytes:
        """The graph for storage, evaluation order included; see docs/storage-format.md."""
        return encoding.encode(self) + encoding.encode_order(self)

    def __reduce__(self) -> tuple[Callable[[bytes], Graph], tuple[bytes]]:
        return Graph.from_bytes, (self.to_bytes(),)

    @cached_property
    def id(self) -> str:
        """The SHA-256, in hex, of the canonical encoding (see `engine.encoding`).

        Equal for equal documents whatever form they came in, and on every machine.
        """
        return hashlib.sha256(encoding.encode(self)).hexdigest()

    @cached_property
    def tape(self) -> Tape:
        """The graph compiled for the engine's loops, once."""
        from engine.tape import Tape

        return Tape(self)

    @property
    def nbytes(self) -> int:
        """About how many bytes it holds, its tape and its index of ids included."""
        arrays = (self.ops, self.offsets, self.operands, self.literals, self.data, self.has_data, self.outputs)
        order = 0 if self.order is None else self.order.nbytes
        text = 0 if self.given_ids is None else sum(map(len, self.given_ids))
        # A row of the tape takes up to 34 bytes, an id 57 beside its text and 100 in the index.
        return sum(array.nbytes for array in arrays) + order + text + 190 * len(self)

    @cached_property
    def ids(self) -> list[str]:
        """The nodes' ids."""
        return _decimals(len(self)) if self.given_ids is None else self.given_ids

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The nodes' positions by id."""
        return MappingProxyType(dict(zip(self.ids, range(len(self)), strict=True)))

    def position(self, node: str) -> int:
        """The position of a node by its id; an unknown id is a KeyError."""
        if self.given_ids is None and node.isdecimal() and len(node) < 11 and str(int(node)) == node:
            position = int(node)  # without the index, which costs as much as a run
            if position < len(self):
                return position
        return self.positions[node]

    def inputs(self, position: int) -> list[int | float]:
        """The inputs of a node: positions of nodes (int) and literal numbers (float)."""
        operands = self.operands[self.offsets[position] : self.offsets[position + 1]].tolist()
        return [operand if operand >= 0 else float(self.literals[-1 - operand]) for operand in operands]

    def __len__(self) -> int:
        return int(self.ops.size)

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Graph) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name is not None else ""
        outputs = ", ".join(f"{self.ids[k]} = {NAMES[self.ops[k]]}" for k in self.outputs[:3].tolist())
        return f"<Graph{name}: {len(self)} nodes, outputs {outputs}{', …' if self.outputs.size > 3 else ''}>"
