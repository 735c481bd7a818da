"""Expressions: Python's precedence over a small whitelist, labels and ids as promised, and never a crash."""

from __future__ import annotations

import ast
import threading
from typing import Any

import pytest

from engine.graph import Graph, GraphError


def read(text: str, data: dict[str, Any] | None = None, **more: Any) -> Graph:
    document = {"expression": text, **more}
    return Graph.from_document(document if data is None else {**document, "data": data})


def rows(text: str) -> list[tuple[Any, ...]]:
    return [
        tuple(node[key] for key in ("id", "op", "inputs", "data") if key in node)
        for node in read(text).to_document()["nodes"]
    ]


def error_of(text: object, data: object = None, **how: Any) -> dict[str, Any]:
    document = {"expression": text} if data is None else {"expression": text, "data": data}
    with pytest.raises(GraphError) as caught:
        Graph.from_document(document, **how)
    (error,) = caught.value.errors
    return error


def test_the_lectures_expression() -> None:
    data = {"a": 2, "b": -3, "c": 10, "f": -2}
    graph = read("e = a*b\nd = e + c\nL = d*f", data)
    assert graph.to_document() == {
        "version": 1,
        "nodes": [
            {"id": "a", "op": "input", "data": 2.0},
            {"id": "b", "op": "input", "data": -3.0},
            {"id": "e", "op": "mul", "inputs": ["a", "b"]},
            {"id": "c", "op": "input", "data": 10.0},
            {"id": "d", "op": "add", "inputs": ["e", "c"]},
            {"id": "f", "op": "input", "data": -2.0},
            {"id": "L", "op": "mul", "inputs": ["d", "f"]},
        ],
        "outputs": ["L"],
    }
    assert Graph.from_document(graph.to_document()) == graph


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("-x**2", [("_1", "pow", ["x", 2.0]), ("_2", "neg", ["_1"])]),
        ("x ** -2", [("_1", "pow", ["x", -2.0])]),
        ("x**y**z", [("_1", "pow", ["y", "z"]), ("_2", "pow", ["x", "_1"])]),
        ("x - y - z", [("_1", "sub", ["x", "y"]), ("_2", "sub", ["_1", "z"])]),
        ("x - (y - z)", [("_1", "sub", ["y", "z"]), ("_2", "sub", ["x", "_1"])]),
        ("x / y * z", [("_1", "div", ["x", "y"]), ("_2", "mul", ["_1", "z"])]),
        ("-x * y", [("_1", "neg", ["x"]), ("_2", "mul", ["_1", "y"])]),
        ("--x", [("_1", "neg", ["x"]), ("_2", "neg", ["_1"])]),
        ("x + 2*3", [("_1", "mul", [2.0, 3.0]), ("_2", "add", ["x", "_1"])]),
        ("x + y < z * 2", [("_1", "add", ["x", "y"]), ("_2", "mul", ["z", 2.0]), ("_3", "lt", ["_1", "_2"])]),
        ("(x < y) * (y != z)", [("_1", "lt", ["x", "y"]), ("_2", "ne", ["y", "z"]), ("_3", "mul", ["_1", "_2"])]),
        ("x >= y", [("_1", "ge", ["x", "y"])]),
        ("x == 1", [("_1", "eq", ["x", 1.0])]),
        ("x - -3", [("_1", "sub", ["x", -3.0])]),
        (
            "where(x > 0, log(x), 0)",
            [("_1", "gt", ["x", 0.0]), ("_2", "log", ["x"]), ("_3", "where", ["_1", "_2", 0.0])],
        ),
        ("maximum(x, y, 2)", [("_1", "max", ["x", "y", 2.0])]),
        ("ReLU(x)", [("_1", "relu", ["x"])]),
        ("x*x + x*x", [("_1", "mul", ["x", "x"]), ("_2", "mul", ["x", "x"]), ("_3", "add", ["_1", "_2"])]),
        ("3", [("_1", "constant", 3.0)]),
        ("y = 3", [("y", "constant", 3.0)]),
        ("y = -3", [("y", "constant", -3.0)]),
        ("x", []),
        ("u = x*y; u + 1  # a comment", [("u", "mul", ["x", "y"]), ("_1", "add", ["u", 1.0])]),
        ("  u = (x +\n # why\n y)\r\n\n\tu * 2\r", [("u", "add", ["x", "y"]), ("_1", "mul", ["u", 2.0])]),
        ("max = x*y\nmax(max, 1)", [("max", "mul", ["x", "y"]), ("_1", "max", ["max", 1.0])]),
        ("gamma_1 * é", [("_1", "mul", ["gamma_1", "é"])]),
        ("_1 * (x + y)", [("_2", "add", ["x", "y"]), ("_3", "mul", ["_1", "_2"])]),
        ("_2 = x*(y + z)", [("_1", "add", ["y", "z"]), ("_2", "mul", ["x", "_1"])]),
        ("late = soon + 1\nsoon = x*2", [("late", "add", ["soon", 1.0]), ("soon", "mul", ["x", 2.0])]),
    ],
)
def test_what_text_means(text: str, nodes: list[tuple[Any, ...]]) -> None:
    assert [row for row in rows(text) if row[1] != "input"] == nodes


