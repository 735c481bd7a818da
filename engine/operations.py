"""Every operation, once: its value, its local derivatives, and what people are told about it.

A rule is text in Chainrule's own expression language. The operands go by the operation's parameter names
(`x`; `a, b`; ...), `y` is the operation's own result. An operation that takes any number of operands speaks
of one operand `x`, of all of them together as `xs`, of `others` (all but `x`) and of their count `n`.

From one entry follow validation, the compiled loops for values, local derivatives and second derivatives
(`python -m engine.generate` writes them to rules.py), the backward graph, the `Value` method, the catalogue,
the documentation and the property tests: the table differentiates itself, so nothing is said twice.

Where a derivative that people know loses digits (1 - tanh(x)^2 for large x), `derivatives` holds the accurate
rule and `shown` the familiar one; the tests hold both against the same 50-digit numbers. Likewise where a rule says
`x + 0`, which is 0 also for -0.0, so that one over it is +infinity.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

INPUT = 0
CONSTANT = 1


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    `value` is an expression of primitives (functions of engine/primitives.py, or Python's operators);
    `derivatives` has one rule per parameter, or a single one when any number of operands is taken.
    `kink` is a condition in the same language: where it holds, the derivative is a convention. `formula` and `shown`
    say value and derivatives in the way people know them, where that is not how they are computed.
    """

    name: str
    value: str
    derivatives: tuple[str, ...]
    summary: str
    parameters: tuple[str, ...] = ("x",)
    variadic: bool = False
    aliases: tuple[str, ...] = ()
    formula: str = ""
    shown: tuple[str, ...] = ()
    domain: str = "all reals"
    kink: str | None = None
    convention: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "formula", self.formula or self.value)
        object.__setattr__(self, "shown", self.shown or self.derivatives)

    @property
    def min_inputs(self) -> int:
        return 1 if self.variadic else len(self.parameters)

    @property
    def max_inputs(self) -> int | None:
        return None if self.variadic else len(self.parameters)


def _unary(name: str, value: str, dx: str, summary: str, **more: object) -> Operation:
    return Operation(name, value, (dx,), summary, **more)  # type: ignore[arg-type]


def _binary(name: str, value: str, da: str, db: str, summary: str, **more: object) -> Operation:
    return Operation(name, value, (da, db), summary, parameters=("a", "b"), **more)  # type: ignore[arg-type]


def _variadic(name: str, dx: str, summary: str, **more: object) -> Operation:
    return Operation(name, f"{name}(xs)", (dx,), summary, parameters=("xs",), variadic=True, **more)  # type: ignore[arg-type]


def _comparison(name: str, symbol: str, words: str, aliases: tuple[str, ...]) -> Operation:
    return _binary(
        name,
        f"a {symbol} b",
        "0",
        "0",
        f"1 where a {words} b, else 0.",
        aliases=(symbol, *aliases),
        formula=f"a {symbol} b",
        kink="a == b",
        convention="The gradient is 0 everywhere, also where it jumps.",
    )


