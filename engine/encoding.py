"""A graph as bytes: one canonical encoding, hashed for the graph's id and stored as it is.

All numbers are little-endian; every section is padded with zeros to a multiple of 8 bytes, so that arrays can
be used where they lie. n nodes, m operands, k literals:

    magic      8 bytes   "CHAINR" and the version of this encoding, 01
    counts     10 uint64 n, m, k, outputs, nodes with data, labels, then the bytes of the sections
                         operations, name (0: none, else 1 more than its length), ids, label texts
    operations text      the distinct operation names of the graph, sorted, NUL between them
    name       text
    ids        text      NUL between them; empty when every id is its position in decimal
    labels     text      NUL between them
    labelled   uint32[]  the positions of the labels, ascending
    ops        uint8[n]  an index into operations
    offsets    uint32[n + 1], operands int32[m], literals float64[k]  as in `Graph`
    has data   one bit per node, the first in the highest bit
    data       float64[] of the nodes that have data
    outputs    uint32[]

Text is UTF-8. A document has exactly one encoding: operations go by name, literals stand once per occurrence
in the order of the operands, and every NaN is the one quiet NaN 7ff8000000000000. Storage appends what can be
worked out from it, and so is no part of the id: the evaluation order as uint32[n], or nothing when
it is the document's own.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.operations import NAMES, OPCODES

if TYPE_CHECKING:
    from engine.graph import Graph

_MAGIC = b"CHAINR01"
_COUNTS = struct.Struct("<10Q")
_START = len(_MAGIC) + _COUNTS.size


def encode(graph: Graph) -> bytes:
    """The canonical bytes of a graph."""
    used = sorted(NAMES[opcode] for opcode in np.flatnonzero(np.bincount(graph.ops)).tolist())
    index = np.zeros(len(NAMES), np.uint8)
    index[[OPCODES[name] for name in used]] = range(len(used))
    operations = "\0".join(used).encode()
    name = b"" if graph.name is None else graph.name.encode()
    ids = b"" if graph.given_ids is None else "\0".join(graph.given_ids).encode()
    labelled = sorted(graph.labels)
    labels = "\0".join([graph.labels[position] for position in labelled]).encode()
    data = graph.data[graph.has_data]
    counts = _COUNTS.pack(
        len(graph),
        graph.operands.size,
        graph.literals.size,
        graph.outputs.size,
        data.size,
        len(labelled),
        len(operations),
        0 if graph.name is None else len(name) + 1,
        len(ids),
        len(labels),
    )
    sections = (
        operations,
        name,
        ids,
        labels,
        _bytes(np.array(labelled, np.uint32), "<u4"),
        _bytes(index[graph.ops], "u1"),
        _bytes(graph.offsets, "<u4"),
        _bytes(graph.operands, "<i4"),
        _bytes(graph.literals, "<f8"),
        _bytes(np.packbits(graph.has_data), "u1"),
        _bytes(data, "<f8"),
        _bytes(graph.outputs, "<u4"),
    )
    return b"".join([_MAGIC, counts, *(section + bytes(-len(section) % 8) for section in sections)])


def encode_order(graph: Graph) -> bytes:
    """What storage appends to the canonical bytes."""
    return b"" if graph.order is None else _bytes(graph.order, "<u4")


def decode(stored: bytes) -> dict[str, Any]:
    """The fields of the `Graph` whose encoding, with its order, this is."""
    if stored[: len(_MAGIC)] != _MAGIC:
        raise ValueError("not a stored graph of this version")
    n, m, k, outputs, with_data, labels, *texts = _COUNTS.unpack_from(stored, len(_MAGIC))
    operations_size, name_size, ids_size, labels_size = texts
    sizes = (
        operations_size,
        max(name_size - 1, 0),
        ids_size,
        labels_size,
        4 * labels,
        n,
        4 * (n + 1),
        4 * m,
        8 * k,
        (n + 7) // 8,
        8 * with_data,
        4 * outputs,
    )
    starts = [*accumulate((size + -size % 8 for size in sizes), initial=_START)]

    def text(section: int) -> str:
        return stored[starts[section] : starts[section] + sizes[section]].decode()

    def array(section: int, stored_type: str) -> NDArray[Any]:
        kind = np.dtype(stored_type)
        found = np.frombuffer(stored, kind, sizes[section] // kind.itemsize, starts[section])
        return found.astype(kind.newbyteorder("="), copy=False)

    opcodes = np.array([OPCODES[name] for name in text(0).split("\0")], np.uint8)
    has_data = np.unpackbits(array(9, "u1"), count=n).view(np.bool_)
    data = np.zeros(n)
    data[has_data] = array(10, "<f8")
    order = np.frombuffer(stored, "<u4", -1, starts[-1]) if len(stored) > starts[-1] else None
    return {
        "name": text(1) if name_size else None,
        "given_ids": text(2).split("\0") if ids_size else None,
        "labels": dict(zip(array(4, "<u4").tolist(), text(3).split("\0"), strict=True)) if labels else {},
        "ops": opcodes[array(5, "u1")],
        "offsets": array(6, "<u4"),
        "operands": array(7, "<i4"),
        "literals": array(8, "<f8"),
        "data": data,
        "has_data": has_data,
        "outputs": array(11, "<u4").astype(np.int32),
        "order": None if order is None else order.astype(np.int32),
    }


def _bytes(array: NDArray[Any], stored_type: str) -> bytes:
    return array.astype(stored_type, copy=False).tobytes()