@pytest.mark.parametrize(
    "number",
    [
        "1",
        "1.5",
        ".5",
        "5.",
        "1e3",
        "1E-3",
        "1.5e+10",
        "1_000",
        "1_0.0_1e1_0",
        "0x1F",
        "0o17",
        "0b101",
        "0",
        "00",
        "1e-400",
    ],
)
def test_numbers_are_pythons(number: str) -> None:
    graph = read(f"x*{number}")
    assert graph.literals.tolist() == [float(ast.literal_eval(number))]


def test_big_integers_round_to_float64() -> None:
    assert read(f"x + {2**53 + 1}").literals.tolist() == [2.0**53]


def test_only_generated_nodes_have_labels_their_source() -> None:
    graph = read("y = tanh( x*w  + b )\nsum(y,é + 1 , 2)")
    labels = {graph.ids[position]: label for position, label in graph.labels.items()}
    assert labels == {"_1": "x*w", "_2": "x*w  + b", "_3": "é + 1", "_4": "sum(y,é + 1 , 2)"}


def test_a_long_label_is_cut() -> None:
    graph = read("+".join(["abcdefgh"] * 100))
    assert max(map(len, graph.labels.values())) == 500


def test_the_last_line_is_the_output() -> None:
    assert [read("y = x*2\nz = x*3").ids[k] for k in read("y = x*2\nz = x*3").outputs] == ["z"]
    graph = read("y = x*2\nz = x*3\ny")
    assert [graph.ids[k] for k in graph.outputs] == ["y"]
    graph = read("y = x*2\nz = x*3", outputs=["y", "z"])
    assert [graph.ids[k] for k in graph.outputs] == ["y", "z"]


def test_inputs_take_data_and_keep_their_place() -> None:
    graph = read("b*a", {"a": "Infinity", "b": 2})
    assert (graph.ids, graph.data.tolist()) == (["b", "a", "_1"], [2.0, float("inf"), 0.0])
    assert not read("x*2").has_data.any()