OPERATIONS: tuple[Operation, ...] = (
    _unary("neg", "-x", "-1", "The negative.", aliases=("negative",), formula="-x"),
    _unary(
        "abs",
        "abs(x)",
        "sign(x)",
        "The absolute value.",
        aliases=("absolute", "fabs"),
        kink="x == 0",
        convention="The derivative at 0 is 0.",
    ),
    _unary(
        "sign",
        "sign(x)",
        "where(x == x, 0, x)",
        "-1, 0 or 1, by the sign.",
        aliases=("sgn",),
        shown=("0",),
        kink="x == 0",
        convention="The derivative is 0 everywhere, also at the jump.",
    ),
    _unary("square", "x * x", "2 * x", "The square.", formula="x**2"),
    _unary(
        "sqrt",
        "sqrt(x)",
        "0.5 / (y + 0)",
        "The square root.",
        shown=("1 / (2 * y)",),
        domain="x >= 0",
        convention="The derivative at 0 is infinite.",
    ),
    _unary("reciprocal", "1 / x", "-square(y)", "One over x.", formula="1 / x", shown=("-1 / x**2",), domain="x != 0"),
    _unary("exp", "exp(x)", "y", "e to the power of x."),
    _unary("exp2", "exp2(x)", "0.6931471805599453 * y", "2 to the power of x.", formula="2**x", shown=("log(2) * y",)),
    _unary("expm1", "expm1(x)", "exp(x)", "exp(x) - 1, exact also for small x.", formula="exp(x) - 1"),
    _unary(
        "log",
        "log(x)",
        "1 / (x + 0)",
        "The natural logarithm.",
        aliases=("ln",),
        shown=("1 / x",),
        domain="x > 0",
        convention="The derivative at 0 is infinite.",
    ),
    _unary(
        "log2",
        "log2(x)",
        "1.4426950408889634 / (x + 0)",
        "The logarithm to base 2.",
        shown=("1 / (x * log(2))",),
        domain="x > 0",
    ),
    _unary(
        "log10",
        "log10(x)",
        "0.4342944819032518 / (x + 0)",
        "The logarithm to base 10.",
        shown=("1 / (x * log(10))",),
        domain="x > 0",
    ),
    _unary(
        "log1p", "log1p(x)", "1 / (1 + x)", "log(1 + x), exact also for small x.", formula="log(1 + x)", domain="x > -1"
    ),
    _unary("sin", "sin(x)", "cos(x)", "The sine; x in radians."),
    _unary("cos", "cos(x)", "-sin(x)", "The cosine; x in radians."),
    _unary(
        "tan", "tan(x)", "1 + square(y)", "The tangent; x in radians.", shown=("1 + y**2",), domain="x != pi/2 + k*pi"
    ),
    _unary(
        "asin",
        "asin(x)",
        "1 / sqrt((1 - x) * (1 + x))",
        "The inverse sine.",
        aliases=("arcsin",),
        shown=("1 / sqrt(1 - x**2)",),
        domain="-1 <= x <= 1",
    ),
    _unary(
        "acos",
        "acos(x)",
        "-1 / sqrt((1 - x) * (1 + x))",
        "The inverse cosine.",
        aliases=("arccos",),
        shown=("-1 / sqrt(1 - x**2)",),
        domain="-1 <= x <= 1",
    ),
    _unary(
        "atan", "atan(x)", "1 / (1 + square(x))", "The inverse tangent.", aliases=("arctan",), shown=("1 / (1 + x**2)",)
    ),
    _unary("sinh", "sinh(x)", "cosh(x)", "The hyperbolic sine."),
    _unary("cosh", "cosh(x)", "sinh(x)", "The hyperbolic cosine."),
    _unary("tanh", "tanh(x)", "sech_squared(x)", "The hyperbolic tangent.", shown=("1 - y**2",)),
    _unary(
        "asinh",
        "asinh(x)",
        "1 / hypot(1, x)",
        "The inverse hyperbolic sine.",
        aliases=("arcsinh",),
        shown=("1 / sqrt(x**2 + 1)",),
    ),
    _unary(
        "acosh",
        "acosh(x)",
        "1 / (sqrt(x - 1) * sqrt(x + 1))",
        "The inverse hyperbolic cosine.",
        aliases=("arccosh",),
        shown=("1 / sqrt(x**2 - 1)",),
        domain="x >= 1",
    ),
    _unary(
        "atanh",
        "atanh(x)",
        "1 / ((1 - x) * (1 + x))",
        "The inverse hyperbolic tangent.",
        aliases=("arctanh",),
        shown=("1 / (1 - x**2)",),
        domain="-1 < x < 1",
    ),
    _unary(
        "erf",
        "erf(x)",
        "1.1283791670955126 * gaussian(x, 1)",
        "The error function.",
        shown=("2 / sqrt(pi) * exp(-x**2)",),
    ),
    _unary(
        "erfc",
        "erfc(x)",
        "-1.1283791670955126 * gaussian(x, 1)",
        "1 - erf(x), exact also for large x.",
        formula="1 - erf(x)",
        shown=("-2 / sqrt(pi) * exp(-x**2)",),
    ),
    _unary(
        "sigmoid",
        "sigmoid(x)",
        "y * sigmoid(-x)",
        "The logistic function.",
        aliases=("logistic", "expit"),
        formula="1 / (1 + exp(-x))",
        shown=("y * (1 - y)",),
    ),
    _unary("softplus", "softplus(x)", "sigmoid(x)", "A smooth relu.", formula="log(1 + exp(x))"),
    _unary(
        "relu",
        "relu(x)",
        "sign(y)",
        "x where it is positive, else 0.",
        aliases=("ReLU",),
        formula="max(x, 0)",
        shown=("x > 0",),
        kink="x == 0",
        convention="The derivative at 0 is 0.",
    ),
    _unary(
        "leaky_relu",
        "x if x > 0 else 0.01 * x",
        "where(x > 0, 1, where(x <= 0, 0.01, x))",
        "x where it is positive, else a hundredth of it.",
        formula="where(x > 0, x, 0.01 * x)",
        shown=("where(x > 0, 1, 0.01)",),
        kink="x == 0",
        convention="The derivative at 0 is 0.01.",
    ),
    _unary(
        "elu",
        "x if x > 0 else expm1(x)",
        "where(x > 0, 1, exp(x))",
        "x where it is positive, else exp(x) - 1.",
        formula="where(x > 0, x, exp(x) - 1)",
    ),
    _unary(
        "gelu",
        "gelu(x)",
        "normal_cdf(x) + chain(x, 0.3989422804014327 * gaussian(x, 0.5))",
        "x times the normal distribution function of x.",
        formula="x / 2 * (1 + erf(x / sqrt(2)))",
        shown=("(1 + erf(x / sqrt(2))) / 2 + x * exp(-x**2 / 2) / sqrt(2 * pi)",),
    ),
    _unary(
        "gelu_tanh",
        "gelu_tanh(x)",
        "slope = 1.5957691216057308 * (1 + 0.134145 * square(x))\n"
        "chain(tanh_cdf(x), 1 + chain(x, chain(tanh_cdf(-x), slope)))",
        "gelu with the normal distribution function approximated by tanh.",
        formula="x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))",
        shown=(
            "u = sqrt(2 / pi) * (x + 0.044715 * x**3)\n"
            "(1 + tanh(u)) / 2 + x / 2 * (1 - tanh(u)**2) * sqrt(2 / pi) * (1 + 0.134145 * x**2)",
        ),
    ),
    _unary(
        "silu",
        "silu(x)",
        "chain(sigmoid(x), 1 + chain(x, sigmoid(-x)))",
        "x times its sigmoid.",
        aliases=("swish",),
        formula="x / (1 + exp(-x))",
        shown=("sigmoid(x) * (1 + x * (1 - sigmoid(x)))",),
    ),
    _unary(
        "floor",
        "floor(x)",
        "where(x == x, 0, x)",
        "The largest integer not above x.",
        shown=("0",),
        kink="x - floor(x) == 0",
        convention="The derivative is 0 everywhere, also at the jumps.",
    ),
    _unary(
        "ceil",
        "ceil(x)",
        "where(x == x, 0, x)",
        "The smallest integer not below x.",
        shown=("0",),
        kink="x - floor(x) == 0",
        convention="The derivative is 0 everywhere, also at the jumps.",
    ),
    _unary(
        "round",
        "round(x)",
        "where(x == x, 0, x)",
        "The nearest integer; halves go to the even one.",
        aliases=("rint",),
        shown=("0",),
        kink="x - floor(x) == 0.5",
        convention="The derivative is 0 everywhere, also at the jumps.",
    ),
    _binary("add", "a + b", "1", "1", "The sum of two.", aliases=("+",), formula="a + b"),
    _binary("sub", "a - b", "1", "-1", "The difference.", aliases=("-", "subtract"), formula="a - b"),
    _binary("mul", "a * b", "b", "a", "The product of two.", aliases=("*", "multiply"), formula="a * b"),
    _binary(
        "div",
        "a / b",
        "1 / b",
        "-y / b",
        "The quotient.",
        aliases=("/", "divide", "truediv"),
        formula="a / b",
        shown=("1 / b", "-a / b**2"),
        domain="b != 0",
    ),
    _binary(
        "pow",
        "power(a, b)",
        "chain(power_below(a, b), b)",
        "where(a == 0, where(b >= 0, 0, -y), where((y == 0) * (a > 0), 0, y * log(a)))",
        "a to the power of b.",
        aliases=("**", "^", "power"),
        formula="a**b",
        shown=("b * a**(b - 1)", "y * log(a)"),
        domain="a > 0, or a constant integer b",
        convention=(
            "pow(0, 0) is 1 with gradients 0 and 0. A constant exponent has no gradient; a differentiable one has "
            "gradient NaN at a negative base."
        ),
    ),
    _binary(
        "atan2",
        "atan2(a, b)",
        "h = hypot(a, b)\nwhere(h == 0, 0, b / h / h)",
        "h = hypot(a, b)\nwhere(h == 0, 0, -a / h / h)",
        "The angle of the point (b, a).",
        aliases=("arctan2",),
        shown=("b / (a**2 + b**2)", "-a / (a**2 + b**2)"),
        kink="(a == 0) * (b == 0)",
        convention="The gradients at (0, 0) are 0 and 0.",
    ),
    _binary(
        "hypot",
        "hypot(a, b)",
        "where(y == 0, 0, a / y)",
        "where(y == 0, 0, b / y)",
        "The length of the vector (a, b).",
        formula="sqrt(a**2 + b**2)",
        shown=("a / y", "b / y"),
        kink="(a == 0) * (b == 0)",
        convention="The gradients at (0, 0) are 0 and 0.",
    ),
    _comparison("lt", "<", "is less than", ("less",)),
    _comparison("le", "<=", "is at most", ("less_equal",)),
    _comparison("gt", ">", "is greater than", ("greater",)),
    _comparison("ge", ">=", "is at least", ("greater_equal",)),
    _comparison("eq", "==", "equals", ("equal",)),
    _comparison("ne", "!=", "differs from", ("not_equal",)),
    Operation(
        "where",
        "a if condition != 0 else b",
        ("0", "condition != 0", "condition == 0"),
        "a where the condition is not 0, else b.",
        parameters=("condition", "a", "b"),
        aliases=("select",),
        formula="where(condition, a, b)",
        convention="The branch not taken gets gradient 0, whatever its value. NaN counts as true.",
    ),
    Operation(
        "clamp",
        "clamp(x, low, high)",
        (
            "(x >= low) * (x <= high)",
            "(x < low) * (low <= high)",
            "(x > high) + (low > high) > 0",
        ),
        "x, but not below low and not above high.",
        parameters=("x", "low", "high"),
        aliases=("clip",),
        formula="min(max(x, low), high)",
        shown=("(low <= x) * (x <= high)", "x < low", "x > high"),
        domain="low <= high",
        kink="(x == low) + (x == high) > 0",
        convention="At a bound the gradient goes to x.",
    ),
    _variadic("sum", "1", "The sum of all.", formula="x1 + x2 + ..."),
    _variadic("prod", "prod(others)", "The product of all.", aliases=("product",), formula="x1 * x2 * ..."),
    _variadic("mean", "1 / n", "The arithmetic mean.", aliases=("average",), formula="(x1 + x2 + ...) / n"),
    _variadic(
        "max",
        "(x == y) / sum(xs == y)",
        "The largest of all.",
        aliases=("maximum", "amax"),
        formula="max(x1, x2, ...)",
        kink="ties",
        convention="Operands that tie share the gradient equally.",
    ),
    _variadic(
        "min",
        "(x == y) / sum(xs == y)",
        "The smallest of all.",
        aliases=("minimum", "amin"),
        formula="min(x1, x2, ...)",
        kink="ties",
        convention="Operands that tie share the gradient equally.",
    ),
    _variadic(
        "logsumexp", "exp(x - y)", "The logarithm of the sum of exponentials.", formula="log(exp(x1) + exp(x2) + ...)"
    ),
)

