"""Descent: the optimizers' formulas, schedules, batches, early ends, and the same bits whoever computes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine import blocks
from engine.derivatives import gradient
from engine.descent import Descent, descend
from engine.graph import Graph
from engine.optimizers import Adam, Optimizer, Sgd

LECTURE = Graph.from_document(
    {"expression": "e = a*b\nd = e + c\nL = d*f", "data": {"a": 2, "b": -3, "c": 10, "f": -2}}
)
VALLEY = Graph.from_document({"expression": "L = (1 - x)**2 + 10 * (y - x**2)**2", "data": {"x": -1.2, "y": 1.0}})
LINE = Graph.from_document({"expression": "L = (slope * u + offset - t)**2", "data": {"slope": 0, "offset": 0}})


def valley_slope(p: np.ndarray) -> np.ndarray:
    x, y = p
    return np.array([-2 * (1 - x) - 40 * x * (y - x**2), 20 * (y - x**2)])


def line_data(rows: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(7)
    u = generator.normal(size=rows)
    return {"u": u, "t": 3 * u - 1 + 0.1 * generator.normal(size=rows)}


def test_the_lectures_nudge() -> None:
    found = descend(LECTURE, "L", ["a", "b", "c", "f"], Sgd(learning_rate=0.01), 1, maximize=True)
    np.testing.assert_allclose(found.parameters, [2.06, -3.04, 9.98, -1.96], rtol=1e-15)
    assert found.objective.tolist() == [-8.0]
    assert found.value == pytest.approx(-7.286496, rel=1e-15)
    assert found.outputs.tolist() == [found.value]
    assert found.stopped == "steps"


def reference(optimizer: dict[str, Any], p: np.ndarray, steps: int, maximize: bool) -> np.ndarray:
    """torch.optim's SGD and Adam, from their documentation's pseudocode, in plain numpy."""
    p = p.copy()
    lr, decay = optimizer["learning_rate"], optimizer.get("weight_decay", 0.0)
    buffer, first, second = None, np.zeros_like(p), np.zeros_like(p)
    for t in range(1, steps + 1):
        g = -valley_slope(p) if maximize else valley_slope(p)
        if decay != 0:
            g = g + decay * p
        if "beta1" in optimizer:
            b1, b2 = optimizer["beta1"], optimizer["beta2"]
            first = b1 * first + (1 - b1) * g
            second = b2 * second + (1 - b2) * g**2
            first_hat, second_hat = first / (1 - b1**t), second / (1 - b2**t)
            p = p - lr * first_hat / (np.sqrt(second_hat) + optimizer["epsilon"])
        else:
            buffer = g if t == 1 else optimizer.get("momentum", 0.0) * buffer + g
            p = p - lr * buffer
    return p


ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Sgd, {"learning_rate": 0.001}),
        (Sgd, {"learning_rate": 0.001, "momentum": 0.9}),
        (Sgd, {"learning_rate": 0.001, "momentum": 0.5, "weight_decay": 0.1}),
        (Adam, {"learning_rate": 0.02, **ADAM}),
        (Adam, {"learning_rate": 0.02, "beta1": 0.7, "beta2": 0.9, "epsilon": 1e-3, "weight_decay": 0.2}),
    ],
)
def test_optimizers_take_the_steps_of_torch(kind: type[Optimizer], options: dict[str, float], maximize: bool) -> None:
    steps = 5 if maximize and kind is Sgd else 30
    found = descend(VALLEY, "L", ["x", "y"], kind(**options), steps, maximize=maximize)
    np.testing.assert_allclose(found.parameters, reference(options, np.array([-1.2, 1.0]), steps, maximize), rtol=1e-12)


# Computed once by torch 2.13.0: 20 steps of torch.optim.SGD and torch.optim.Adam in float64.
TORCH: list[tuple[Optimizer, list[float]]] = [
    (Sgd(learning_rate=0.001, momentum=0.9, weight_decay=0.01), [-0.9444633030644256, 0.7999301270092892]),
    (Adam(learning_rate=0.02, weight_decay=0.01), [-0.9735366987754216, 1.132292439106618]),
]


@pytest.mark.parametrize(("optimizer", "expected"), TORCH)
def test_numbers_that_torch_computed(optimizer: Optimizer, expected: list[float]) -> None:
    found = descend(VALLEY, "L", ["x", "y"], optimizer, 20)
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 0.5, 0.5, 0.5]),
        ("linear", [0.5, 0.3875, 0.275, 0.1625]),
        ("cosine", [0.5 * (0.1 + 0.9 * (1 + math.cos(math.pi * k / 4)) / 2) for k in range(4)]),
    ],
)
def test_schedules(schedule: Any, expected: list[float]) -> None:
    optimizer = Sgd(learning_rate=0.5, schedule=schedule, end_factor=0.1)
    np.testing.assert_allclose([optimizer.rate(k, 4) for k in range(4)], expected, rtol=1e-15)
    # Of L = x, each step subtracts its learning rate.
    found = descend(Graph.from_document({"expression": "L = x + 0", "data": {"x": 0}}), "L", ["x"], optimizer, 4)
    np.testing.assert_allclose(found.objective, np.concatenate([[0.0], -np.cumsum(expected)[:-1]]), rtol=1e-15)
    assert found.value == pytest.approx(-sum(expected))


def test_data_is_averaged_over_its_rows() -> None:
    data = line_data(300)
    found = descend(LINE, "L", ["slope", "offset"], Sgd(learning_rate=0.1), 200, data=data)
    slope, offset = np.polyfit(data["u"], data["t"], 1)
    np.testing.assert_allclose(found.parameters, [slope, offset], rtol=1e-9)
    assert found.objective[0] == pytest.approx(np.mean(data["t"] ** 2), rel=1e-12)
    residuals = found.parameters[0] * data["u"] + found.parameters[1] - data["t"]
    assert found.value == pytest.approx(np.mean(residuals**2), rel=1e-12)
    assert found.outputs == pytest.approx([found.value])
    np.testing.assert_allclose(found.gradients, 0.0, atol=1e-9)


def test_the_first_gradient_is_the_mean_of_those_of_the_rows() -> None:
    data = line_data(37)
    start = {"slope": 0.5, "offset": -2.0}
    found = descend(LINE, "L", ["slope", "offset"], Sgd(learning_rate=1e-3), 0, inputs=start, data=data)
    rows = [gradient(LINE, start | {name: column[k] for name, column in data.items()}).gradients for k in range(37)]
    mean = np.mean(rows, axis=0)
    places = [LINE.position("slope"), LINE.position("offset")]
    np.testing.assert_allclose(found.gradients, mean[places], rtol=1e-13)
    assert found.objective.size == 0


def test_mini_batches_see_every_row_once_an_epoch() -> None:
    """With L = w * u and a step of 0, the history holds the batches' means of u."""
    graph = Graph.from_document({"expression": "L = w * u", "data": {"w": 1}})
    u = 2.0 ** np.arange(10)
    found = descend(graph, "L", ["w"], Sgd(learning_rate=0.0), 6, data={"u": u}, batch_size=4, seed=3)
    sums = found.objective.reshape(2, 3) * [4, 4, 2]
    assert sums.sum(axis=1).tolist() == [u.sum(), u.sum()]
    drawn = [{k for k in range(10) if int(total) >> k & 1} for total in sums.ravel()]
    assert [len(rows) for rows in drawn] == [4, 4, 2, 4, 4, 2]
    assert drawn[:3] != drawn[3:]


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    def run(seed: int, threads: int | None = None) -> Descent:
        return descend(
            LINE, "L", ["slope", "offset"], Adam(learning_rate=0.05), 20,
            data=line_data(50), batch_size=8, seed=seed, threads=threads,
        )  # fmt: skip

    assert run(1).objective.tobytes() == run(1, threads=1).objective.tobytes()
    assert run(1).objective.tobytes() != run(2).objective.tobytes()


