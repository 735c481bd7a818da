"""Writes rules.py, the compiled loops that know the operations, from the operation table.

`python -m engine.generate` rewrites it, and docs/operations.md beside it; a test holds both against the table.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from engine.handbook import page
from engine.operations import CONSTANT, INPUT, OPERATIONS, Operation
from engine.rows import LINK
from engine.symbolic import ONE, ZERO, Expression, add, derivative, find, name, number, parse, substitute


@dataclass(frozen=True)
class Form:
    """One case of the compiled loops: an opcode, with an operation's rules over the loop's names.

    Operands are p, q and r, the result is y. `places` is the number of operands, or None where any number of them is
    read from the rows; `rules` has a local derivative per operand that wants one.
    """

    code: int
    operation: Operation
    places: int | None
    value: str
    rules: tuple[Expression, ...]


def _over_places(operation: Operation, rules: Iterable[str]) -> tuple[Expression, ...]:
    names = {parameter: name(place) for parameter, place in zip(operation.parameters, "pqr", strict=False)}
    return tuple(substitute(parse(rule), names) for rule in rules)


def _plain_form(code: int, operation: Operation, rules: tuple[str, ...]) -> Form:
    places = dict(zip(operation.parameters, "pqr", strict=False))
    value = re.sub(r"\b[a-z]\w*\b", lambda match: places.get(match[0], match[0]), operation.value)
    if value.split()[1:2] and value.split()[1] in _COMPARISONS.values():
        value = f"1.0 if {value} else 0.0"
    return Form(code, operation, len(operation.parameters), value, _over_places(operation, rules))


def _form_of_two(code: int, operation: Operation) -> Form:
    """A variadic operation on exactly two operands, the common case, without a loop over them."""
    rule, totals = _without_totals(parse(operation.derivatives[0]))
    operands = name("p"), name("q")
    sums = {
        variable: add(*(substitute(term, {"x": operand}) for operand in operands)) for variable, term in totals.items()
    }
    rules = []
    for operand, other in (operands, operands[::-1]):
        spoken = {"x": operand, "n": number(2.0)} | sums
        _, of_two = _TOGETHER.get(rule, (None, None))
        rules.append(of_two(operand, other) if of_two else substitute(rule, spoken))
    return Form(code, operation, 2, f"{operation.name}_of_two(p, q)", tuple(rules))


_PRODUCT_OF_OTHERS: Expression = ("prod", name("others"))

_TOGETHER: dict[Expression, tuple[str, Callable[[Expression, Expression], Expression]]] = {
    _PRODUCT_OF_OTHERS: ("products_of_others", lambda operand, other: other),
    parse("exp(x - y)"): ("softmax", lambda operand, other: ("softmax_of_two", operand, other)),
}
"""Rules of variadic operations that a primitive works out better for all operands together, and what they are for two.

The rounding of y alone would spoil digits of exp(x - y).
"""

CONSTANT_SECOND = {"pow": 2 + len(OPERATIONS)}
"""Opcodes of forms whose second operand is a constant, so that its local derivative need not be computed."""

OF_TWO = {
    operation.name: code
    for code, operation in enumerate((o for o in OPERATIONS if o.variadic), 2 + len(OPERATIONS) + len(CONSTANT_SECOND))
}
"""Opcodes of the forms of variadic operations on two operands."""


def forms() -> list[Form]:
    """All cases of the compiled loops."""
    rows = []
    for code, operation in enumerate(OPERATIONS, 2):
        if operation.variadic:
            rows.append(Form(code, operation, None, "", ()))
            rows.append(_form_of_two(OF_TWO[operation.name], operation))
        else:
            rows.append(_plain_form(code, operation, operation.derivatives))
        if operation.name in CONSTANT_SECOND:
            rows.append(_plain_form(CONSTANT_SECOND[operation.name], operation, operation.derivatives[:1]))
    return rows


_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


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


def _variadic_function(operation: Operation) -> str:
    """A function (xs, n, ds) -> y that fills ds with the local derivatives of a variadic operation."""
    rule = parse(operation.derivatives[0])
    lines = [f"y = {operation.name}(xs, n)"]
    if rule in _TOGETHER:
        lines.append(f"{_TOGETHER[rule][0]}(xs, n, ds)")
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
    head = f"@inlined\ndef _{operation.name}(xs: Any, n: int, ds: Any) -> float:\n"
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


def _variadic_tangent(operation: Operation) -> str | None:
    """A function (xs, n, y, ts, ty, ds, work) that fills ds with the tangents of a variadic operation's local derivatives."""
    rule = parse(operation.derivatives[0])
    head = f"@inlined\ndef _{operation.name}_tangent(xs: Any, n: int, y: float, ts: Any, ty: float, ds: Any, work: Any) -> None:\n"
    if rule == _PRODUCT_OF_OTHERS:
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


