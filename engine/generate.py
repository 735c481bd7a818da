"""Writes rules.py, the compiled loops that know the operations, from the operation table.

`python -m engine.generate` rewrites it; a test holds the file against the table.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent

from engine.operations import OPERATIONS, Operation
from engine.symbolic import ONE, ZERO, Expression, derivative, find, name, parse, second_derivatives, substitute

LINK = 255
"""Opcode of a row that carries further operands of the wide operation in the row after it."""

CONSTANT_SECOND = {"pow": 2 + len(OPERATIONS)}
"""Opcodes of variants whose second operand is a constant, so that its local derivative need not be computed."""

_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


def is_wide(operation: Operation) -> bool:
    """Whether an operation's operands may need more than one row of the tape."""
    return operation.variadic or len(operation.parameters) > 2


class _Writer:
    """Writes expressions as Python, with every shared part computed once."""

    def __init__(self, expressions: Iterable[Expression]) -> None:
        self.lines: list[str] = []
        self.written: dict[Expression, str] = {}
        self.always: Counter[Expression] = Counter()
        self.uses: Counter[Expression] = Counter()
        for expression in expressions:
            self._count(expression, True)

    def _count(self, expression: Expression, always: bool) -> None:
        if expression[0] in ("name", "number"):
            return
        self.uses[expression] += 1
        self.always[expression] += always
        if self.uses[expression] > 1:
            return
        for place, operand in enumerate(expression[1:]):
            # The branches of `where` are computed only when taken.
            self._count(operand, always and (expression[0] != "where" or place == 0))

    def text(self, expression: Expression) -> str:
        """The Python text of an expression; parts used more than once become statements in `lines`."""
        kind = expression[0]
        if kind == "number":
            return repr(expression[1])
        if kind == "name":
            return str(expression[1])
        if expression in self.written:
            return self.written[expression]
        text = self._plain(expression)
        if self.uses[expression] > 1 and self.always[expression]:
            variable = f"t{len(self.written)}"
            self.lines.append(f"{variable} = {text}")
            self.written[expression] = text = variable
        return text

    def condition(self, expression: Expression) -> str:
        """The Python text of an expression of which only the truth matters."""
        kind, *operands = expression
        if kind in _COMPARISONS:
            if kind in ("eq", "ne") and operands[1] == ZERO and operands[0][0] in _COMPARISONS:
                inner = self.condition(operands[0])
                return f"not {inner}" if kind == "eq" else inner
            return f"({self.text(operands[0])} {_COMPARISONS[kind]} {self.text(operands[1])})"
        return f"({self.text(expression)} != 0.0)"

    def _plain(self, expression: Expression) -> str:
        kind, *operands = expression
        if kind in _COMPARISONS:
            return f"(1.0 if {self.condition(expression)} else 0.0)"
        if kind == "where":
            condition, a, b = operands
            return f"({self.text(a)} if {self.condition(condition)} else {self.text(b)})"
        if kind == "chain":
            return f"chain({self.text(operands[0])}, {self.text(operands[1])})"
        operation = find(kind)
        values = dict(zip(operation.parameters, map(self.text, operands), strict=True))
        return "(" + re.sub(r"\b[a-z]\w*\b", lambda m: values.get(m[0], m[0]), operation.value) + ")"


def _value(operation: Operation) -> str:
    """The value's text over the parameters' own names."""
    if operation.value.split()[1:2] and operation.value.split()[1] in _COMPARISONS.values():
        return f"1.0 if {operation.value} else 0.0"
    return operation.value


def _two(operation: Operation) -> dict[str, Expression]:
    """The parameters of an operation of one or two operands, by the loop's names for them: p and q."""
    return {parameter: name(place) for parameter, place in zip(operation.parameters, "pq", strict=False)}


