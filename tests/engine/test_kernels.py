"""The compiled loops: one answer to the bit, whichever loop computes it and however the rows are split up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from engine import derivatives, generate, kernels, rules
from engine.blocks import Block, lanes_of
from engine.derivatives import batch, gradient
from engine.graph import Graph
from engine.operations import INPUT, OPCODES, Operation
from tests.engine import reference
from tests.engine.graphs import documents
from tests.engine.subjects import SUBJECTS, single, subject_name


def assert_same_bits(one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    """Equal but for the payload of NaN; signs of zeros count."""
    np.testing.assert_array_equal(one, other)
    known = ~np.isnan(one)
    np.testing.assert_array_equal(np.signbit(one[known]), np.signbit(other[known]))


def test_the_generated_rules_are_those_of_the_table() -> None:
    assert Path(rules.__file__).read_text() == generate.source(), "run python -m engine.generate"


@pytest.mark.parametrize(("operation", "size"), SUBJECTS, ids=subject_name)
def test_every_loop_gives_the_same_bits(operation: Operation, size: int) -> None:
    """One row alone, in sweeps of rows and of groups, many as a batch, and as a value of its own."""
    graph = single(operation.name, size)
    points = [*reference.points(operation.name, size)[::3], (np.nan,) * size, (np.inf,) * size, (-np.inf,) * size]
    columns = {f"x{place}": np.array(column) for place, column in enumerate(zip(*points, strict=True))}
    nodes = range(size + 1)
    many = batch(graph, columns, value_of=nodes, gradient_of=nodes)
    kinked = set()
    for row, point in enumerate(points):
        one = gradient(graph, {f"x{place}": x for place, x in enumerate(point)})
        assert_same_bits(many.values[:, row], one.values)
        assert_same_bits(many.gradients[:, row], one.gradients)
        assert_same_bits(one.values[size:], np.array([kernels.apply(OPCODES[operation.name], point)]))
        kinked.update(one.nonsmooth)
        base = derivatives.bind(graph, {f"x{place}": x for place, x in enumerate(point)})
        assert_same_bits(graph.tape.to_nodes(by_rows(graph, base)[0]), one.values)
        assert_same_bits(graph.tape.to_nodes(by_rows(graph, base)[1]), one.gradients)
        assert_same_bits(graph.tape.to_nodes(by_groups(graph, base)[0]), one.values)
        assert_same_bits(graph.tape.to_nodes(by_groups(graph, base)[1]), one.gradients)
    assert set(many.nonsmooth) == kinked


def by_rows(graph: Graph, base: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and adjoints by the plain loops."""
    tape, v = graph.tape, base.copy()
    l, scratch = np.empty((tape.rows, 2)), np.empty((2, tape.widest))
    kernels.forward(tape.ops, tape.a, tape.b, v, l, 0, tape.rows, scratch[0], scratch[1])
    return v, adjoints(graph, l)