def _local_body(form: Form) -> list[str]:
    """y, dp, dq and dr from p, q and r."""
    writer = _Writer(form.rules)
    places = [f"d{place} = {writer.text(rule)}" for place, rule in zip("pqr", form.rules, strict=False)]
    return [f"y = {form.value}", *writer.lines, *places]


_OPERANDS = {
    0: [],
    1: ["pi = a[i]"],
    2: ["pi = a[i]", "qi = b[i]"],
    3: ["link = b[i]", "pi = a[i]", "qi = a[link]", "ri = b[link]"],
}
"""Statements that find the slots of a row's operands, by their number."""


def _loads(form: Form, lane: str) -> list[str]:
    """p, q and r from the slots pi, qi and ri; `lane` indexes a block's lane, or is empty."""
    return [f"{place} = v[{place}i{lane}]" for place in "pqr"[: form.places or 0]]


_CHEAP = {"number", "name", "neg", "add", "sub", "mul", "square", "abs", "sign", "where", *_COMPARISONS}
"""What costs less to compute than to keep: memory is what blocks wait for."""


def _is_cheap(expression: Expression) -> bool:
    if expression[0] in ("number", "name"):
        return True
    return expression[0] in _CHEAP and all(map(_is_cheap, expression[1:]))


def _is_recomputed(form: Form) -> bool:
    """Whether the backward loop over a block computes the local derivatives again, rather than have them kept."""
    return form.places in (1, 2) and all(map(_is_cheap, form.rules))


def _stores(form: Form, lane: str) -> list[str]:
    """The row's value and local derivatives, those of a third operand in the row that links it."""
    lines = [f"v[i{lane}] = y", f"l[i, 0{lane}] = dp"]
    if form.places == 3:
        return [*lines, f"l[i, 1{lane}] = 1.0", f"l[link, 0{lane}] = dq", f"l[link, 1{lane}] = dr"]
    if len(form.rules) > 1:
        return [*lines, f"l[i, 1{lane}] = dq"]
    # A block's loops over one operand never look for a second.
    return lines if lane and form.places == 1 else [*lines, f"l[i, 1{lane}] = 0.0"]


def _variadic_row(form: Form, lane: str) -> list[str]:
    suffix = "_lane" if lane else ""
    return [
        f"n = gather{suffix}(ops, a, b, v, i{lane}, xs)",
        f"v[i{lane}] = _{form.operation.name}(xs, n, ds)",
        f"scatter{suffix}(l, i{lane}, n, ds)",
    ]


def _row(form: Form, lane: str) -> list[str]:
    """One row's value and local derivatives, once the slots of its operands are found."""
    if form.places is None:
        return _variadic_row(form, lane)
    return [*_loads(form, lane), *_local_body(form), *_stores(form, lane)]


def _looped(head: str, lines: list[str]) -> str:
    return head + "\n" + indent("\n".join(lines), "    ")