def _renamed(operation: Operation, text: str) -> str:
    places = dict(zip(operation.parameters, "pq", strict=False))
    return re.sub(r"\b[a-z]\w*\b", lambda m: places.get(m[0], m[0]), text)


def _narrow_body(operation: Operation, *, second: bool = True) -> str:
    """y, dp and dq of an operation of one or two operands p and q."""
    rules = [substitute(parse(rule), _two(operation)) for rule in operation.derivatives]
    if not second:
        rules = rules[:1]
    writer = _Writer(rules)
    places = [f"d{place} = {writer.text(rule)}" for place, rule in zip("pq", rules, strict=False)]
    return "\n".join([f"y = {_renamed(operation, _value(operation))}", *writer.lines, *places])


def _wide_function(operation: Operation) -> str:
    """A function (xs, n, ds) -> y that fills ds with the local derivatives of a wide operation."""
    head = f"@inlined\ndef _{operation.name}(xs: Any, n: int, ds: Any) -> float:\n"
    if not operation.variadic:
        rules = [parse(rule) for rule in operation.derivatives]
        writer = _Writer(rules)
        stores = [f"ds[{place}] = {writer.text(rule)}" for place, rule in enumerate(rules)]
        loads = [f"{parameter} = xs[{place}]" for place, parameter in enumerate(operation.parameters)]
        return head + indent(
            "\n".join([*loads, f"y = {_value(operation)}", *writer.lines, *stores, "return y"]), "    "
        )
    rule = parse(operation.derivatives[0])
    lines = [f"y = {operation.name}(xs, n)"]
    if rule == ("prod", name("others")):
        lines += [
            "before = 1.0",
            "for i in range(n):",
            "    ds[i] = before",
            "    before *= xs[i]",
            "after = 1.0",
            "for i in range(n - 1, -1, -1):",
            "    ds[i] *= after",
            "    after *= xs[i]",
        ]
    else:
        rule, totals = _without_totals(rule)
        for variable, term in totals.items():
            lines += [
                f"{variable} = 0.0",
                "for i in range(n):",
                "    x = xs[i]",
                f"    {variable} += {_Writer([term]).text(term)}",
            ]
        lines += ["for i in range(n):", "    x = xs[i]", f"    ds[i] = {_Writer([rule]).text(rule)}"]
    return head + indent("\n".join([*lines, "return y"]), "    ")


def _without_totals(rule: Expression) -> tuple[Expression, dict[str, Expression]]:
    """The rule with every sum over `xs` replaced by a name, and the term that each such sum adds up."""
    totals: dict[str, Expression] = {}

    def walk(expression: Expression) -> Expression:
        if expression[0] in ("name", "number"):
            return expression
        if expression[0] == "sum":
            variable = f"total{len(totals)}"
            totals[variable] = substitute(expression[1], {"xs": name("x")})
            return name(variable)
        return (expression[0], *map(walk, expression[1:]))

    return walk(rule), totals


def _wide_tangent(operation: Operation) -> str | None:
    """A function (xs, n, y, ts, ty, ds, work) that fills ds with the tangents of a variadic operation's local derivatives."""
    rule = parse(operation.derivatives[0])
    head = f"@inlined\ndef _{operation.name}_tangent(xs: Any, n: int, y: float, ts: Any, ty: float, ds: Any, work: Any) -> None:\n"
    if rule == ("prod", name("others")):
        lines = [
            # Products and their tangents, of all before i (kept in work and ds) and of all after i.
            "before, moved = 1.0, 0.0",
            "for i in range(n):",
            "    work[i] = before",
            "    ds[i] = moved",
            "    moved = chain(xs[i], moved) + chain(ts[i], before)",
            "    before *= xs[i]",
            "after, moved = 1.0, 0.0",
            "for i in range(n - 1, -1, -1):",
            "    ds[i] = chain(ds[i], after) + chain(moved, work[i])",
            "    moved = chain(xs[i], moved) + chain(ts[i], after)",
            "    after *= xs[i]",
        ]
        return head + indent("\n".join(lines), "    ")
    rule, totals = _without_totals(rule)
    # What a sum over all operands adds up is piecewise constant in every operation so far; else the tangent would
    # need the sum of the terms' tangents too.
    if not all(derivative(term, {"x": ONE, "y": ONE}) == ZERO for term in totals.values()):
        raise NotImplementedError(f"the second derivatives of {operation.name}")
    moved = derivative(rule, {"x": name("tx"), "y": name("ty")})
    if totals or moved == ZERO:
        return None
    lines = ["for i in range(n):", "    x, tx = xs[i], ts[i]", f"    ds[i] = {_Writer([moved]).text(moved)}"]
    return head + indent("\n".join(lines), "    ")


