"""Random graphs: against differences of the whole graph in mpmath, and by what must not change an answer."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from engine import kernels
from engine.derivatives import Gradient, gradient, hvp, jvp
from engine.explain import Steps
from engine.graph import Graph
from engine.operations import INPUT, OPCODES, OPERATIONS
from tests.engine import reference

Nodes = list[dict[str, Any]]


@st.composite
def computable(draw: st.DrawFn, most: int = 12) -> Nodes:
    """Nodes on inputs of moderate size in general position, all values finite and neither huge nor tiny."""
    nodes: Nodes = []
    values: list[float] = []
    for place in range(draw(st.integers(1, 3))):
        # Nudged off the round numbers, where most kinks are.
        values.append(draw(st.floats(-3, 3, allow_subnormal=False)) + 0.0103)
        nodes.append({"id": f"x{place}", "op": "input", "data": values[-1]})
    for place in range(draw(st.integers(1, most))):
        earlier = st.integers(max(0, len(nodes) - 6), len(nodes) - 1)
        operands = draw(st.lists(earlier, min_size=4, max_size=4))
        feasible = []
        for operation in OPERATIONS:
            count = operation.max_inputs or 1 + operands[-1] % 4
            value = kernels.apply(OPCODES[operation.name], [values[k] for k in operands[:count]])
            if value == 0.0 or 1e-4 < abs(value) < 1e4:
                feasible.append((operation.name, count, value))
        name, count, value = draw(st.sampled_from(feasible))
        nodes.append({"id": f"n{place}", "op": name, "inputs": [nodes[k]["id"] for k in operands[:count]]})
        values.append(value)
    return nodes


def graph_of(nodes: Nodes) -> Graph:
    """The graph whose outputs are the last node and, where there are as many, the one two before."""
    return Graph.from_document({"nodes": nodes, "outputs": list({nodes[-1]["id"]: 0, nodes[-3 % len(nodes)]["id"]: 0})})


def in_mpmath(nodes: Nodes, outputs: list[str], moved: str, by: mpf, noise: random.Random | None) -> mpf:
    """The sum of the outputs where one node's value is moved; with noise, every value has a rounding error."""
    values: dict[str, mpf] = {}
    for node in nodes:
        if node["op"] == "input":
            value = mpf(node["data"])
        else:
            value = reference.VALUES[node["op"]](*(values[operand] for operand in node["inputs"]))
            if not isinstance(value, mpf):
                raise ValueError("outside the domain")  # of reals, where mpmath goes on in the complex plane
            if noise is not None:
                value *= 1 + mpf(noise.choice((-1, 1))) * mpf(2) ** -52
        values[node["id"]] = value + by if node["id"] == moved else value
    return sum(values[output] for output in outputs)


def contribution_sizes(graph: Graph, found: Gradient) -> dict[str, float]:
    """What the contributions to each gradient come to where none cancels another: each is rounded."""
    sizes = dict.fromkeys(graph.ids, 0.0)
    steps = Steps(graph, found.values, found.outputs.tolist(), found.seeds.tolist())
    for step in steps.page(0, len(steps)):
        size = 1.0 if step.node is None else abs(step.local) * sizes[step.node]
        sizes[step.to] += size if np.isfinite(size) else 0.0
    return sizes


@settings(max_examples=60)
@given(computable(most=8))
def test_gradients_are_those_of_the_whole_graph_in_mpmath(nodes: Nodes) -> None:
    """Every node is moved by itself; how far rounding may lead astray is seen by differentiating noisy graphs too."""
    graph = graph_of(nodes)
    outputs = [graph.ids[k] for k in graph.outputs]
    found = gradient(graph)
    assume(not found.nonsmooth)

    def exact(node: str, seed: int | None) -> mpf | None:
        def moved(by: mpf) -> mpf:
            return in_mpmath(nodes, outputs, node, by, None if seed is None else random.Random(seed))  # noqa: S311

        return reference.differentiate(moved, (0.0,), (0,))[0]

    sizes = contribution_sizes(graph, found)
    for position, node in enumerate(graph.ids):
        if found.values[position] == 0.0:
            continue  # may be the condition of a `where`, on its edge
        expected, *noisy = (exact(node, seed) for seed in (None, 1, 2))
        assume(expected is not None and None not in noisy)
        allowed = 32 * max(abs(other - expected) for other in noisy) + sizes[node] * mpf(2) ** -48 + mpf(10) ** -300
        assert abs(mpf(float(found.gradients[position])) - expected) <= allowed, (node, float(expected))


directions = st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=3, max_size=3)


def inputs_of(graph: Graph) -> list[str]:
    return [graph.ids[k] for k in np.flatnonzero(graph.ops == INPUT)]


