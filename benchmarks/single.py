"""One graph, all values and gradients: the engine beside its peers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np

from benchmarks.graphs import GRAPHS, random_graph
from benchmarks.peers import Answer, chainrule, chainrule_tape, floor_run
from benchmarks.report import Goal, Section, number
from benchmarks.timing import median_ns, once_ns
from engine.tape import Tape

MODULES = (
    "c_loop",
    "chainrule_tape",
    "chainrule",
    "casadi_leaves",
    "casadi_machine",
    "closures",
    "pytorch",
    "hips",
    "jax_jit",
)


def available_peers() -> list[ModuleType]:
    """The peers whose libraries are here; what is missing is said on standard error."""
    peers = []
    for name in MODULES:
        try:
            peers.append(importlib.import_module(f"benchmarks.peers.{name}"))
        except (ImportError, OSError) as reason:
            print(f"left out {name}: {reason}", file=sys.stderr)
    return peers


def agree(answer: Answer, reference: Answer, who: str) -> None:
    """Raise where a peer computed something else; gradients are sums whose order is each peer's own."""
    scale = max(1.0, float(np.abs(reference.gradients).max()))
    if not np.isclose(answer.value, reference.value, rtol=1e-9) or not np.allclose(
        answer.gradients, reference.gradients, rtol=1e-7, atol=1e-9 * scale
    ):
        raise AssertionError(f"{who} disagrees")


Times = dict[str, dict[str, float]]

WHY_NOT_C = (
    "a run allocates its arrays, which the C loop keeps, and its backward loop tells a NaN that an exact zero made "
    "from any other. On the perceptron the forward loop takes 1.6 ns a node and the backward loop 1.5, where C takes "
    "2.3 for both."
)
WHY_NOT_CASADI = (
    "in a chain each node waits for the one before it, and sine and cosine are most of the time of both; no layout of "
    "the tape helps."
)
WHY_NOT_DIFFERENT = (
    "the C loop over the same graphs is not much faster (see below): the processor mispredicts which operation is "
    "next, and a fifth of the operations are tanh, sigmoid and sine with their derivatives."
)


def measure_peers(report: Callable[[str], None], largest: int) -> tuple[Times, Times]:
    """Build and run times, in nanoseconds per node, by peer and graph."""
    build: Times = {}
    run: Times = {}
    peers = available_peers()
    for name, generate in GRAPHS.items():
        document = generate()
        columns, (output,) = document["columns"], document["outputs"]
        nodes = len(columns["op"])
        if nodes > largest:
            continue
        prepared = chainrule.build(columns, output)
        reference = prepared.read(prepared.run())
        for peer in peers:
            if nodes > peer.LIMIT:
                continue
            built_in, prepared = once_ns(partial(peer.build, columns, output))
            agree(prepared.read(prepared.run()), reference, f"{peer.NAME} on {name}")
            ran_in = median_ns(prepared.run, seconds=1.0, least=3)
            if peer.NAME != "C loop":  # its arrays are made by Python lists, which is nobody's way to build one
                build.setdefault(peer.NAME, {})[name] = built_in / nodes
            run.setdefault(peer.NAME, {})[name] = ran_in / nodes
            report(f"{name}: {peer.NAME} {ran_in / nodes:.1f} ns/node")
    return build, run


def first_runs(tapes: list[Tape], outputs: list[int]) -> float:
    """The time per node of each tape's very first sweeps, one tape after the other."""
    seeds = [tape.slots[[output]] for tape, output in zip(tapes, outputs, strict=True)]

    def run() -> None:
        for tape, seed in zip(tapes, seeds, strict=True):
            chainrule_tape.sweeps(tape, seed)

    elapsed, _ = once_ns(run)
    return elapsed / sum(tape.rows for tape in tapes)


def measure_different(graphs: int, nodes: int) -> tuple[float, float, float | None]:
    """ns per node to build the tapes of many different graphs, to run each once, and for the C loop to do so."""
    documents = [random_graph(nodes, seed) for seed in range(graphs)]
    checked = [chainrule.checked(document["columns"], document["outputs"][0]) for document in documents]
    outputs = [document["outputs"][0] for document in documents]
    runs, builds = [], []
    for _ in range(5):
        built_in, tapes = once_ns(lambda: [Tape(graph) for graph in checked])
        builds.append(built_in / (graphs * nodes))
        runs.append(first_runs(tapes, outputs))
    floors = [floor_run(document["columns"], document["outputs"][0]) for document in documents]
    floor = None
    if loops := [loop for loop in floors if loop]:
        floor = float(np.median([once_ns(lambda: [loop() for loop in loops])[0] for _ in range(5)])) / (graphs * nodes)
    return float(np.median(builds)), float(np.median(runs)), floor