def _switch(cases: Iterable[tuple[int, str]]) -> str:
    """An if-elif chain over `op`, which LLVM turns into a jump table."""
    word = "if"
    lines = []
    for code, body in cases:
        lines.append(f"{word} op == {code}:\n{indent(body, '    ')}")
        word = "elif"
    return "\n".join(lines)


def _cases() -> list[tuple[int, Operation, bool]]:
    """(opcode, operation, whether the second local derivative is wanted) of all rows that compute."""
    rows = [(code, operation, True) for code, operation in enumerate(OPERATIONS, 2)]
    rows += [
        (CONSTANT_SECOND[operation.name], operation, False)
        for operation in OPERATIONS
        if operation.name in CONSTANT_SECOND
    ]
    return rows


def _kink(operation: Operation, *, lane: bool) -> str | None:
    if operation.kink is None:
        return None
    suffix, place = ("_lane", "i, j") if lane else ("", "i")
    if operation.kink == "ties":
        return f"flag = flag or ties{suffix}(ops, a, b, v, {place})"
    writer = _Writer([])
    if is_wide(operation):
        condition = writer.condition(parse(operation.kink))
        loads = [f"{parameter} = xs[{place}]" for place, parameter in enumerate(operation.parameters)]
        return "\n".join([f"gather{suffix}(ops, a, b, v, {place}, xs)", *loads, f"flag = flag or {condition}"])
    return f"flag = flag or {writer.condition(substitute(parse(operation.kink), _two(operation)))}"


def _forward_cases() -> str:
    cases = []
    for code, operation, second in _cases():
        if is_wide(operation):
            body = f"n = gather(ops, a, b, v, i, xs)\ny = _{operation.name}(xs, n, ds)\nscatter(l, i, n, ds)\nv[i] = y\ncontinue"
        else:
            body = _narrow_body(operation, second=second)
        cases.append((code, body))
    return _switch(cases)


def _lane_cases() -> str:
    """As the forward cases, each over all rows of a block."""
    cases = []
    for code, operation, second in _cases():
        if is_wide(operation):
            body = (
                "for j in range(lanes):\n"
                "    n = gather_lane(ops, a, b, v, i, j, xs)\n"
                f"    v[i, j] = _{operation.name}(xs, n, ds)\n"
                "    scatter_lane(l, i, j, n, ds)"
            )
        else:
            two = len(operation.parameters) > 1
            lines = ["for j in range(lanes):", "    p = v[pi, j]"]
            lines += ["    q = v[qi, j]"] if two else []
            lines += [indent(_narrow_body(operation, second=second), "    "), "    v[i, j] = y", "    l[i, 0, j] = dp"]
            lines += ["    l[i, 1, j] = dq"] if two and second else []
            body = "\n".join(lines)
        cases.append((code, body))
    return _switch(cases)