@given(computable(), directions, directions)
def test_tangents_and_adjoints_agree(nodes: Nodes, u: list[float], w: list[float]) -> None:
    """<w, J u> = <J' w, u>, and u' H w = w' H u for the last node: neither needs a step size."""
    graph = graph_of(nodes)
    outputs = [graph.ids[k] for k in graph.outputs]
    tangents = dict(zip(inputs_of(graph), u, strict=False))
    seeds = dict(zip(outputs, w, strict=False))
    assume(np.isfinite(gradient(graph).gradients).all())
    forward = jvp(graph, tangents)[1]
    backward = gradient(graph, seeds=seeds).gradients
    there = [seed * tangent for seed, tangent in zip(seeds.values(), forward, strict=True)]
    back = [backward[graph.position(node)] * tangent for node, tangent in tangents.items()]
    scale = np.abs(there).sum() + np.abs(back).sum() + np.abs(backward).sum()
    assert abs(sum(there) - sum(back)) <= 1e-11 * scale + 1e-300
    second = dict(zip(inputs_of(graph), w, strict=False))
    one, other = hvp(graph, tangents, output=outputs[0])[1], hvp(graph, second, output=outputs[0])[1]
    products = [one @ np.array(list(second.values())), other @ np.array(list(tangents.values()))]
    if np.isfinite(products).all():
        # In a sum of terms that cancel, all of it may be rounding.
        allowed = 1e-7 * (np.abs(one).sum() + np.abs(other).sum()) + 1e-9 * scale
        assert abs(products[0] - products[1]) <= allowed + 1e-300


# Products with the least of numbers lose digits.
seed_weights = st.floats(-4, 4).map(lambda weight: weight if abs(weight) > 1e-100 else 0.0)


@given(computable(), st.lists(seed_weights, min_size=4, max_size=4))
def test_gradients_are_linear_in_the_seeds(nodes: Nodes, weights: list[float]) -> None:
    graph = graph_of(nodes)
    outputs = [graph.ids[k] for k in graph.outputs]
    assume(np.isfinite(gradient(graph).gradients).all())
    one, other = (dict(zip(outputs, pair, strict=False)) for pair in (weights[:2], weights[2:]))
    parts = [gradient(graph, seeds=seeds).gradients for seeds in (one, other)]
    whole = gradient(graph, seeds={node: one[node] + other[node] for node in outputs}).gradients
    apart = np.sum(
        [np.abs(gradient(graph, seeds={node: seeds[node]}).gradients) for seeds in (one, other) for node in outputs],
        axis=0,
    )
    np.testing.assert_array_less(np.abs(whole - parts[0] - parts[1]), 1e-9 * (apart + np.abs(apart).max()) + 1e-300)
    # A power of two changes exponents alone.
    doubled = gradient(graph, seeds={node: 2 * one[node] for node in outputs}).gradients
    assert (doubled == 2 * parts[0]).all()


@given(computable(), st.randoms(use_true_random=False))
def test_the_order_of_nodes_changes_nothing(nodes: Nodes, chance: random.Random) -> None:
    graph = graph_of(nodes)
    shuffled = list(nodes)
    chance.shuffle(shuffled)
    document = graph.to_document()
    other = Graph.from_document(
        {**document, "nodes": [n for s in shuffled for n in document["nodes"] if n["id"] == s["id"]]}
    )
    places = [other.position(node) for node in graph.ids]
    one, two = gradient(graph), gradient(other)
    assume(np.isfinite(one.gradients).all())
    assert one.values.tobytes() == two.values[places].tobytes()
    np.testing.assert_allclose(two.gradients[places], one.gradients, rtol=1e-9, atol=1e-9 * np.abs(one.gradients).max())
    assert sorted(other.ids[k] for k in two.nonsmooth) == sorted(graph.ids[k] for k in one.nonsmooth)


@given(computable(), st.data())
def test_neutral_operations_change_nothing(nodes: Nodes, data: st.DataObject) -> None:
    """x * 1, x + 0, and what takes two turns to be the same, put into some of the edges."""
    graph = graph_of(nodes)
    neutral = {
        "mul": lambda x: {"op": "mul", "inputs": [x, 1.0]},
        "add": lambda x: {"op": "add", "inputs": [x, 0.0]},
        "pow": lambda x: {"op": "pow", "inputs": [x, 1.0]},
        "sum": lambda x: {"op": "sum", "inputs": [x]},
        "max": lambda x: {"op": "max", "inputs": [x, x, x]},
    }
    longer: Nodes = []
    for node in nodes:
        inputs = []
        for operand in node.get("inputs", []):
            kind = data.draw(st.sampled_from(["", "", *neutral]))
            if kind:
                longer.append({"id": f"{kind}{len(longer)}", **neutral[kind](operand)})
            inputs.append(longer[-1]["id"] if kind else operand)
        longer.append(node if node["op"] == "input" else {**node, "inputs": inputs})
    other = Graph.from_document({"nodes": longer, "outputs": graph.to_document()["outputs"]})
    places = [other.position(node) for node in graph.ids]
    one, two = gradient(graph), gradient(other)
    assume(np.isfinite(one.gradients).all())
    # Distinct nodes of one value tie where one node twice does not.
    assume([other.ids[k] for k in two.nonsmooth] == [graph.ids[k] for k in one.nonsmooth])
    np.testing.assert_array_equal(two.values[places], one.values)
    np.testing.assert_allclose(two.gradients[places], one.gradients, rtol=1e-9, atol=1e-9 * np.abs(one.gradients).max())