def sections(report: Callable[[str], None], quick: bool) -> tuple[list[Section], Times]:
    """The measurements of this module, and the run times for the picture."""
    build, run = measure_peers(report, 10_000 if quick else 1_000_000)
    graphs = list(dict.fromkeys(name for times in run.values() for name in times))

    def rows(times: Times) -> list[list[str]]:
        return [[peer, *(number(row[g]) if g in row else "" for g in graphs)] for peer, row in times.items()]

    ours = run[chainrule_tape.NAME]
    goals = [
        *compare(run, ours, "C loop", 1.2, graphs, WHY_NOT_C),
        *compare(run, ours, "CasADi, every node", 0.6, graphs, WHY_NOT_CASADI),
        *compare(run, ours, "micrograd's design", 1 / 100, graphs),
        *compare(run, ours, "PyTorch", 1 / 500, graphs),
    ]
    again = "random, 10,000"
    if "C loop" in run:
        goals.append(
            Goal("a stored graph of 10,000 mixed nodes run again / C loop", 0.6, ours[again] / run["C loop"][again])
        )
    tables = [
        Section(
            "Values and gradients of one graph",
            "Nanoseconds per node to compute everything once more for a graph that is built already. *Sweeps* is what "
            "the C loop does, from the second run of the same graph on; *gradient()* is the public call, which also "
            "looks for kinks, disconnected inputs and non-finite numbers. micrograd's design, PyTorch and HIPS "
            "autograd build their graph anew in every run: that is how they work. PyTorch, HIPS autograd, JAX and "
            "*CasADi, inputs only* give the gradients of the inputs, the others those of every node. An empty "
            "field is a graph too large to wait for.",
            ["ns per node", *graphs],
            rows(run),
            goals,
        ),
        Section(
            "Building",
            "Nanoseconds per node from Python lists of operations and operands to something that runs; Chainrule's "
            "includes every check of the document.",
            ["ns per node", *graphs],
            rows(build),
        ),
    ]
    built, ran, floor = measure_different(20 if quick else 200, 1_000)
    report(f"200 different graphs: {ran:.1f} ns/node")
    document = random_graph(10_000 if quick else 100_000)
    large = chainrule.checked(document["columns"], document["outputs"][0])
    tape_time = median_ns(lambda: Tape(large)) / len(large)
    tape = Tape(large)
    memory = (tape.nbytes + tape.size * 8 * 2 + tape.rows * 16) / tape.rows
    tables.append(
        Section(
            "Graphs that are run once",
            "One graph run again and again flatters every design: the processor learns its branches. Here "
            "200 different random graphs of 1,000 nodes run one after the other, each for the first time.",
            ["", "ns per node"],
            [
                ["200 different graphs of 1,000 nodes, first run", number(ran)],
                ["the C loop over the same", number(floor) if floor else ""],
                ["their tapes from checked graphs", number(built)],
                ["a tape of 100,000 nodes from a checked graph", number(tape_time)],
                ["bytes per node of tape, values, local derivatives and gradients", number(memory)],
            ],
            [
                Goal("200 different graphs, ns per node", 14, ran, why=WHY_NOT_DIFFERENT),
                Goal("building a tape, ns per node", 25, max(built, tape_time)),
                Goal("bytes per node beyond the document", 100, memory),
            ],
        )
    )
    return tables, run


def compare(
    run: Times, ours: dict[str, float], peer: str, bound: float, graphs: list[str], why: str = ""
) -> list[Goal]:
    """The worst ratio of our time to a peer's over the graphs of at least 900 nodes that the peer ran."""
    ratios = {g: ours[g] / run[peer][g] for g in graphs if g in run.get(peer, {}) and g != "neuron"}
    if not ratios:
        return []
    worst = max(ratios, key=lambda g: ratios[g])
    return [Goal(f"values and gradients / {peer} (worst: {worst})", bound, ratios[worst], why=why)]
