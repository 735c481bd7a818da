"""`python -m benchmarks.agreement`: every operation and random graphs against PyTorch, JAX and CasADi.

Prints each kind of deviation with its reason and writes docs/agreement.md; one without a reason is an error.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.derivatives import batch, gradient
from engine.graph import Graph
from engine.kernels import apply
from engine.operations import INPUT, OPCODES, OPERATIONS

PAGE = Path(__file__).parents[1] / "docs" / "agreement.md"

Array = NDArray[np.float64]
Table = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Peer:
    """A library: its operations by our names, and two ways to differentiate.

    `at_points` answers value (points,) and gradients (operands, points) of an operation at points (operands, points);
    `slope` the gradient (inputs,) of a function of a list of scalars at inputs (inputs,).
    """

    table: Table
    at_points: Callable[[str, Array], tuple[Array, Array]]
    slope: Callable[[Callable[[list[Any]], Any], Array], Array]


RELATIVE = 1e-9
BESIDE = 1e-15
"""What counts as no difference beside numbers around 1."""

NUMBERS = [
    0.0, 1e-300, 1e-20, 1e-8, 0.01, 0.3, 0.5, 0.99, 1.0, 1.5, 2.0, 2.5, 3.0, 7.3, 15.0, 25.0, 38.0, 50.0, 300.0, 709.0,
    750.0, 1000.0, 1e8, 1e20, 1e160, 1e300, math.inf,
]  # fmt: skip


def points(operands: int) -> Array:
    """Operands to try, kinks, ties and infinities among them: (operands, points)."""
    numbers = [*NUMBERS, *(-x for x in NUMBERS), math.nan]
    if operands == 1:
        return np.array([numbers])
    chosen = np.random.default_rng(operands)
    usual = chosen.uniform(-4, 4, (operands, 200))
    small = chosen.integers(-2, 3, (operands, 100)).astype(float)
    return np.concatenate([usual, small, chosen.choice(numbers, (operands, 200))], axis=1)


def ours(name: str, at: Array) -> tuple[Array, Array]:
    inputs = [f"x{k}" for k in range(len(at))]
    nodes = [{"id": node, "op": "input"} for node in inputs]
    graph = Graph.from_document({"nodes": [*nodes, {"id": "y", "op": name, "inputs": inputs}]})
    found = batch(graph, dict(zip(inputs, at, strict=True)), value_of=[len(at)], gradient_of=range(len(at)))
    return found.values[0], found.gradients


_EVERYWHERE = (
    "sign sqrt exp expm1 log log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf floor ceil "
    "atan2 hypot"
)
_PYTORCH = "neg abs square reciprocal exp2 log2 erfc sigmoid relu round add sub mul div pow clamp"
_JAX = "abs square reciprocal exp2 log2 round add"


def pytorch() -> Peer:
    import torch
    from torch.nn import functional

    comparisons = ("lt", "le", "gt", "ge", "eq", "ne")
    table: dict[str, Callable[..., Any]] = {
        name: getattr(torch, name) for name in (*_EVERYWHERE.split(), *_PYTORCH.split())
    }
    table |= {name: partial(lambda op, a, b: op(a, b).double(), getattr(torch, name)) for name in comparisons}
    table |= {
        "softplus": functional.softplus, "leaky_relu": functional.leaky_relu, "elu": functional.elu,
        "gelu": functional.gelu, "gelu_tanh": partial(functional.gelu, approximate="tanh"), "silu": functional.silu,
        "where": lambda condition, a, b: torch.where(condition != 0, a, b),
        "sum": lambda *xs: torch.stack(xs).sum(0), "prod": lambda *xs: torch.stack(xs).prod(0),
        "mean": lambda *xs: torch.stack(xs).mean(0), "max": lambda *xs: torch.stack(xs).amax(0),
        "min": lambda *xs: torch.stack(xs).amin(0), "logsumexp": lambda *xs: torch.stack(xs).logsumexp(0),
    }  # fmt: skip

    def at_points(name: str, at: Array) -> tuple[Array, Array]:
        operands = [torch.tensor(x, requires_grad=True) for x in at]
        value = table[name](*operands)
        zeros = np.zeros(at.shape[1])
        if not value.requires_grad:
            return value.numpy(), np.zeros_like(at)
        found = torch.autograd.grad(value.sum(), operands, allow_unused=True)
        return value.detach().numpy(), np.array([zeros if each is None else each.numpy() for each in found])

    def slope(function: Callable[[list[Any]], Any], inputs: Array) -> Array:
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
        found = torch.autograd.grad(function(leaves), leaves, allow_unused=True)
        return np.array([0.0 if each is None else each.item() for each in found])

    return Peer(table, at_points, slope)


def jax() -> Peer:
    library = import_module("jax")
    library.config.update("jax_enable_x64", True)
    jnp, nn, special = library.numpy, library.nn, import_module("jax.scipy.special")
    names = {
        "neg": "negative", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
        "atanh": "arctanh", "sub": "subtract", "mul": "multiply", "div": "divide", "pow": "power", "atan2": "arctan2",
        "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
        "clamp": "clip",
    }  # fmt: skip
    table: dict[str, Callable[..., Any]] = {
        name: getattr(jnp, names.get(name, name))
        for name in (*names, *_JAX.split(), *_EVERYWHERE.split())
        if name != "erf"
    }
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        table[name] = partial(lambda op, a, b: op(a, b).astype(float), table[name])
    table |= {
        "erf": special.erf, "erfc": special.erfc, "sigmoid": nn.sigmoid, "softplus": nn.softplus, "relu": nn.relu,
        "leaky_relu": nn.leaky_relu, "elu": nn.elu, "gelu": partial(nn.gelu, approximate=False),
        "gelu_tanh": partial(nn.gelu, approximate=True), "silu": nn.silu,
        "where": lambda condition, a, b: jnp.where(condition != 0, a, b),
        "sum": lambda *xs: jnp.stack(xs).sum(), "prod": lambda *xs: jnp.stack(xs).prod(),
        "mean": lambda *xs: jnp.stack(xs).mean(), "max": lambda *xs: jnp.stack(xs).max(),
        "min": lambda *xs: jnp.stack(xs).min(), "logsumexp": lambda *xs: special.logsumexp(jnp.stack(xs)),
    }  # fmt: skip

    def at_points(name: str, at: Array) -> tuple[Array, Array]:
        function = library.value_and_grad(table[name], argnums=tuple(range(len(at))))
        value, gradients = library.jit(library.vmap(function))(*at)
        return np.asarray(value), np.asarray(gradients)

    def slope(function: Callable[[list[Any]], Any], inputs: Array) -> Array:
        return np.array(library.grad(function)([jnp.array(x) for x in inputs]))

    return Peer(table, at_points, slope)


def casadi() -> Peer:
    library = import_module("casadi")
    table: dict[str, Callable[..., Any]] = {name: getattr(library, name) for name in _EVERYWHERE.split()}
    table |= {
        "abs": library.fabs, "neg": lambda x: -x, "square": lambda x: x * x, "reciprocal": lambda x: 1 / x,
        "relu": lambda x: library.fmax(x, 0), "where": lambda condition, a, b: library.if_else(condition != 0, a, b),
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
        "pow": lambda a, b: a**b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b,
        "ge": lambda a, b: a >= b, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
        "clamp": lambda x, low, high: library.fmin(library.fmax(x, low), high),
        "sum": lambda *xs: library.sum1(library.vertcat(*xs)),
        "mean": lambda *xs: library.sum1(library.vertcat(*xs)) / len(xs),
        "max": lambda *xs: library.mmax(library.vertcat(*xs)), "min": lambda *xs: library.mmin(library.vertcat(*xs)),
        "logsumexp": lambda *xs: library.logsumexp(library.vertcat(*xs)),
    }  # fmt: skip

    def at_points(name: str, at: Array) -> tuple[Array, Array]:
        symbols = library.SX.sym("x", len(at))
        value = table[name](*(symbols[k] for k in range(len(at))))
        function = library.Function("f", [symbols], [value, library.jacobian(value, symbols)])
        values, gradients = function.map(at.shape[1])(at)
        return np.array(values)[0], np.array(gradients.full()).reshape(at.shape[1], len(at)).T

    def slope(function: Callable[[list[Any]], Any], inputs: Array) -> Array:
        symbols = library.SX.sym("x", len(inputs))
        result = function([symbols[k] for k in range(len(inputs))])
        return np.array(library.Function("f", [symbols], [library.jacobian(result, symbols)])(inputs).full())[0]

    return Peer(table, at_points, slope)


PEERS = {"PyTorch": pytorch, "JAX": jax, "CasADi": casadi}


@dataclass(frozen=True)
class Reason:
    """Why some answers differ: `holds` of the operands, our number and theirs."""

    holds: Callable[[Array, float, float], bool]
    why: str
    operations: str = ""
    peers: str = ""

    def explains(self, peer: str, operation: str, at: Array, mine: float, theirs: float) -> bool:
        return (
            (not self.operations or operation in self.operations.split())
            and (not self.peers or peer in self.peers.split())
            and self.holds(at, mine, theirs)
        )


def has_nan(at: Array, mine: float, theirs: float) -> bool:
    return bool(np.isnan(at).any())


def at_zeros(at: Array, mine: float, theirs: float) -> bool:
    return bool((at == 0).all())


def lost_at_infinity(at: Array, mine: float, theirs: float) -> bool:
    return bool(np.isinf(at).any()) and math.isnan(theirs)


def at_a_bound(at: Array, mine: float, theirs: float) -> bool:
    return bool(at[0] in at[1:] or at[1] >= at[2])


REASONS = [
    Reason(
        has_nan,
        "At NaN the value is NaN and a derivative is what its formula gives: NaN unless the operation is linear. The "
        "others differ among themselves.",
    ),
    Reason(
        lost_at_infinity, "Theirs is infinity times zero, or less infinity; ours is the limit, or nothing passed back."
    ),
    Reason(at_zeros, "A kink: our derivative at 0 is 0.", "abs sign relu"),
    Reason(at_zeros, "A kink: our derivative at 0 is 0.01.", "leaky_relu"),
    Reason(at_zeros, "A kink: our gradients at (0, 0) are 0 and 0.", "hypot atan2"),
    Reason(
        at_a_bound, "A kink: at a bound our gradient goes to x; bounds that meet or cross let one of them win.", "clamp"
    ),
    Reason(
        lambda at, *_: at[0] == 0, "Our pow(0, 0) has gradients 0 and 0, and the limits where 0 is the base.", "pow"
    ),
    Reason(
        lambda at, *_: at[0] < 0, "Outside the domain: a negative base with an exponent that is not an integer.", "pow"
    ),
    Reason(
        lambda at, *_: at[0] < 1,
        "Outside the domain their derivative is 1 / sqrt(x**2 - 1), real below -1 too.",
        "acosh",
    ),
    Reason(
        lambda at, *_: len(set(at.tolist())) < len(at),
        "A tie: our operands share the gradient equally.",
        "max min",
    ),
    Reason(
        lambda at, *_: np.abs(at).max() > 1e8,
        "Theirs overflows, or cancels, on the way to a result that does neither.",
    ),
    Reason(lambda at, *_: at[0] < -5, "Theirs adds 1 and tanh, which cancel.", "gelu_tanh"),
]


def differs(one: Array, other: Array) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        near = np.abs(one - other) <= RELATIVE * np.abs(one) + BESIDE
    return ~(near | (one == other) | (np.isnan(one) & np.isnan(other)))


@dataclass
class Finding:
    """All deviations of one operation of one peer for one reason, and the first of them."""

    count: int
    example: str


def compare_operations(who: str, peer: Peer, findings: dict[tuple[str, str, str], Finding]) -> int:
    """Adds the deviations by (reason, peer, operation); answers how many numbers were compared."""
    compared = 0
    for operation in OPERATIONS:
        if operation.name not in peer.table:
            continue
        for size in (2, 3) if operation.variadic else (len(operation.parameters),):
            at = points(size)
            mine, theirs = ours(operation.name, at), peer.at_points(operation.name, at)
            for place, (m, t) in enumerate(zip([mine[0], *mine[1]], [theirs[0], *theirs[1]], strict=True)):
                compared += len(m)
                for i in np.flatnonzero(differs(m, t)):
                    one, other = float(m[i]), float(t[i])
                    reasons = [r.why for r in REASONS if r.explains(who, operation.name, at[:, i], one, other)]
                    which = "value" if place == 0 else f"derivative by operand {place}"
                    example = f"{which} at {tuple(at[:, i].tolist())}: {one:.6g}, theirs {other:.6g}"
                    key = (reasons[0] if reasons else UNEXPLAINED, who, operation.name)
                    findings.setdefault(key, Finding(0, example)).count += 1
    return compared


def random_graph(names: Sequence[str], seed: int) -> tuple[list[dict[str, Any]], Graph]:
    """A graph of sixty operations on five inputs, of values that are neither huge nor tiny, on no kink."""
    chosen = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = [
        {"id": f"x{k}", "op": "input", "data": float(x)} for k, x in enumerate(chosen.normal(size=5))
    ]
    values = [row["data"] for row in rows]
    arities = {operation.name: operation.max_inputs or 3 for operation in OPERATIONS}
    while len(rows) < 65:
        name = names[int(chosen.integers(len(names)))]
        operands = chosen.choice(len(rows), arities[name])
        value = apply(OPCODES[name], [values[k] for k in operands])
        if not 1e-2 < abs(value) < 1e2:
            continue
        rows.append({"id": f"n{len(rows)}", "op": name, "inputs": [rows[k]["id"] for k in operands]})
        values.append(value)
    total = {"id": "total", "op": "mean", "inputs": [row["id"] for row in rows[-10:]]}
    return [*rows, total], Graph.from_document({"nodes": [*rows, total], "outputs": ["total"]})


def compare_graphs(peer: Peer, graphs: int) -> float:
    """The largest difference of a gradient, relative to the largest entry, over so many random graphs."""
    worst = 0.0
    for seed in range(graphs):
        rows, graph = random_graph(sorted(peer.table), seed)
        found = gradient(graph)
        if found.nonsmooth or not np.isfinite(found.gradients).all():
            continue

        def function(leaves: list[Any], rows: list[dict[str, Any]] = rows) -> Any:
            nodes = dict(zip((row["id"] for row in rows), leaves, strict=False))
            for row in rows[len(leaves) :]:
                nodes[row["id"]] = peer.table[row["op"]](*(nodes[operand] for operand in row["inputs"]))
            return nodes["total"]

        theirs = peer.slope(function, graph.data[graph.ops == INPUT])
        mine = found.gradients[graph.ops == INPUT]
        worst = max(worst, float(np.abs(mine - theirs).max() / np.abs(mine).max()))
    return worst


UNEXPLAINED = "**No reason known.**"
_INTRODUCTION = """# Agreement with other libraries

