"""The bytes of a graph, read the way docs/storage-format.md describes them, without the engine's own reader."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from hypothesis import given

from engine import Graph
from tests.engine.graphs import documents


def read_by_the_book(stored: bytes) -> tuple[dict[str, Any], bytes, list[int]]:
    """The node document, the bytes that are hashed, and the evaluation order."""
    assert stored[:8] == b"CHAINR01"
    n, m, k, outputs, with_data, labels, *texts = struct.unpack_from("<10Q", stored, 8)
    at = 8 + 80

    def section(size: int) -> bytes:
        nonlocal at
        found, at = stored[at : at + size], at + size + -size % 8
        assert not any(stored[at - (-size % 8) : at])
        return found

    def numbers(code: str, count: int) -> list[Any]:
        return list(struct.unpack(f"<{count}{code}", section(struct.calcsize(code) * count)))

    operations = section(texts[0]).decode().split("\0")
    name = section(max(texts[1] - 1, 0)).decode()
    ids = section(texts[2]).decode().split("\0") if texts[2] else [str(i) for i in range(n)]
    label_texts = section(texts[3]).decode().split("\0")
    labelled = numbers("I", labels)
    ops = [operations[index] for index in numbers("B", n)]
    offsets, inputs, literals = numbers("I", n + 1), numbers("i", m), numbers("d", k)
    bits = section((n + 7) // 8)
    has_data = [bits[i // 8] >> (7 - i % 8) & 1 for i in range(n)]
    data = iter(numbers("d", with_data))
    nodes: list[dict[str, Any]] = []
    for i in range(n):
        node: dict[str, Any] = {"id": ids[i], "op": ops[i]}
        if ops[i] not in ("input", "constant"):
            node["inputs"] = [ids[x] if x >= 0 else literals[-1 - x] for x in inputs[offsets[i] : offsets[i + 1]]]
        if has_data[i]:
            node["data"] = next(data)
        nodes.append(node)
    for i, label in zip(labelled, label_texts, strict=labels > 0):
        nodes[i]["label"] = label
    document = {"nodes": nodes, "outputs": [ids[i] for i in numbers("I", outputs)]}
    if texts[1]:
        document["name"] = name
    hashed, rest = stored[:at], stored[at:]
    return document, hashed, list(struct.unpack(f"<{len(rest) // 4}I", rest))


def spelled(document: dict[str, Any]) -> str:
    """A document with its numbers told apart to the last bit."""
    specials = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    nodes = [
        {key: specials.get(repr(value), value) if key == "data" else value for key, value in sorted(node.items())}
        for node in document["nodes"]
    ]
    return repr((document.get("name"), nodes, document["outputs"]))


@given(documents())
def test_the_stored_bytes_are_what_the_documentation_says(document: dict[str, Any]) -> None:
    graph = Graph.from_document(document)
    read, hashed, order = read_by_the_book(graph.to_bytes())
    assert spelled(read) == spelled(graph.to_document())
    assert hashlib.sha256(hashed).hexdigest() == graph.id
    assert order == ([] if graph.order is None else graph.order.tolist())


def test_every_nan_is_the_same() -> None:
    graph = Graph.from_document({"nodes": [{"id": "c", "op": "constant", "data": "NaN"}]})
    assert struct.pack("<Q", 0x7FF8000000000000) in graph.to_bytes()