def by_groups(graph: Graph, base: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and adjoints by the loops over rows of one operation."""
    tape, v = graph.tape, base.copy()
    l, scratch = np.empty((tape.rows, 2)), np.empty((2, tape.widest))
    rows, ops, starts = (
        np.empty(tape.rows, np.uint32),
        np.empty(tape.rows, np.uint8),
        np.empty(tape.rows + 1, np.uint32),
    )
    groups = kernels.regroup(tape.ops, tape.a, tape.b, rows, ops, starts)
    kernels.forward_groups(tape.ops, tape.a, tape.b, rows, ops, starts, v, l, 0, groups, scratch[0], scratch[1])
    return v, adjoints(graph, l)


def adjoints(graph: Graph, l: NDArray[np.float64]) -> NDArray[np.float64]:
    g = np.zeros(graph.tape.size)
    np.add.at(g, graph.tape.slots[graph.outputs], 1.0)
    kernels.backward(graph.tape.a, graph.tape.b, l, g, 0, graph.tape.rows)
    return g


@given(documents())
def test_rows_groups_and_blocks_agree_on_any_graph(document: dict[str, object]) -> None:
    graph = Graph.from_document(document)
    one = gradient(graph)
    base = derivatives.bind(graph, {})
    shown = graph.ops != OPCODES["constant"]
    for v, g in (by_rows(graph, base), by_groups(graph, base)):
        assert_same_bits(graph.tape.to_nodes(v), one.values)
        assert_same_bits(graph.tape.to_nodes(g)[shown], one.gradients[shown])
    lanes = 35  # some by vector instructions, some one by one
    block = Block(graph.tape, base, lanes, graph.tape.slots[graph.outputs])
    seeds = np.ones(len(graph.outputs))
    values, gradients = np.empty((2, len(graph), lanes))
    columns = np.empty(0, np.int64), np.empty(0, np.uint32)
    bad = block.differentiate(columns, seeds, (graph.tape.slots, values), (graph.tape.slots, gradients), 1, 0, lanes)
    for lane in (0, 20, 34):
        assert_same_bits(graph.tape.to_nodes(block.v)[:, lane], one.values)
        assert_same_bits(graph.tape.to_nodes(block.g)[shown, lane], one.gradients[shown])
        assert_same_bits(values[:, lane], one.values)
        assert_same_bits(gradients[shown, lane], one.gradients[shown])
    assert bad == (None if one.nonfinite == (None, None) else 0)
    assert graph.tape.positions_of(graph.tape.kinked[block.kinked]) == one.nonsmooth


def wide_random(nodes: int, seed: int) -> Graph:
    """A graph of mixed operations whose values stay moderate."""
    chosen = np.random.default_rng(seed)
    names = ["add", "mul", "sub", "tanh", "sigmoid", "sin", "max", "logsumexp", "hypot", "sum", "where", "relu"]
    sizes = {"tanh": 1, "sigmoid": 1, "sin": 1, "relu": 1, "sum": 4, "where": 3, "logsumexp": 3}
    rows = [{"id": f"x{k}", "op": "input", "data": float(chosen.normal())} for k in range(20)]
    for k in range(nodes):
        name = names[int(chosen.integers(len(names)))]
        operands = chosen.integers(max(0, len(rows) - 400), len(rows), sizes.get(name, 2))
        rows.append({"id": f"n{k}", "op": name, "inputs": [rows[int(m)]["id"] for m in operands]})
        rows.append({"id": f"t{k}", "op": "tanh", "inputs": [f"n{k}"]})
    return Graph.from_document({"nodes": rows, "outputs": [rows[-1]["id"], rows[-4]["id"]]})


def test_the_second_run_regroups_and_gives_the_same_bits() -> None:
    graph = wide_random(4000, 1)
    first = gradient(graph)
    for _ in range(3):
        again = gradient(graph)
        assert again.values.tobytes() == first.values.tobytes()
        assert again.gradients.tobytes() == first.gradients.tobytes()


def test_neither_threads_nor_blocks_change_the_bits() -> None:
    graph = wide_random(600, 2)
    chosen = np.random.default_rng(3)
    rows = 1500
    columns = {graph.ids[k]: chosen.normal(size=rows) for k in np.flatnonzero(graph.ops == INPUT)}
    everything = range(len(graph))
    answers = [
        batch(graph, columns, value_of=everything, gradient_of=everything, threads=threads) for threads in (1, 2, 3)
    ]
    for answer in answers[1:]:
        assert answer.values.tobytes() == answers[0].values.tobytes()
        assert answer.gradients.tobytes() == answers[0].gradients.tobytes()
        assert answer.nonsmooth == answers[0].nonsmooth
    for row in (0, 127, 128, 777, rows - 1):
        one = gradient(graph, {node: float(column[row]) for node, column in columns.items()})
        assert_same_bits(answers[0].values[:, row], one.values)
        assert_same_bits(answers[0].gradients[:, row], one.gradients)


@pytest.mark.parametrize("lanes", [8, 64, 128])
def test_sums_add_up_the_same_rows_in_the_same_order(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = wide_random(600, 4)
    rows = 1500
    chosen = np.random.default_rng(5)
    columns = {graph.ids[k]: chosen.normal(size=rows) for k in np.flatnonzero(graph.ops == INPUT)}
    everything = range(len(graph))
    each = batch(graph, columns, value_of=everything, gradient_of=everything)
    monkeypatch.setattr(derivatives, "lanes_of", lambda tape: lanes)
    for threads in (1, 2):
        sums = batch(graph, columns, value_of=everything, gradient_of=everything, summed=True, threads=threads)
        for found, of in ((sums.values, each.values), (sums.gradients, each.gradients)):
            assert found.shape == (len(graph), 12)
            for k in range(12):
                # A cumulative sum adds one after the other.
                assert_same_bits(found[:, k], np.cumsum(of[:, 128 * k : 128 * (k + 1)], axis=1)[:, -1])


def test_a_row_that_is_not_finite_is_named_in_sums_too() -> None:
    graph = Graph.from_document({"expression": "y = log(x)"})
    x = np.full(300, 2.0)
    x[130] = 0.0
    found = batch(graph, {"x": x}, value_of=graph.outputs, gradient_of=[0], summed=True)
    assert (found.row, found.nonfinite) == (130, (graph.position("y"), graph.position("x")))
    assert found.values[0].tolist() == [
        np.cumsum(np.full(128, np.log(2.0)))[-1],
        -np.inf,
        np.cumsum(np.full(44, np.log(2.0)))[-1],
    ]
    assert found.gradients[0].tolist() == [64.0, np.inf, 22.0]


def test_kinks_of_a_batch_are_those_of_any_row() -> None:
    graph = Graph.from_document({"expression": "a = relu(x)\nb = max(x, y)\nc = abs(y - 5)\na + b + c"})
    x, y = np.array([1.0, 0.0, 2.0]), np.array([3.0, 4.0, 2.0])
    found = batch(graph, {"x": x, "y": y}, value_of=[], gradient_of=[])
    assert [graph.ids[k] for k in found.nonsmooth] == ["a", "b"]
    assert found.nonfinite == (None, None)


def test_the_first_row_that_is_not_finite_is_named() -> None:
    graph = Graph.from_document({"expression": "a = log(x)\nb = a * 2\nsqrt(y) + b"})
    x, y = np.full(300, 2.0), np.full(300, 2.0)
    x[250], y[200], x[299] = 0.0, 0.0, -1.0
    found = batch(graph, {"x": x, "y": y}, value_of=[], gradient_of=[])
    assert found.row == 200
    assert found.nonfinite == (None, graph.position("y"))


def test_the_first_of_many_rows_is_named_whichever_thread_meets_it() -> None:
    graph = Graph.from_document({"expression": "a = log(x)\nb = relu(x - 7)\na + b"})
    x = np.full(900_000, 2.0)
    x[[850_000, 400_000, 899_999]], x[600_000] = 0.0, 7.0
    for threads in (1, 2, 4):
        found = batch(graph, {"x": x}, value_of=graph.outputs, gradient_of=[0], threads=threads)
        assert found.row == 400_000
        assert [graph.ids[k] for k in found.nonsmooth] == ["b"]
        assert np.flatnonzero(found.values[0] != np.log(2.0)).tolist() == [400_000, 600_000, 850_000, 899_999]
        assert np.flatnonzero(found.gradients[0] != 0.5).tolist() == [400_000, 600_000, 850_000, 899_999]


def test_a_leaf_without_rows_is_found_not_finite_too() -> None:
    graph = Graph.from_document({"expression": "tanh(y) + x"})
    found = batch(graph, {"x": np.ones(300), "y": np.inf}, value_of=graph.outputs, gradient_of=[0, 1])
    assert (found.row, found.nonfinite) == (0, (graph.position("y"), None))
    assert (found.values == 2.0).all()


def test_rows_may_lie_in_memory_as_they_like() -> None:
    graph = Graph.from_document({"expression": "x * y + z"})
    table = np.arange(1800.0).reshape(600, 3)
    columns = {"x": table[:, 0], "y": table[::-1, 1], "z": np.arange(600, dtype=np.int32)}
    found = batch(graph, columns, value_of=graph.outputs, gradient_of=[graph.position("x")])
    assert (found.values[0] == columns["x"] * columns["y"] + columns["z"]).all()
    assert (found.gradients[0] == columns["y"]).all()


def test_a_chain_of_a_million_nodes() -> None:
    """2 and 1/2 by turns, a sine at the end: exact all the way, and no recursion anywhere."""
    links = 1_000_000
    nodes = links + 2
    offsets = np.concatenate([[0], 2 * np.arange(links + 1), [2 * links + 1]]).astype(np.uint32)
    operands = np.empty(2 * links + 1, np.int32)
    operands[0:-1:2] = np.arange(links)
    operands[1:-1:2] = -1 - np.arange(links)
    operands[-1] = links
    ops = np.full(nodes, OPCODES["mul"], np.uint8)
    ops[0], ops[-1] = INPUT, OPCODES["sin"]
    data, has_data = np.zeros(nodes), np.zeros(nodes, bool)
    data[0], has_data[0] = 1.25, True
    graph = Graph.assemble(
        name=None, ids=None, labels={}, ops=ops, offsets=offsets, operands=operands,
        literals=np.tile([2.0, 0.5], links // 2), data=data, has_data=has_data,
        outputs=np.array([nodes - 1], np.int32),
    )  # fmt: skip
    found = gradient(graph)
    assert found.values[-1] == math.sin(1.25)
    assert found.gradients[0] == math.cos(1.25)
    assert (found.gradients[:-1:2] == math.cos(1.25)).all()
    assert (found.values[1:-1:2] == 2.5).all()


def test_rows_that_only_carry_operands_are_never_found_not_finite() -> None:
    """What a block's memory held before must not count as a value."""
    nodes = [{"id": f"x{k}", "op": "input"} for k in range(5)]
    nodes += [
        {"id": "s", "op": "sum", "inputs": [f"x{k}" for k in range(5)]},
        {"id": "y", "op": "log", "inputs": ["s"]},
    ]
    graph = Graph.from_document({"nodes": nodes, "outputs": ["y"]})
    columns = {f"x{k}": np.array([1.0, 0.0]) for k in range(5)}
    for _ in range(50):
        garbage = np.full((2, graph.tape.size, lanes_of(graph.tape)), np.nan)
        del garbage
        found = batch(graph, columns, value_of=[6], gradient_of=[0])
        assert found.row == 1 and found.values[0, 0] == np.log(5.0)


def test_a_small_graph_is_grouped_too_and_gives_the_same_bits() -> None:
    rows: list[dict[str, object]] = [{"id": f"x{k}", "op": "input", "data": 0.1 * k - 2} for k in range(40)]
    for k in range(40):
        rows.append({"id": f"m{k}", "op": "mul", "inputs": [f"x{k}", f"x{(k + 1) % 40}"]})
        rows.append({"id": f"s{k}", "op": "sum", "inputs": [f"m{k}", f"x{k}", 0.5, f"x{(3 * k) % 40}"]})
        rows.append({"id": f"w{k}", "op": "where", "inputs": [f"x{k}", f"s{k}", f"m{k}"]})
        rows.append({"id": f"t{k}", "op": "tanh", "inputs": [f"w{k}"]})
    rows.append({"id": "y", "op": "sum", "inputs": [f"t{k}" for k in range(40)]})
    graph = Graph.from_document({"nodes": rows, "outputs": ["y"]})
    first = gradient(graph)
    again = gradient(graph)
    _, grouped, groups = graph.tape._packed
    assert grouped == 161 and groups == 5
    assert again.values.tobytes() == first.values.tobytes()
    assert again.gradients.tobytes() == first.gradients.tobytes()