def _group_cases() -> str:
    """As the forward cases, each over a run of rows with one opcode."""
    cases = []
    for code, operation, second in _cases():
        if is_wide(operation):
            body = (
                "for k in range(start, stop):\n"
                "    i = rows[k]\n"
                "    n = gather(ops, a, b, v, i, xs)\n"
                f"    v[i] = _{operation.name}(xs, n, ds)\n"
                "    scatter(l, i, n, ds)"
            )
        else:
            two = len(operation.parameters) > 1
            lines = ["for k in range(start, stop):", "    i = rows[k]", "    p = v[a[i]]"]
            lines += ["    q = v[b[i]]"] if two else []
            lines += [indent(_narrow_body(operation, second=second), "    "), "    v[i] = y", "    l[i, 0] = dp"]
            lines += ["    l[i, 1] = dq"] if two and second else ["    l[i, 1] = 0.0"]
            body = "\n".join(lines)
        cases.append((code, body))
    return _switch(cases)


def _curvature_cases() -> str:
    cases = []
    for code, operation, second in _cases():
        if is_wide(operation):
            continue
        loop_names = _two(operation) | {"y": name("y")}
        seconds = {
            places: substitute(expression, loop_names)
            for places, expression in second_derivatives(operation).items()
            if expression != ZERO and (second or places == (0, 0))
        }
        if not seconds:
            continue
        writer = _Writer(seconds.values())
        stores = [f"h[i, {i + j}] = {writer.text(expression)}" for (i, j), expression in seconds.items()]
        cases.append((code, "\n".join([*writer.lines, *stores])))
    return _switch(cases)


def _value_cases(*, wide: bool) -> str:
    """The values alone: of wide operations over xs, of the others over p and q."""
    cases = []
    for code, operation in enumerate(OPERATIONS, 2):
        if is_wide(operation) and wide:
            cases.append((code, f"return _{operation.name}(xs, xs.size, ds)"))
        elif not is_wide(operation) and not wide:
            cases.append((code, f"return {_renamed(operation, _value(operation))}"))
    return _switch(cases)


def _kink_cases(*, lane: bool) -> str:
    cases = []
    for code, operation in enumerate(OPERATIONS, 2):
        body = _kink(operation, lane=lane)
        if body and lane:
            loads = [] if is_wide(operation) else ["p = v[pi, j]", "q = v[qi, j]"]
            body = "for j in range(lanes):\n" + indent("\n".join([*loads, body]), "    ")
        if body:
            cases.append((code, body))
    return _switch(cases)


def _tangent_cases(tangents: dict[str, str]) -> str:
    cases = []
    for code, operation in enumerate(OPERATIONS, 2):
        if operation.name in tangents:
            cases.append((code, f"_{operation.name}_tangent(xs, n, y, ts, ty, ds, work)"))
    return _switch(cases)