def test_mini_batches_keep_every_row_where_more_threads_share_them_than_share_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of four threads, five blocks of 128 rows take three and four blocks take four."""
    monkeypatch.setattr(blocks, "_SHARE", 1)

    def run(threads: int) -> bytes:
        found = descend(
            LINE, "L", ["slope", "offset"], Sgd(learning_rate=0.05), 4,
            data=line_data(640), batch_size=512, threads=threads,
        )  # fmt: skip
        return found.objective.tobytes() + found.parameters.tobytes()

    assert run(4) == run(1)


def test_the_number_of_threads_does_not_change_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    data = line_data(300_000)  # enough rows for several threads to be started

    def run(threads: int) -> tuple[bytes, bytes]:
        found = descend(LINE, "L", ["slope", "offset"], Sgd(learning_rate=0.05), 2, data=data, threads=threads)
        return found.parameters.tobytes(), found.objective.tobytes()

    assert run(1) == run(2) == run(3)


def test_a_non_finite_objective_stops_and_keeps_the_history() -> None:
    graph = Graph.from_document({"expression": "L = log(x)", "data": {"x": 1.5}})
    found = descend(graph, "L", ["x"], Sgd(learning_rate=1.0), 100)
    assert found.stopped == "nonfinite"
    assert len(found.objective) == 3
    assert np.isfinite(found.objective[:-1]).all()
    assert not np.isfinite(found.objective[-1])
    # The last step moved nothing: what it saw is what the parameters give.
    np.testing.assert_array_equal(found.objective[-1], found.value)
    assert np.isfinite(found.parameters).all()


def test_an_infinite_slope_stops_before_it_spoils_the_parameters() -> None:
    graph = Graph.from_document({"expression": "L = sqrt(x)", "data": {"x": 0.0}})
    found = descend(graph, "L", ["x"], Sgd(learning_rate=1.0), 5)
    assert (found.stopped, found.objective.tolist(), found.parameters.tolist()) == ("nonfinite", [0.0], [0.0])


def test_patience_ends_a_descent_that_no_longer_improves() -> None:
    found = descend(VALLEY, "L", ["x", "y"], Adam(learning_rate=0.1), 10_000, patience=20, min_improvement=1e-9)
    assert found.stopped == "patience"
    assert len(found.objective) < 5_000
    assert found.value < 1e-3
    best = np.minimum.accumulate(found.objective)
    assert best[-21] - best[-1] <= 20e-9


def test_each_step_is_reported_and_a_checkpoint_can_stop_it() -> None:
    seen: list[tuple[int, int]] = []

    class StoppedError(Exception):
        pass

    def stop() -> None:
        if len(seen) == 3:
            raise StoppedError

    for data in (None, line_data(10)):
        seen.clear()
        graph = VALLEY if data is None else LINE
        parameters = ["x", "y"] if data is None else ["slope", "offset"]
        with pytest.raises(StoppedError):
            descend(
                graph, "L", parameters, Sgd(learning_rate=1e-4), 10, data=data,
                checkpoint=stop, report=lambda done, total: seen.append((done, total)),
            )  # fmt: skip
        assert seen == [(1, 10), (2, 10), (3, 10)]


def test_an_objective_inside_the_graph_and_outputs_elsewhere() -> None:
    graph = Graph.from_document({"expression": "loss = (x - 3)**2\nshown = loss * 2 + k", "data": {"x": 0, "k": 1}})
    found = descend(graph, "loss", ["x"], Sgd(learning_rate=0.5), 1, inputs={"k": 7.0})
    assert found.parameters.tolist() == [3.0]
    assert (found.value, found.outputs.tolist()) == (0.0, [7.0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"u": np.zeros(3), "t": np.zeros(4)}, "one common length"),
        ({"u": np.zeros(0), "t": np.zeros(0)}, "at least 1"),
        ({"u": np.zeros(3)}, "no data for t"),
        ({"u": np.zeros(3), "t": np.zeros(3), "slope": np.zeros(3)}, "both parameters and data: slope"),
    ],
)
def test_data_that_does_not_fit_is_a_value_error(data: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        descend(LINE, "L", ["slope", "offset"], Sgd(learning_rate=0.1), 1, data=data)


def test_unknown_nodes_are_key_errors() -> None:
    for objective, parameters in (("L", ["nobody"]), ("nobody", ["x"])):
        with pytest.raises(KeyError, match="nobody"):
            descend(VALLEY, objective, parameters, Sgd(learning_rate=0.1), 1)


def moons() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    angle = generator.uniform(0, math.pi, 100)
    upper = np.arange(100) % 2 == 0
    u = np.where(upper, np.cos(angle), 1 - np.cos(angle)) + generator.normal(0, 0.1, 100)
    w = np.where(upper, np.sin(angle), 0.5 - np.sin(angle)) + generator.normal(0, 0.1, 100)
    return {"u": u, "w": w, "t": np.where(upper, 1.0, -1.0)}


def test_a_network_learns_two_moons() -> None:
    """micrograd's demonstration: 2-16-16-1 with relu, hinge loss, 100 full-batch steps, rate from 1 down to 0.1."""
    generator = np.random.default_rng(1)
    nodes: list[dict[str, Any]] = [{"id": node, "op": "input"} for node in ("u", "w", "t")]
    parameters: list[str] = []

    def parameter(value: float) -> str:
        parameters.append(f"p{len(parameters)}")
        nodes.append({"id": parameters[-1], "op": "input", "data": value})
        return parameters[-1]

    def apply(op: str, *inputs: str | float) -> str:
        nodes.append({"id": f"n{len(nodes)}", "op": op, "inputs": list(inputs)})
        return str(nodes[-1]["id"])

    layer = ["u", "w"]
    for size in (16, 16, 1):
        sums = []
        for _ in range(size):
            products = [apply("mul", parameter(generator.uniform(-1, 1)), node) for node in layer]
            sums.append(apply("sum", *products, parameter(0.0)))
        layer = [apply("relu", node) for node in sums] if size > 1 else sums
    hinge = apply("relu", apply("sub", 1.0, apply("mul", "t", layer[0])))
    loss = apply("add", hinge, apply("mul", 1e-4, apply("sum", *(apply("square", node) for node in parameters))))
    assert len(parameters) == 337
    graph = Graph.from_document({"nodes": nodes, "outputs": [loss]})
    optimizer = Sgd(learning_rate=1.0, schedule="linear", end_factor=0.1)
    found = descend(graph, loss, parameters, optimizer, 100, data=moons())
    assert found.objective[0] > 0.7
    assert found.value < 0.3
    assert len(found.objective) == 100
