"""The backward pass in steps: the order of the sweep, its numbers to the bit, and sentences people can read."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from engine.derivatives import Gradient, gradient
from engine.explain import Step, Steps
from engine.graph import Graph
from engine.operations import CONSTANT, NAMES, OPERATIONS

NEURON = {
    "nodes": [
        {"id": "x1", "op": "input", "data": 2.0},
        {"id": "w1", "op": "input", "data": -3.0},
        {"id": "b", "op": "input", "data": 6.881373587019543},
        {"id": "x1w1", "op": "mul", "inputs": ["x1", "w1"]},
        {"id": "n", "op": "add", "inputs": ["x1w1", "b"]},
        {"id": "o", "op": "tanh", "inputs": ["n"]},
    ]
}


def explained(document: object, **options: object) -> tuple[Graph, Gradient, list[Step]]:
    """A graph, its gradient run and all steps of that run."""
    graph = Graph.from_document(document)
    run = gradient(graph, **options)  # type: ignore[arg-type]
    steps = Steps(graph, run.values, run.outputs.tolist(), run.seeds.tolist())
    rows = steps.page(0, len(steps))
    assert len(rows) == len(steps)
    return graph, run, rows


def random_graph(seed: int, nodes: int) -> Graph:
    """A graph of all operations over shared operands, constants and literals, in shuffled document order."""
    rng = np.random.default_rng(seed)
    document: list[dict[str, object]] = [
        {"id": f"n{k}", "op": "constant" if k == 3 else "input", "data": float(rng.uniform(0.3, 0.9))} for k in range(6)
    ]
    for k in range(6, nodes):
        operation = OPERATIONS[rng.integers(len(OPERATIONS))]
        count = rng.integers(1, 7) if operation.variadic else operation.min_inputs
        chosen = [f"n{max(k - 1 - int(rng.geometric(0.1)), 0)}" for _ in range(count)]
        operands = [0.5 if rng.random() < 0.1 else node for node in chosen]
        document.append({"id": f"n{k}", "op": operation.name, "inputs": operands})
    rng.shuffle(document)  # type: ignore[arg-type]
    return Graph.from_document({"nodes": document, "outputs": [f"n{nodes - 1}", f"n{nodes - 2}"]})


def test_the_neuron_is_explained_as_in_the_lecture() -> None:
    _, _, steps = explained(NEURON)
    assert [step.text for step in steps] == [
        "o is an output: its gradient starts at 1.0, the seed",
        "n feeds o through tanh; d tanh/dn = 1 − o² = 0.5; 1.0 × 0.5 = 0.5 goes to n",
        "x1w1 feeds n through add; d add/dx1w1 = 1.0; 0.5 × 1.0 = 0.5 goes to x1w1",
        "b feeds n through add; d add/db = 1.0; 0.5 × 1.0 = 0.5 goes to b",
        "x1 feeds x1w1 through mul; d mul/dx1 = w1 = -3.0; 0.5 × -3.0 = -1.5 goes to x1",
        "w1 feeds x1w1 through mul; d mul/dw1 = x1 = 2.0; 0.5 × 2.0 = 1.0 goes to w1",
    ]
    assert [step.derivative for step in steps] == ["1", "1 - o**2", "1", "1", "w1", "x1"]


def test_a_seed_comes_from_no_node() -> None:
    _, _, (seed, *_) = explained(NEURON, seeds={"o": 2.5})
    assert (seed.index, seed.node, seed.op, seed.to) == (0, None, "seed", "o")
    assert (seed.upstream, seed.local, seed.contribution, seed.gradient) == (2.5, 1.0, 2.5, 2.5)


def test_a_shared_node_gathers_its_contributions_one_by_one() -> None:
    _, _, steps = explained({"nodes": [
        {"id": "x", "op": "input", "data": 3.0},
        {"id": "y", "op": "mul", "inputs": ["x", "x"]},
        {"id": "z", "op": "mul", "inputs": ["y", "x"]},
    ]})  # fmt: skip
    assert [step.gradient for step in steps if step.to == "x"] == [9.0, 18.0, 27.0]
    assert steps[-1].text.endswith("; with the 18.0 it already has, that makes 27.0")


@pytest.mark.parametrize("seed", range(8))
def test_steps_end_with_the_gradients_of_the_run_bit_for_bit(seed: int) -> None:
    graph = random_graph(seed, 120)
    run = gradient(graph)
    steps = Steps(graph, run.values, run.outputs.tolist(), run.seeds.tolist())
    gathered = dict.fromkeys(graph.ids, 0.0)
    upstream_of: dict[str, float] = {}
    for step in steps.page(0, len(steps)):
        if step.node is not None:
            # By the time a node hands its gradient on, that gradient is complete.
            assert repr(step.upstream) == repr(upstream_of.setdefault(step.node, gathered[step.node]))
            product = 0.0 if 0.0 in (step.local, step.upstream) else step.local * step.upstream
            assert repr(step.contribution) == repr(product)
        assert repr(step.gradient) == repr(gathered[step.to] + step.contribution)
        gathered[step.to] = step.gradient
    for node, total in gathered.items():
        position = graph.position(node)
        if graph.ops[position] != CONSTANT:
            assert repr(total) == repr(float(run.gradients[position]))


@pytest.mark.parametrize("seed", range(4))
def test_pages_are_the_whole_cut_into_pieces(seed: int) -> None:
    graph = random_graph(seed, 60)
    run = gradient(graph)
    steps = Steps(graph, run.values, run.outputs.tolist(), run.seeds.tolist())
    whole = [repr(step) for step in steps.page(0, len(steps))]
    for size in (1, 3, 7):
        paged = [repr(step) for start in range(0, len(steps), size) for step in steps.page(start, start + size)]
        assert paged == whole


def test_every_operand_that_is_a_node_has_its_step_in_backward_order() -> None:
    graph = random_graph(11, 80)
    run = gradient(graph)
    steps = Steps(graph, run.values, run.outputs.tolist(), run.seeds.tolist())
    rows = [step for step in steps.page(0, len(steps)) if step.node is not None]
    reached = set(graph.outputs.tolist())
    order = range(len(graph)) if graph.order is None else graph.order.tolist()
    expected = []
    for position in reversed(order):
        if position in reached:
            nodes = [operand for operand in graph.inputs(position) if isinstance(operand, int)]
            reached.update(nodes)
            expected += [
                (graph.ids[position], NAMES[graph.ops[position]], graph.ids[to])
                for to in nodes
                if graph.ops[to] != CONSTANT
            ]
    assert [(step.node, step.op, step.to) for step in rows] == expected
    assert [step.index for step in rows] == list(range(2, len(steps)))


def test_an_exact_zero_passes_nothing_back_and_the_step_says_so() -> None:
    _, _, steps = explained({"nodes": [
        {"id": "x", "op": "input", "data": 0.0},
        {"id": "safe", "op": "log", "inputs": ["x"]},
        {"id": "y", "op": "where", "inputs": [0, "safe", "x"]},
    ]})  # fmt: skip
    through_log = next(step for step in steps if step.node == "safe")
    assert math.isinf(through_log.local) and through_log.contribution == 0.0
    assert "an exact zero passes nothing back" in through_log.text


def test_opposite_infinities_come_to_nan_without_a_warning() -> None:
    _, run, rows = explained({"expression": "sqrt(x) - sqrt(x)", "data": {"x": 0.0}})
    assert [row.contribution for row in rows[-2:]] in ([math.inf, -math.inf], [-math.inf, math.inf])
    assert math.isnan(rows[-1].gradient) and math.isnan(run.gradients[0])


def test_a_kink_is_named_as_a_convention() -> None:
    _, _, steps = explained(
        {"nodes": [{"id": "x", "op": "input", "data": 0.0}, {"id": "y", "op": "relu", "inputs": ["x"]}]}
    )
    assert steps[1].text.endswith("; y sits on a kink, where this derivative is a convention")


def test_literals_and_unreached_nodes_have_no_step() -> None:
    _, _, steps = explained({
        "nodes": [
            {"id": "x", "op": "input", "data": 2.0},
            {"id": "y", "op": "pow", "inputs": ["x", 3]},
            {"id": "elsewhere", "op": "exp", "inputs": ["x"]},
        ],
        "outputs": ["y"],
    })  # fmt: skip
    assert [(step.node, step.to) for step in steps] == [(None, "y"), ("y", "x")]
    assert steps[1].derivative == "3 * x**2"
    assert "d pow/dx = 3·x² = 12.0" in steps[1].text


@pytest.mark.parametrize(
    ("op", "inputs", "to", "derivative"),
    [
        ("div", ["a", "b"], "b", "-a / b**2"),
        ("pow", ["a", 2], "a", "2 * a"),
        ("prod", ["a", "b", "c"], "b", "a * c"),
        ("mean", ["a", "b", "c"], "b", "1 / 3"),
        ("sigmoid", ["a"], "a", "y * (1 - y)"),
        ("max", ["a", "b"], "a", "(a == y) / sum(xs == y)"),
        ("where", ["a", "b", "c"], "b", "a != 0"),
        ("mul", ["a", "not a name"], "a", '"not a name"'),
    ],
)
def test_formulas_speak_of_the_operands_by_their_own_names(
    op: str, inputs: list[object], to: str, derivative: str
) -> None:
    leaves = [{"id": name, "op": "input", "data": 0.5} for name in inputs if isinstance(name, str)]
    _, _, steps = explained({"nodes": [*leaves, {"id": "y", "op": op, "inputs": inputs}]})
    assert next(step.derivative for step in steps if step.node == "y" and step.to == to) == derivative


def test_a_page_of_a_large_run_costs_no_more_than_its_rows() -> None:
    length = 100_000
    ops = ["input", *(["sin", "cos"] * (length // 2))]
    graph = Graph.from_document({
        "columns": {"op": ops, "inputs": [[], *([k] for k in range(length))], "data": [0.5, *([None] * length)]},
        "outputs": [length],
    })  # fmt: skip
    run = gradient(graph)
    steps = Steps(graph, run.values, run.outputs.tolist(), run.seeds.tolist())
    made = [steps.page(start, start + 50) for start in (0, length // 2, length - 49)]
    assert [len(page) for page in made] == [50, 50, 50]
    assert made[-1][-1].gradient == run.gradients[0]
    assert all(later.index == earlier.index + 1 for page in made for earlier, later in pairwise(page))


def test_one_wide_node_is_paged_from_its_middle() -> None:
    leaves = [{"id": f"x{k}", "op": "input", "data": float(k)} for k in range(1000)]
    graph = Graph.from_document(
        {"nodes": [*leaves, {"id": "s", "op": "sum", "inputs": [leaf["id"] for leaf in leaves]}]}
    )
    run = gradient(graph)
    steps = Steps(graph, run.values, run.outputs.tolist(), run.seeds.tolist())
    assert [step.to for step in steps.page(500, 503)] == ["x499", "x500", "x501"]
    assert [step.to for step in steps.page(999, 2000)] == ["x998", "x999"]