_HEADER = '''"""The loops that know the operations. Written by `python -m engine.generate` from the operation table.

A tape's row i has opcode ops[i], operands v[a[i]] and v[b[i]], value v[i] and local derivatives l[i]. The last place
of v stands in for an operand that is not there. Operands beyond two sit in the rows before, of opcode {link}.

Uses primitives.py with the digest {digest}
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import compiled, inlined
from engine.primitives import *

LINK = {link}
POW_CONSTANT = {pow_constant}
DENSE = ({dense},)
"""Opcodes whose second derivatives couple all of any number of operands."""


@inlined
def gather(ops: Any, a: Any, b: Any, v: Any, i: int, xs: Any) -> int:
    """Copies the operands of the wide operation in row i to xs and answers how many there are."""
    n = 0
    while True:
        xs[n] = v[a[i]]
        n += 1
        if b[i] + 1 == i and ops[b[i]] == LINK:
            i -= 1
        else:
            break
    if b[i] != v.size - 1:
        xs[n] = v[b[i]]
        n += 1
    return n


@inlined
def scatter(l: Any, i: int, n: int, ds: Any) -> None:
    """Spreads the local derivatives of a wide operation over its rows; links hand the gradient on unchanged."""
    for k in range(n - 2):
        l[i, 0] = ds[k]
        l[i, 1] = 1.0
        i -= 1
    if n == 1:
        l[i, 0] = ds[0]
        l[i, 1] = 0.0
    else:
        l[i, 0] = ds[n - 2]
        l[i, 1] = ds[n - 1]


@inlined
def gather_lane(ops: Any, a: Any, b: Any, v: Any, i: int, j: int, xs: Any) -> int:
    """As gather, for row j of a block."""
    n = 0
    while True:
        xs[n] = v[a[i], j]
        n += 1
        if b[i] + 1 == i and ops[b[i]] == LINK:
            i -= 1
        else:
            break
    if b[i] != v.shape[0] - 1:
        xs[n] = v[b[i], j]
        n += 1
    return n


@inlined
def scatter_lane(l: Any, i: int, j: int, n: int, ds: Any) -> None:
    """As scatter, for row j of a block."""
    for k in range(n - 2):
        l[i, 0, j] = ds[k]
        l[i, 1, j] = 1.0
        i -= 1
    if n == 1:
        l[i, 0, j] = ds[0]
    else:
        l[i, 0, j] = ds[n - 2]
        l[i, 1, j] = ds[n - 1]


@inlined
def ties(ops: Any, a: Any, b: Any, v: Any, i: int) -> bool:
    """Whether two different operands of the wide operation in row i share its value."""
    first = -1
    y = v[i]
    while True:
        slot = np.int64(a[i])
        if v[slot] == y:
            if first >= 0 and slot != first:
                return True
            first = slot
        slot = np.int64(b[i])
        if slot + 1 == i and ops[slot] == LINK:
            i -= 1
        else:
            return slot != v.size - 1 and v[slot] == y and first >= 0 and slot != first


@inlined
def ties_lane(ops: Any, a: Any, b: Any, v: Any, i: int, j: int) -> bool:
    """As ties, for row j of a block."""
    first = -1
    y = v[i, j]
    while True:
        slot = np.int64(a[i])
        if v[slot, j] == y:
            if first >= 0 and slot != first:
                return True
            first = slot
        slot = np.int64(b[i])
        if slot + 1 == i and ops[slot] == LINK:
            i -= 1
        else:
            return slot != v.shape[0] - 1 and v[slot, j] == y and first >= 0 and slot != first

'''