_SIMPLE = {"chain", "abs", "sign", "relu", "sqrt", "sum_of_two", "prod_of_two", "max_of_two", "min_of_two"}
"""Functions of a few instructions."""


def _is_simple(form: Form) -> bool:
    """Whether the loop over rows works a form out itself, rather than in a call.

    All of them in one loop would leave it without registers for what every row needs.
    """
    return form.places in (1, 2) and set(re.findall(r"(\w+)\(", "\n".join(_local_body(form)))) <= _SIMPLE


def _forward_cases() -> str:
    cases = [(INPUT, "pass"), (CONSTANT, "pass"), (LINK, "pass")]
    for form in forms():
        # The loop itself loads p and q and stores y, dp and dq.
        if form.places in (1, 2):
            if _is_simple(form):
                cases.append((form.code, "\n".join(_local_body(form))))
        else:
            cases.append((form.code, "\n".join([*_OPERANDS[form.places or 0], *_row(form, ""), "continue"])))
    return _switch(cases)


def _other_cases() -> str:
    """What the forward cases leave out."""
    return _switch(
        (form.code, "\n".join(_local_body(form))) for form in forms() if form.places in (1, 2) and not _is_simple(form)
    )


def _lane_row(form: Form) -> list[str]:
    """One row's value in one lane, and its local derivatives where the backward loop wants them kept."""
    if form.places is None:
        lines = _variadic_row(form, ", j")
    elif _is_recomputed(form):
        lines = [*_loads(form, ", j"), f"y = {form.value}", "v[i, j] = y"]
    else:
        lines = _row(form, ", j")
    return [*lines, "bad |= not abs(v[i, j]) < np.inf"]


_BOUNDED = re.compile(r"\b(sin|cos)\(")


def _lane_cases() -> str:
    """As the forward cases, each over all lanes of a block."""
    cases = []
    for form in forms():
        row = _lane_row(form)
        loop = _looped("for j in range(lanes):", row)
        if any(map(_BOUNDED.search, row)):
            near = _looped("for j in range(lanes):", [_BOUNDED.sub(r"\1_near(", line) for line in row])
            far = ["far = False", _looped("for j in range(lanes):", ["far |= not abs(v[pi, j]) < NEAR"])]
            loop = "\n".join([*far, _looped("if far:", [loop]), _looped("else:", [near])])
        # The slots are found outside the loop, or the compiler could not turn it into vector instructions.
        cases.append((form.code, "\n".join([*_OPERANDS[form.places or 0], loop])))
    return _switch(cases)


def _lane_backward_cases() -> str:
    """What the rows whose local derivatives are not kept hand on, over all lanes of a block."""
    cases = []
    for form in forms():
        if not _is_recomputed(form):
            continue
        writer = _Writer(form.rules)
        handed = []
        for place, rule in zip("pq", form.rules, strict=False):
            # Where a local derivative becomes 0 and upstream is not finite, the product leaves NaN.
            product = {ZERO: "", ONE: " + upstream", ("number", -1.0): " - upstream"}
            handed.append(
                f"g[{place}i, j] = so_far(g[{place}i, j], {place}k)"
                + product.get(rule, f" + {writer.text(rule)} * upstream")
            )
        used = set(re.findall(r"\b[pqy]\b", " ".join([*writer.lines, *handed])))
        loads = [f"{name} = v[{'i' if name == 'y' else name + 'i'}, j]" for name in sorted(used)]
        loop = _looped(
            "for j in range(lanes):",
            ["upstream = g[i, j]", "bad |= not abs(upstream) < np.inf", *loads, *writer.lines, *handed],
        )
        cases.append((form.code, "\n".join([*_OPERANDS[form.places or 0], loop])))
    return _switch(cases)


def _group_cases() -> str:
    """As the forward cases, each over a run of rows with one opcode."""
    return _switch(
        (
            form.code,
            _looped("for k in range(start, stop):", ["i = rows[k]", *_OPERANDS[form.places or 0], *_row(form, "")]),
        )
        for form in forms()
    )