# Functions that only rules speak of, never a graph: each is the accurate way to write its `formula`, and a rule that
# becomes part of a graph is written with the formula instead.
RULE_FUNCTIONS: Mapping[str, Operation] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            _unary(
                "sech_squared",
                "sech_squared(x)",
                "-2 * tanh(x) * y",
                "The derivative of tanh.",
                formula="square(1 / cosh(x))",
            ),
            # exp(-b * a**2) itself loses a digit for every factor ten of a**2.
            _binary(
                "gaussian",
                "gaussian(a, b)",
                "-2 * b * a * y",
                "-square(a) * y",
                "A bell curve.",
                formula="exp(-b * square(a))",
            ),
            _unary(
                "normal_cdf",
                "normal_cdf(x)",
                "0.3989422804014327 * gaussian(x, 0.5)",
                "The normal distribution function.",
                formula="0.5 * erfc(-0.7071067811865476 * x)",
            ),
            _unary(
                "tanh_cdf",
                "tanh_cdf(x)",
                "slope = 1.5957691216057308 * (1 + 0.134145 * square(x))\nchain(y, chain(tanh_cdf(-x), slope))",
                "The normal distribution function, approximated by tanh.",
                formula="sigmoid(1.5957691216057308 * x * (1 + 0.044715 * square(x)))",
            ),
            _binary(
                "softmax_of_two",
                "softmax_of_two(a, b)",
                "chain(y, softmax_of_two(b, a))",
                "-chain(y, softmax_of_two(b, a))",
                "The first one's share of the sum of two exponentials.",
                formula="exp(a - logsumexp(a, b))",
            ),
            _binary(
                "power_below",
                "power_below(a, b)",
                "(b - 1) * pow(a, b - 2)",
                "y * log(a)",
                "a to the power of b - 1.",
                formula="pow(a, b - 1)",
            ),
        )
    }
)