Written by `python -m benchmarks.agreement`, which compares every operation that a library has too, at some hundreds of
points each, kinks, ties, infinities and NaN included, and the gradients of random graphs of sixty of them. Numbers
differ where they are further apart than {relative:g} of ours. A deviation without a reason is an error.
"""


def main() -> None:
    findings: dict[tuple[str, str, str], Finding] = {}
    lines = [
        _INTRODUCTION.format(relative=RELATIVE),
        "| Library | Numbers compared | Differ | Random graphs differ by at most |",
    ]
    lines.append("|---|---|---|---|")
    for who, make in PEERS.items():
        try:
            peer = make()
        except ImportError:
            print(f"{who} is not installed", file=sys.stderr)
            continue
        compared = compare_operations(who, peer, findings)
        worst = compare_graphs(peer, 20)
        count = sum(finding.count for (_, name, _), finding in findings.items() if name == who)
        version = getattr(import_module({"PyTorch": "torch"}.get(who, who.lower())), "__version__", "")
        lines.append(f"| {who} {version} | {compared:,} | {count} | {worst:.0e} of the largest entry |")
        if worst > 1e-9:
            raise AssertionError(f"{who} disagrees on a random graph by {worst:g}")
    for why in dict.fromkeys(why for why, _, _ in findings):
        lines += ["", f"## {why}", "", "| Library | Operation | Numbers | For example |", "|---|---|---|---|"]
        for (reason, who, operation), finding in findings.items():
            if reason == why:
                lines.append(f"| {who} | `{operation}` | {finding.count} | {finding.example} |")
    page = "\n".join(lines) + "\n"
    print(page)
    PAGE.write_text(page)
    if UNEXPLAINED in page:
        raise AssertionError("a deviation without a reason")


if __name__ == "__main__":
    main()