def _curvature_cases() -> str:
    cases = []
    for form in forms():
        seconds = {
            (i, j): derivative(form.rules[i], {"pqr"[j]: ONE, "y": form.rules[j]})
            for j in range(len(form.rules))
            for i in range(j + 1)
        }
        seconds = {places: expression for places, expression in seconds.items() if expression != ZERO}
        if not seconds:
            continue
        if form.places == 3:
            raise NotImplementedError(f"the second derivatives of {form.operation.name}")
        writer = _Writer(seconds.values())
        stores = [f"h[i, {i + j}] = {writer.text(expression)}" for (i, j), expression in seconds.items()]
        cases.append((form.code, "\n".join([*writer.lines, *stores])))
    return _switch(cases)


def _value_cases(*, narrow: bool) -> str:
    """The values alone: over p and q, or over xs where there may be more than two operands."""
    cases = []
    for form in forms():
        if form.places is None and not narrow:
            cases.append((form.code, f"return _{form.operation.name}(xs, xs.size, ds)"))
        elif form.places == 3 and not narrow:
            cases.append((form.code, f"p, q, r = xs[0], xs[1], xs[2]\nreturn {form.value}"))
        elif form.places in (1, 2) and narrow:
            cases.append((form.code, f"return {form.value}"))
    return _switch(cases)


def _kink_cases(lane: str) -> str:
    cases = []
    for form in forms():
        if form.operation.kink is None:
            continue
        if form.operation.kink != "ties":
            (condition,) = _over_places(form.operation, [form.operation.kink])
            test = _Writer([]).condition(condition)
        elif form.places == 2:
            test = "(p == q and pi != qi)"
        else:
            test = f"ties{'_lane' if lane else ''}(ops, a, b, v, i{lane})"
        # Without a branch the compiler can turn the loop over lanes into vector instructions.
        lines = [*_loads(form, lane), f"flag |= {test}" if lane else f"flag = {test}"]
        if lane:
            lines = [_looped("for j in range(lanes):", lines)]
        cases.append((form.code, "\n".join([*_OPERANDS[form.places or 0], *lines])))
    return _switch(cases)


def _tangent_cases(tangents: dict[str, str]) -> str:
    return _switch(
        (code, f"_{operation.name}_tangent(xs, n, y, ts, ty, ds, work)")
        for code, operation in enumerate(OPERATIONS, 2)
        if operation.name in tangents
    )


_HEADER = '''"""The loops that know the operations. Written by `python -m engine.generate` from the operation table.

A tape's row i has opcode ops[i], operands v[a[i]] and v[b[i]], value v[i] and local derivatives l[i]. The last place
of v stands in for an operand that is not there. Operands beyond two sit in the rows before: see rows.py.

Uses elementary.py, passes.py, primitives.py and rows.py with the digest {digest}
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.elementary import *
from engine.jit import called, compiled, inlined
from engine.passes import any_nonfinite, backward, fill_lanes, hand_back, has_nan, keep_lanes, seed, start_adjoints
from engine.primitives import *
from engine.rows import gather, gather_lane, scatter, scatter_lane, so_far, ties, ties_lane

DENSE = ({dense},)
"""Opcodes whose second derivatives couple all of any number of operands."""
'''