@pytest.mark.parametrize(
    ("text", "line", "column", "code", "words"),
    [
        ("", 1, 1, "SYNTAX_ERROR", "expected a name, a number"),
        ("# nothing\n;;\n", 1, 1, "SYNTAX_ERROR", "expected a name, a number"),
        ("y = a +", 1, 8, "SYNTAX_ERROR", "expected a name, a number"),
        ("y = a +\nz = b", 1, 8, "SYNTAX_ERROR", "found the end of the line"),
        ("a\n  * b", 2, 3, "SYNTAX_ERROR", "found '*'"),
        ("a b", 1, 3, "SYNTAX_ERROR", "expected an operator or the end of the line, found 'b'"),
        ("2x", 1, 1, "SYNTAX_ERROR", "'2x' is no number"),
        ("tanh(x", 1, 5, "SYNTAX_ERROR", "')' expected"),
        ("x)", 1, 2, "SYNTAX_ERROR", "found ')'"),
        ("tanh()", 1, 6, "SYNTAX_ERROR", "found ')'"),
        ("sum(x, y,)", 1, 10, "SYNTAX_ERROR", "found ')'"),
        ("(x, y)", 1, 3, "SYNTAX_ERROR", "arguments of a call"),
        ("sum(*x)", 1, 5, "SYNTAX_ERROR", "found '*'"),
        ("sum(x=1)", 1, 6, "SYNTAX_ERROR", "found '='"),
        ("x = y = z", 1, 7, "SYNTAX_ERROR", "assigns one name"),
        ("x + 1 = y", 1, 7, "SYNTAX_ERROR", "equality is written =="),
        ("x += 1", 1, 4, "SYNTAX_ERROR", "found '='"),
        ("x^2", 1, 2, "SYNTAX_ERROR", "written **"),
        ("x // y", 1, 4, "SYNTAX_ERROR", "floor(a / b)"),
        ("x % y", 1, 3, "SYNTAX_ERROR", "remainder"),
        ("+x", 1, 1, "SYNTAX_ERROR", "plus sign"),
        ("x.tanh()", 1, 2, "SYNTAX_ERROR", "tanh(x)"),
        ("x[0]", 1, 2, "SYNTAX_ERROR", "'['"),
        ("'text'", 1, 1, "SYNTAX_ERROR", "no meaning"),
        ("__import__('os')", 1, 12, "SYNTAX_ERROR", "no meaning"),
        ("lambda x: x", 1, 1, "SYNTAX_ERROR", "lambda_ can"),
        ("a*lambda", 1, 3, "SYNTAX_ERROR", "lambda_ can"),
        ("a if b else c", 1, 3, "SYNTAX_ERROR", "where(condition, a, b)"),
        ("a and b", 1, 3, "SYNTAX_ERROR", "multiplied"),
        ("not a", 1, 1, "SYNTAX_ERROR", "x == 0"),
        ("None", 1, 1, "SYNTAX_ERROR", "found 'None'"),
        ("a < b < c", 1, 1, "SYNTAX_ERROR", "(a < b) * (b < c)"),
        ("1j * x", 1, 1, "SYNTAX_ERROR", "no number"),
        ("007", 1, 1, "SYNTAX_ERROR", "leading zeros"),
        ("1e999 + x", 1, 1, "INVALID_VALUE", "beyond float64"),
        (f"x + {10**400}", 1, 5, "INVALID_VALUE", "beyond float64"),
        (f"x + {'1' * 5000}", 1, 5, "INVALID_VALUE", "digits"),
        ("n" * 129, 1, 1, "INVALID_VALUE", "128"),
        ("\ufb01x", 1, 1, "SYNTAX_ERROR", "'fix'"),
        ("x = 1\ny = x", 2, 1, "SYNTAX_ERROR", "another name"),
        ("x = 1\nx = 2", 2, 1, "DUPLICATE_ID", "line 1"),
        ("x*2\ny = x*3", 1, 1, "SYNTAX_ERROR", "last line"),
        ("y = tanh(x) + tanhh(x)", 1, 15, "UNKNOWN_OPERATION", "did you mean tanh?"),
        ("é + tanhh(x)", 1, 5, "UNKNOWN_OPERATION", "did you mean tanh?"),
        ("tahn(x)", 1, 1, "UNKNOWN_OPERATION", "did you mean tanh?"),
        ("x\u00a0+ y", 1, 2, "SYNTAX_ERROR", "U+00A0 (no-break space) has no meaning here; write an ordinary space"),
        ("x + é\u200b", 1, 6, "SYNTAX_ERROR", "U+200B (zero width space) has no meaning here; remove it"),
        ("input(x)", 1, 1, "UNKNOWN_OPERATION", "is an input"),
        ("y = (1 +\n tanh(x, y))", 2, 2, "WRONG_ARITY", "tanh takes 1 input, not 2"),
        ("add(x, y, z)", 1, 1, "WRONG_ARITY", "sum takes any number"),
        ("x = x + 1", 1, 5, "CYCLE", "'x'"),
        ("a = b + 1\nb = a + x", 1, 5, "CYCLE", "'a' → 'b' → 'a'"),
    ],
)
def test_an_error_says_where_and_what(text: str, line: int, column: int, code: str, words: str) -> None:
    error = error_of(text, pointer="/graph")
    assert (error["pointer"], error["code"]) == ("/graph/expression", code)
    assert (error["line"], error["column"]) == (line, column)
    assert words in error["detail"]


@pytest.mark.parametrize(
    ("data", "pointer", "code"),
    [
        (None, "/data", "INVALID_VALUE"),
        ([], "/data", "INVALID_VALUE"),
        ({"x": None}, "/data/x", "NOT_A_NUMBER"),
        ({"x": "1"}, "/data/x", "NOT_A_NUMBER"),
        ({"nobody": 1}, "/data/nobody", "UNKNOWN_NODE"),
        ({"y": 1}, "/data/y", "UNKNOWN_FIELD"),
        ({"a/b": 1}, "/data/a~1b", "UNKNOWN_NODE"),
    ],
)
def test_data_is_for_inputs(data: object, pointer: str, code: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.from_document({"expression": "y = x*2", "data": data})
    assert [(error["pointer"], error["code"]) for error in caught.value.errors] == [(pointer, code)]


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, "INVALID_VALUE"), (3, "INVALID_VALUE"), ("x\0", "INVALID_VALUE"), ("\ud800", "INVALID_VALUE")],
)
def test_what_is_no_text(text: object, code: str) -> None:
    error = error_of(text)
    assert (error["pointer"], error["code"]) == ("/expression", code)