NAMES: list[str] = ["input", "constant", *(operation.name for operation in OPERATIONS)]
OPCODES: Mapping[str, int] = MappingProxyType(
    {alias: code for code, operation in enumerate(OPERATIONS, 2) for alias in (operation.name, *operation.aliases)}
    | {"input": INPUT, "constant": CONSTANT}
)


def operation_of(opcode: int) -> Operation:
    """The table's row of an opcode; a leaf's opcode is an IndexError."""
    if opcode < 2:
        raise IndexError(f"opcode {opcode} is a leaf, not an operation")
    return OPERATIONS[opcode - 2]


def resolve(name: str, inputs: int) -> int | None:
    """The opcode of a canonical name or alias, or None; `-` is neg with one input and sub with two."""
    if name == "-" and inputs == 1:
        return OPCODES["neg"]
    return OPCODES.get(name)


def suggest(name: str) -> str | None:
    """The known operation name nearest to an unknown one, or None when none is near."""
    typed = name[:40].lower()
    words = [known for known in OPCODES if known.isidentifier()]
    # Letters in another order are nearer than a letter too many: tahn is tanh, not tan.
    near = [known for known in words if sorted(known) == sorted(typed)] or difflib.get_close_matches(
        typed, words, 1, 0.6
    )
    return NAMES[OPCODES[near[0]]] if near else None
