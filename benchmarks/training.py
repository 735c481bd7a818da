"""micrograd's demonstration: a perceptron 2-16-16-1 learns 100 moons in 100 full-batch steps, as one request."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.graphs import Columns, hinge_loss, moons, perceptron, perceptron_parameters
from benchmarks.peers import closures, evaluate, leaf_data
from benchmarks.report import Goal, Section, number
from benchmarks.requests import Application, post
from benchmarks.timing import once_ns

SAMPLES = 100
DECAY = 2e-4  # the gradient of 1e-4 times the sum of the squared parameters
RATE, LAST_RATE = 1.0, 0.1


def request(steps: int) -> bytes:
    """The whole training as a run of kind `descent` over a graph of one sample."""
    graph = Columns()
    parameters = perceptron_parameters(graph)
    count = len(graph)
    x, y, label = graph.input(0.0), graph.input(0.0), graph.input(0.0)
    margin = graph.node("mul", label, perceptron(graph, parameters, [x, y]))
    loss = graph.node("relu", graph.node("sub", graph.constant(1.0), margin))
    points, labels = moons(SAMPLES)
    return orjson.dumps(
        {
            "kind": "descent",
            "graph": graph.document(loss),
            "minimize": str(loss),
            "parameters": [str(position) for position in range(count)],
            "optimizer": {
                "name": "sgd",
                "learning_rate": RATE,
                "weight_decay": DECAY,
                "schedule": "linear",
                "end_factor": LAST_RATE / RATE,
            },
            "steps": steps,
            "data": {str(x): points[:, 0].tolist(), str(y): points[:, 1].tolist(), str(label): labels.tolist()},
        }
    )


def train_closures(columns: dict[str, list[Any]], output: int, steps: int) -> tuple[float, NDArray[np.float64]]:
    """Nanoseconds and losses of the same training with micrograd's design: all samples' graph anew in every step.

    The garbage of a step is collected between steps, off the clock: Python's collector, left to itself, takes several
    times as long as the training.
    """
    data, is_input = leaf_data(columns)
    losses = []
    elapsed = 0.0

    def take(step: int) -> float:
        leaves = [closures.Scalar(number) for number in data]
        loss = evaluate(columns, leaves, closures.OPERATIONS)[output]
        closures.backward(loss)
        rate = RATE - (RATE - LAST_RATE) * step / steps
        for place, leaf in enumerate(leaves):
            if is_input[place]:
                data[place] -= rate * (leaf.grad + DECAY * leaf.data)
        return loss.data

    gc.disable()
    try:
        for step in range(steps):
            duration, loss = once_ns(partial(take, step))
            elapsed += duration
            losses.append(loss)
    finally:
        gc.enable()
    return elapsed, np.array(losses)


def section(report: Callable[[str], None], app: Application, steps: int) -> Section:
    """`app` is the service; the closures take about 0.1 s a step."""
    document = hinge_loss(SAMPLES)
    body = request(steps)
    post(app, "/v1/runs", body)
    ours, answer = once_ns(lambda: post(app, "/v1/runs", body))
    history = np.array(orjson.loads(answer)["history"]["objective"])
    theirs, losses = train_closures(document["columns"], document["outputs"][0], steps)
    # Rounding grows from step to step, faster where a relu switches: only the beginning has to agree closely.
    if not np.allclose(history[:10], losses[:10], rtol=1e-9):
        raise AssertionError(f"the trainings differ: {history[:10]} and {losses[:10]}")
    report(f"training: {ours / 1e6:.0f} ms, closures {theirs / 1e6:.0f} ms, loss {history[-1]:.4f}")
    return Section(
        "Training",
        f"micrograd's demonstration: a perceptron 2-16-16-1 with hinge loss on {SAMPLES} moons, {steps} full-batch "
        "steps of gradient descent. Chainrule's time is one whole request of kind `descent`, stored.",
        ["", "ms", "last loss"],
        [
            ["Chainrule, one request", number(ours / 1e6), number(history[-1])],
            ["micrograd's design", number(theirs / 1e6), number(losses[-1])],
        ],
        [
            Goal("micrograd's training / ours", 100, theirs / ours, at_least=True),
            Goal("hinge loss at the end", 0.3, float(history[-1])),
        ],
    )