def test_every_line_with_an_error_is_told() -> None:
    with pytest.raises(GraphError) as caught:
        read("a = x +\nb = tanh(x)\nc = ]\nd = 1 2")
    assert [(error["line"], error["column"]) for error in caught.value.errors] == [(1, 8), (3, 5), (4, 7)]
    with pytest.raises(GraphError) as caught:
        read("a = x +\nb = y *\nc = tanh(\nd = 2 2")
    assert [(error["line"], error["column"]) for error in caught.value.errors] == [(1, 8), (2, 8), (4, 3)]


def test_limits() -> None:
    assert error_of("x" * 1_000_001)["code"] == "LIMIT_EXCEEDED"
    assert error_of("a*b*c", max_nodes=4)["code"] == "TOO_MANY_NODES"
    assert len(Graph.from_document({"expression": "a*b*c"}, max_nodes=5)) == 5


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("(" * 100_000, None),
        ("1" * 900_000 + "x", None),
        ("1_" * 400_000, None),
        ("x" * 900_000, None),
        (" " * 900_000 + "$", None),
        ("tanh(" * 100_000, None),
        ("-" * 100_000 + "x", None),
        ("+".join("a" * 100_000), None),
        ("**".join("a" * 100_000), None),
        ("<".join("a" * 1_000), None),
        ("(a + " * 1_000 + "b" + ")" * 1_000, None),
        ("f(" * 99 + "$", None),
        ("((((((((((" * 9 + "a + " * 900 + "]", None),
        ("+".join("a" * 1_000), 1_000),
        ("**".join("a" * 400), 400),
        ("-" * 400 + "x", 401),
        ("(a + " * 90 + "b" + ")" * 90, 92),
        ("-(" * 80 + "x**-y" + ")" * 80, 84),
        ("sum(" + ",".join(["a*b"] * 2_000) + ")", 2_003),
    ],
)
def test_deep_nesting_neither_crashes_nor_needs_much_stack(text: str, nodes: int | None) -> None:
    answers: list[int | None] = []

    def work() -> None:
        try:
            answers.append(len(read(text)))
        except GraphError:
            answers.append(None)

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert answers == [nodes]


@pytest.mark.parametrize(
    "text",
    [
        "e = a * b\nd = e + c\nL = d * f",
        "y = where(x > 0, log(x), 0)",
        "c2 = c1 + (1 + c1 + -a)",
        "y = -(a + b)**2 / (c - (d - e))",
        "y = (-2)**x**-z",
        "y = neg(3) - -2.5 + neg(-1)",
        "y = (a < b) == (c < d)",
        "y = a * (b / c) / (d * e) - -x",
        "p = a * b\nq = a + b\np",
        "c = 0.1\ny = c * x",
    ],
)
def test_a_graph_is_written_as_people_would(text: str) -> None:
    assert read(text).to_expression()["expression"] == text


def test_ids_that_are_no_names_get_one() -> None:
    nodes = [
        {"id": "x 1", "op": "input", "data": 1},
        {"id": "x_1", "op": "constant", "data": "Infinity"},
        {"id": "lambda", "op": "mul", "inputs": ["x 1", "x_1"]},
        {"id": "unused", "op": "input", "data": 3},
    ]
    document = Graph.from_document({"name": "g", "nodes": nodes, "outputs": ["lambda", "x 1"]}).to_expression()
    assert document == {
        "version": 1,
        "name": "g",
        "expression": "# x_1_2 stands for 'x 1'\n# nlambda stands for 'lambda'\nnlambda = x_1_2 * x_1\nx_1_2",
        "data": {"x_1_2": 1.0, "x_1": "Infinity"},
        "outputs": ["nlambda", "x_1_2"],
    }
    Graph.from_document(document)


def test_many_ids_that_look_alike_get_different_names() -> None:
    ids = [f"{chr(0x4E00 + k)} {chr(0x1ED01)}" for k in range(3000)]
    graph = Graph.from_document(
        {"nodes": [{"id": "s", "op": "sum", "inputs": ids}, *({"id": k, "op": "input"} for k in ids)]}
    )
    read_back = Graph.from_document(graph.to_expression())
    assert len(set(read_back.ids)) == 3001