_LOOPS = '''

@called
def other(op: int, p: float, q: float) -> tuple[float, float, float]:
    """The value and the local derivatives of an operation that forward does not work out itself."""
    y = 0.0
    dp = 0.0
    dq = 0.0
{others}
    return y, dp, dq


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[::1], float64[:, ::1], int64, int64, float64[::1], float64[::1])")
def forward(ops: Any, a: Any, b: Any, v: Any, l: Any, start: int, stop: int, xs: Any, ds: Any) -> None:
    """Fills v and l in rows start to stop of a tape; xs and ds hold a operation's operands and derivatives where their number is open."""
    for i in range(start, stop):
        op = ops[i]
        p = v[a[i]]
        q = v[b[i]]
        y = v[i]
        dp = 0.0
        dq = 0.0
{forward}
        else:
            y, dp, dq = other(op, p, q)
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


@compiled("boolean(uint8[::1], uint32[::1], uint32[::1], uint32[::1], float64[:, ::1], float64[:, :, ::1], int64, float64[::1], float64[::1])")
def forward_block(ops: Any, a: Any, b: Any, rows: Any, v: Any, l: Any, lanes: int, xs: Any, ds: Any) -> bool:
    """As forward, over some rows, for a block of independent lanes at once: v is (S, lanes), l is (R, 2, lanes).

    Local derivatives that backward_block computes itself are left out. Answers whether a value is not finite.
    """
    bad = False
    # Of rows counted by the loop itself LLVM would ask, for all at once, whether what they write is apart from what
    # they read, and as it is not, give up on vector instructions.
    for i in rows:
        op = ops[i]
{lanes}
    return bad


@compiled("boolean(uint8[::1], uint32[::1], uint32[::1], uint32[::1], int64[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1], int64)")
def backward_block(ops: Any, a: Any, b: Any, rows: Any, keep: Any, v: Any, l: Any, g: Any, lanes: int) -> bool:
    """The chain rule over some rows, the last first, for a block of independent lanes at once; g is (S, lanes).

    Of row rows[k], keep[k] has all bits where its operands have got a part of their adjoint before, and 0 where theirs
    starts here: see first_uses. Without all care for zero times infinity: where that was needed, NaN is left in g.
    Answers whether an adjoint of the rows is not finite.
    """
    bad = False
    none = g.shape[0] - 1
    for k in range(rows.size - 1, -1, -1):
        i = rows[k]
        op = ops[i]
        pk, qk = keep[k, 0], keep[k, 1]
{lanes_backward}
        else:
            pi = a[i]
            qi = b[i]
            if qi == none:
                for j in range(lanes):
                    upstream = g[i, j]
                    bad |= not abs(upstream) < np.inf
                    g[pi, j] = so_far(g[pi, j], pk) + chain(l[i, 0, j], upstream)
            else:
                for j in range(lanes):
                    upstream = g[i, j]
                    bad |= not abs(upstream) < np.inf
                    g[pi, j] = so_far(g[pi, j], pk) + chain(l[i, 0, j], upstream)
                    g[qi, j] = so_far(g[qi, j], qk) + chain(l[i, 1, j], upstream)
    return bad


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[::1], float64[:, ::1])")
def curvature(ops: Any, a: Any, b: Any, v: Any, h: Any) -> None:
    """Fills h, zeroed before, with the second derivatives (pp, pq, qq) of the rows of one or two operands."""
    for i in range(ops.size):
        op = ops[i]
        p = v[a[i]]
        q = v[b[i]]
        y = v[i]
{curvature}


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[::1], uint32[::1], boolean[::1])", nogil=False)
def kinks(ops: Any, a: Any, b: Any, v: Any, rows: Any, flags: Any) -> None:
    """Sets flags[k] where rows[k] sits exactly on a kink."""
    for k in range(rows.size):
        i = rows[k]
        op = ops[i]
        flag = False
{kinks}
        flags[k] = flag


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[:, ::1], int64, uint32[::1], boolean[::1])")
def kinks_block(ops: Any, a: Any, b: Any, v: Any, lanes: int, rows: Any, flags: Any) -> None:
    """As kinks, for a block of independent rows at once: sets flags[k] where any of them sits on a kink."""
    for k in range(rows.size):
        i = rows[k]
        op = ops[i]
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


@compiled("void(uint8[::1], int64, int64, int64, float64[::1], float64[::1], uint32[::1], float64[::1])", nogil=False)
def sweep(code: Any, rows: int, grouped: int, groups: int, base: Any, work: Any, seed_slots: Any, seeds: Any) -> None:
    """Forward and backward in one call, for small graphs: every array handed over costs as much as thirty nodes.

    code is, in one piece, a, b, the order of the grouped rows, the groups' starts, ops, and the groups' opcodes, as
    forward_groups takes them; without groups the rows are worked through in their own order. base (S,) has the leaves'
    values, work has room for v (S,), g (S,), l (R, 2) and twice the largest number of operands of one row, one after
    the other.
    """
    slots = base.size
    a, b = code[: 4 * rows].view(np.uint32), code[4 * rows : 8 * rows].view(np.uint32)
    at = 8 * rows + 4 * grouped
    order, starts = code[8 * rows : at].view(np.uint32), code[at : at + 4 * groups + 4].view(np.uint32)
    at += 4 * groups + 4
    ops, group_ops = code[at : at + rows], code[at + rows :]
    scratch = 2 * (slots + rows)
    widest = (work.size - scratch) // 2
    v, g, l = work[:slots], work[slots : 2 * slots], work[2 * slots : scratch].reshape((rows, 2))
    xs, ds = work[scratch : scratch + widest], work[scratch + widest :]
    v[:] = base
    if groups:
        forward_groups(ops, a, b, order, group_ops, starts, v, l, 0, groups, xs, ds)
    else:
        forward(ops, a, b, v, l, 0, rows, xs, ds)
    seed(g, seed_slots, seeds)
    hand_back(a, b, l, g, 0, rows)
    if has_nan(g):
        seed(g, seed_slots, seeds)
        backward(a, b, l, g, 0, rows)


@compiled(
    "int64(uint8[::1], uint32[::1], uint32[::1], uint32[::1], int64[:, ::1], float64[:, ::1], float64[:, :, ::1],"
    "float64[:, ::1], float64[::1], float64[::1], uint32[::1], boolean[::1], uint32[::1], uint32[::1], uint32[::1],"
    "uint32[::1], float64[::1], int64[::1], uint32[::1], uint32[::1], float64[:, ::1], uint32[::1], float64[:, ::1],"
    "int64, int64, int64)"
)
def gradient_blocks(
    ops: Any, a: Any, b: Any, rows: Any, keep: Any, v: Any, l: Any, g: Any, xs: Any, ds: Any,
    with_kinks: Any, kinked: Any, unstarted: Any, constants: Any, leaves: Any, seed_slots: Any, seeds: Any,
    addresses: Any, column_slots: Any, value_slots: Any, values: Any, gradient_slots: Any, gradients: Any,
    together: int, first: int, stop: int,
) -> int:  # fmt: skip
    """Values and gradients of rows first to stop of a batch, block by block, or their sums over so many rows together.

    Answers stop, or the row where a block starts in which something is not finite: that block's v and g are left
    for closer inspection, and nothing is taken from it.
    """
    block = v.shape[1]
    while first < stop:
        lanes = block if stop - first > block else stop - first
        bad = fill_lanes(addresses, column_slots, first, lanes, v)
        # Leaves without a column are the same in every lane.
        bad |= any_nonfinite(v, leaves, 1)
        bad |= forward_block(ops, a, b, rows, v, l, lanes, xs, ds)
        kinks_block(ops, a, b, v, lanes, with_kinks, kinked)
        start_adjoints(g, unstarted, seed_slots, seeds, lanes)
        bad |= backward_block(ops, a, b, rows, keep, v, l, g, lanes)
        for slot in constants:
            for j in range(lanes):
                g[slot, j] = 0.0
        if bad or any_nonfinite(g, leaves, lanes):
            break
        keep_lanes(v, value_slots, lanes, values, together, first)
        keep_lanes(g, gradient_slots, lanes, gradients, together, first)
        first += lanes
    return first


@compiled(
    "void(uint8[::1], uint32[::1], uint32[::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[::1],"
    "float64[:, ::1], float64[:, ::1], float64[:, ::1])"
)
def second_adjoints(ops: Any, a: Any, b: Any, v: Any, l: Any, h: Any, g: Any, t: Any, gt: Any, scratch: Any) -> None:
    """The tangents gt (S, directions) of the adjoints g (S,) along t (S, directions): forward over reverse.

    v, l and h are the rows' values, local derivatives and second derivatives; scratch (4, n) has room for the n
    operands of one row.
    """
    xs, ts, ds, work = scratch[0], scratch[1], scratch[2], scratch[3]
    none = g.size - 1
    directions = t.shape[1]
    for i in range(ops.size - 1, -1, -1):
        pi = a[i]
        qi = b[i]
        upstream = g[i]
        if pi != none:
            if l[i, 0] != 0.0:
                for k in range(directions):
                    gt[pi, k] += chain(l[i, 0], gt[i, k])
            if h[i, 0] != 0.0 and upstream != 0.0:
                for k in range(directions):
                    gt[pi, k] += chain(h[i, 0] * upstream, t[pi, k])
        if qi != none:
            if l[i, 1] != 0.0:
                for k in range(directions):
                    gt[qi, k] += chain(l[i, 1], gt[i, k])
            if h[i, 1] != 0.0 and upstream != 0.0:
                for k in range(directions):
                    gt[pi, k] += chain(h[i, 1] * upstream, t[qi, k])
                    gt[qi, k] += chain(h[i, 1] * upstream, t[pi, k])
            if h[i, 2] != 0.0 and upstream != 0.0:
                for k in range(directions):
                    gt[qi, k] += chain(h[i, 2] * upstream, t[qi, k])
        if ops[i] in DENSE and upstream != 0.0:
            n = gather(ops, a, b, v, i, xs)
            last = i - (n - 2 if n > 2 else 0)
            for k in range(directions):
                gather_lane(ops, a, b, t, i, k, ts)
                dense_tangent(ops[i], xs, n, v[i], ts, t[i, k], ds, work)
                for m in range(n):
                    operand = a[i - m] if m < n - 1 or n == 1 else b[last]
                    gt[operand, k] += chain(upstream, ds[m])
'''