_LOOPS = '''

@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[::1], float64[:, ::1], int64, int64, float64[::1], float64[::1])")
def forward(ops: Any, a: Any, b: Any, v: Any, l: Any, start: int, stop: int, xs: Any, ds: Any) -> None:
    """Fills v and l in rows start to stop of a tape; xs and ds hold a wide operation's operands and derivatives."""
    for i in range(start, stop):
        op = ops[i]
        p = v[a[i]]
        q = v[b[i]]
        y = v[i]
        dp = 0.0
        dq = 0.0
{forward}
        v[i] = y
        l[i, 0] = dp
        l[i, 1] = dq


@compiled("void(uint8[::1], uint32[::1], uint32[::1], uint32[::1], uint8[::1], uint32[::1], float64[::1], float64[:, ::1], int64, int64, float64[::1], float64[::1])")
def forward_groups(ops: Any, a: Any, b: Any, rows: Any, group_ops: Any, group_starts: Any, v: Any, l: Any, first: int, last: int, xs: Any, ds: Any) -> None:
    """As forward, over groups of rows: group g is rows[group_starts[g]:group_starts[g + 1]], all of one opcode.

    With first = 0 the leaves' local derivatives are zeroed too.
    """
    if first == 0:
        for i in range(ops.size):
            if ops[i] < 2:
                l[i, 0] = 0.0
                l[i, 1] = 0.0
    for g in range(first, last):
        op = group_ops[g]
        start = group_starts[g]
        stop = group_starts[g + 1]
{groups}


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[:, ::1], float64[:, :, ::1], int64, float64[::1], float64[::1])")
def forward_block(ops: Any, a: Any, b: Any, v: Any, l: Any, lanes: int, xs: Any, ds: Any) -> None:
    """As forward, for a block of independent rows at once: v is (slots, lanes), l is (rows, 2, lanes), l zeroed."""
    for i in range(ops.size):
        op = ops[i]
        pi = a[i]
        qi = b[i]
{lanes}


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[::1], float64[:, ::1])")
def curvature(ops: Any, a: Any, b: Any, v: Any, h: Any) -> None:
    """Fills h, zeroed before, with the second derivatives (pp, pq, qq) of the rows of one or two operands."""
    for i in range(ops.size):
        op = ops[i]
        p = v[a[i]]
        q = v[b[i]]
        y = v[i]
{curvature}


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[::1], uint32[::1], boolean[::1], float64[::1])")
def kinks(ops: Any, a: Any, b: Any, v: Any, rows: Any, flags: Any, xs: Any) -> None:
    """Sets flags[k] where rows[k] sits exactly on a kink."""
    for k in range(rows.size):
        i = rows[k]
        op = ops[i]
        p = v[a[i]]
        q = v[b[i]]
        flag = False
{kinks}
        flags[k] = flag


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[:, ::1], int64, uint32[::1], boolean[::1], float64[::1])")
def kinks_block(ops: Any, a: Any, b: Any, v: Any, lanes: int, rows: Any, flags: Any, xs: Any) -> None:
    """As kinks, for a block of independent rows at once: sets flags[k] where any of them sits on a kink."""
    for k in range(rows.size):
        i = rows[k]
        op = ops[i]
        pi = a[i]
        qi = b[i]
        flag = flags[k]
{kinks_block}
        flags[k] = flag


@compiled("float64(int64, float64, float64)")
def narrow_value(op: int, p: float, q: float) -> float:
    """The value of an operation of one or two operands."""
{narrow_values}
    return np.nan


@compiled("float64(int64, float64[::1], float64[::1])")
def wide_value(op: int, xs: Any, ds: Any) -> float:
    """The value of an operation of three or of any number of operands; ds, as long as xs, is scratch."""
{wide_values}
    return np.nan


@inlined
def dense_tangent(op: int, xs: Any, n: int, y: float, ts: Any, ty: float, ds: Any, work: Any) -> None:
    """Fills ds with the tangents of the local derivatives of a row in DENSE."""
{tangents}
'''


def source() -> str:
    """The text of rules.py."""
    here = Path(__file__).parent
    # Compiled code is cached by this file's text alone, yet the primitives are compiled into it.
    digest = hashlib.sha256((here / "primitives.py").read_bytes()).hexdigest()
    tangents = {
        operation.name: text for operation in OPERATIONS if operation.variadic and (text := _wide_tangent(operation))
    }
    dense = ", ".join(str(code) for code, operation in enumerate(OPERATIONS, 2) if operation.name in tangents)
    header = _HEADER.format(link=LINK, digest=digest, pow_constant=CONSTANT_SECOND["pow"], dense=dense)
    wide = [_wide_function(operation) for operation in OPERATIONS if is_wide(operation)]
    loops = _LOOPS.format(
        forward=indent(_forward_cases(), " " * 8),
        groups=indent(_group_cases(), " " * 8),
        lanes=indent(_lane_cases(), " " * 8),
        curvature=indent(_curvature_cases(), " " * 8),
        kinks=indent(_kink_cases(lane=False), " " * 8),
        kinks_block=indent(_kink_cases(lane=True), " " * 8),
        narrow_values=indent(_value_cases(wide=False), " " * 4),
        wide_values=indent(_value_cases(wide=True), " " * 4),
        tangents=indent(_tangent_cases(tangents), " " * 4),
    )
    return header + "\n" + "\n\n\n".join([*wide, *tangents.values()]) + "\n" + loops


if __name__ == "__main__":
    (Path(__file__).parent / "rules.py").write_text(source())
