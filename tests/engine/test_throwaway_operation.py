"""Adding an operation is one entry in one file: all the rest follows from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from engine import handbook

ROOT = Path(__file__).parents[2]

ENTRIES = """
    _unary(
        "softsign",
        "x / (1 + abs(x))",
        "square(1 / (1 + abs(x)))",
        "x, squeezed between -1 and 1.",
        aliases=("squeeze",),
        shown=("1 / (1 + abs(x))**2",),
    ),
    _binary("product_of_squares", "a * a * b * b", "2 * a * square(b)", "2 * b * square(a)", "(a b)^2."),
"""

SCRIPT = """
import math

import numpy as np

import engine
from engine.backward import backward_graph
from engine.check import check
from engine.derivatives import batch, gradient, hessian, jvp
from engine.graph import Graph, GraphError
from engine.operations import NAMES, resolve, suggest
from engine.value import Value

# Known by name and alias, to documents of every form, and its arity is checked.
assert NAMES[resolve("squeeze", 1)] == "softsign"
assert suggest("sofsign") == "softsign"
text = "s = softsign(x * 3)\\nproduct_of_squares(s, y)"
graph = Graph.from_document({"expression": text, "data": {"x": -0.5, "y": 2}})
assert Graph.from_document(graph.to_document()) == graph
assert Graph.from_document(graph.to_columns()).ops.tolist() == graph.ops.tolist()
try:
    Graph.from_document({"nodes": [{"id": "x", "op": "input"}, {"id": "s", "op": "squeeze", "inputs": ["x", "x"]}]})
except GraphError as error:
    assert error.errors[0]["code"] == "WRONG_ARITY", error
else:
    raise AssertionError("two inputs accepted")

# Value and gradient: s = -1.5 / 2.5 = -0.6, L = s^2 y^2, dL/dx = 2 s y^2 * 3 / 2.5^2, dL/dy = 2 y s^2.
found = gradient(graph)
s, x, y = (graph.position(node) for node in ("s", "x", "y"))
assert math.isclose(found.values[s], -0.6) and math.isclose(found.values[graph.outputs[0]], 1.44)
assert math.isclose(found.gradients[x], 2 * -0.6 * 4 * 3 / 6.25) and math.isclose(found.gradients[y], 2 * 2 * 0.36)
rows = batch(graph, {"x": np.array([-0.5, 0.5])}, value_of=[s], gradient_of=[x])
assert rows.values[0, 0] == found.values[s] and rows.gradients[0, 0] == found.gradients[x]
assert math.isclose(jvp(graph, {"x": 1.0})[1][0], found.gradients[x])
assert check(graph).passed.all()

# Second derivatives, from the same entry: of softsign(u) for u < 0 it is 2 / (1 - u)^3.
matrix = hessian(graph, wrt=["x", "y"])[1]
slope, bend = 3 / 6.25, 9 * 2 / 2.5**3
assert np.allclose(matrix, [[2 * 4 * (slope**2 - 0.6 * bend), 4 * 2 * -0.6 * slope], [4 * 2 * -0.6 * slope, 2 * 0.36]])

# The backward graph, Value's method and function.
back = backward_graph(graph)
assert math.isclose(gradient(back).values[back.position("d_x")], found.gradients[x])
value = Value(-1.5)
assert math.isclose(value.softsign().data, -0.6) and math.isclose(engine.softsign(value).data, -0.6)
result = value.softsign()
result.backward()
assert math.isclose(value.grad, 1 / 6.25)
"""


def run(folder: Path, *arguments: str) -> None:
    # Uncompiled: the loops are the same, and minutes of compiling are saved.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_entry_in_the_table_is_all_it_takes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    table = tmp_path / "engine" / "operations.py"
    head = "OPERATIONS: tuple[Operation, ...] = (\n"
    before, found, after = table.read_text().partition(head)
    assert found
    table.write_text(before + head + ENTRIES + after)
    run(tmp_path, "-m", "engine.generate")
    run(tmp_path, "-c", SCRIPT)
    page = (tmp_path / "docs" / "operations.md").read_text()
    assert "| `softsign` | `squeeze` | x, squeezed between -1 and 1. | `x / (1 + abs(x))` |" in page
    assert "`product_of_squares`" in page


def test_the_page_of_operations_is_that_of_the_table() -> None:
    assert (ROOT / "docs" / "operations.md").read_text() == handbook.page(), "run python -m engine.generate"