def source() -> str:
    """The text of rules.py."""
    here = Path(__file__).parent
    # Compiled code is cached by this file's text alone, yet what it uses of others is compiled into it.
    used = ("elementary.py", "passes.py", "primitives.py", "rows.py")
    digest = hashlib.sha256(b"".join((here / name).read_bytes() for name in used)).hexdigest()
    tangents = {
        operation.name: text
        for operation in OPERATIONS
        if operation.variadic and (text := _variadic_tangent(operation))
    }
    dense = ", ".join(str(code) for code, operation in enumerate(OPERATIONS, 2) if operation.name in tangents)
    header = _HEADER.format(digest=digest, dense=dense)
    variadic = [_variadic_function(operation) for operation in OPERATIONS if operation.variadic]
    loops = _LOOPS.format(
        others=indent(_other_cases(), " " * 4),
        forward=indent(_forward_cases(), " " * 8),
        groups=indent(_group_cases(), " " * 8),
        lanes=indent(_lane_cases(), " " * 8),
        lanes_backward=indent(_lane_backward_cases(), " " * 8),
        curvature=indent(_curvature_cases(), " " * 8),
        kinks=indent(_kink_cases(""), " " * 8),
        kinks_block=indent(_kink_cases(", j"), " " * 8),
        narrow_values=indent(_value_cases(narrow=True), " " * 4),
        wide_values=indent(_value_cases(narrow=False), " " * 4),
        tangents=indent(_tangent_cases(tangents), " " * 4),
    )
    return header + "\n" + "\n\n\n".join([*variadic, *tangents.values()]) + "\n" + loops


if __name__ == "__main__":
    here = Path(__file__).parent
    (here / "rules.py").write_text(source())
    (here.parent / "docs" / "operations.md").write_text(page())
