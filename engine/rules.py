"""The loops that know the operations. Written by `python -m engine.generate` from the operation table.

A tape's row i has opcode ops[i], operands v[a[i]] and v[b[i]], value v[i] and local derivatives l[i]. The last place
of v stands in for an operand that is not there. Operands beyond two sit in the rows before: see rows.py.

Uses elementary.py, passes.py, primitives.py and rows.py with the digest 809dec708186851cc823a9ad89b725f0aa5c25965e0723a58f0dffd45bcfaf23
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.elementary import *
from engine.jit import called, compiled, inlined
from engine.passes import any_nonfinite, backward, fill_lanes, hand_back, has_nan, keep_lanes, seed, start_adjoints
from engine.primitives import *
from engine.rows import gather, gather_lane, scatter, scatter_lane, so_far, ties, ties_lane

DENSE = (56, 60,)
"""Opcodes whose second derivatives couple all of any number of operands."""

@inlined
def _sum(xs: Any, n: int, ds: Any) -> float:
    y = sum(xs, n)
    for i in range(n):
        x = xs[i]
        ds[i] = 1.0
    return y


@inlined
def _prod(xs: Any, n: int, ds: Any) -> float:
    y = prod(xs, n)
    products_of_others(xs, n, ds)
    return y


@inlined
def _mean(xs: Any, n: int, ds: Any) -> float:
    y = mean(xs, n)
    for i in range(n):
        x = xs[i]
        ds[i] = (1.0 / n)
    return y


@inlined
def _max(xs: Any, n: int, ds: Any) -> float:
    y = max(xs, n)
    total0 = 0.0
    for i in range(n):
        x = xs[i]
        total0 += (1.0 if (x == y) else 0.0)
    for i in range(n):
        x = xs[i]
        ds[i] = ((1.0 if (x == y) else 0.0) / total0)
    return y


@inlined
def _min(xs: Any, n: int, ds: Any) -> float:
    y = min(xs, n)
    total0 = 0.0
    for i in range(n):
        x = xs[i]
        total0 += (1.0 if (x == y) else 0.0)
    for i in range(n):
        x = xs[i]
        ds[i] = ((1.0 if (x == y) else 0.0) / total0)
    return y


@inlined
def _logsumexp(xs: Any, n: int, ds: Any) -> float:
    y = logsumexp(xs, n)
    softmax(xs, n, ds)
    return y


@inlined
def _prod_tangent(xs: Any, n: int, y: float, ts: Any, ty: float, ds: Any, work: Any) -> None:
    before, moved = 1.0, 0.0
    for i in range(n):
        work[i] = before
        ds[i] = moved
        moved = chain(xs[i], moved) + chain(ts[i], before)
        before *= xs[i]
    after, moved = 1.0, 0.0
    for i in range(n - 1, -1, -1):
        ds[i] = chain(ds[i], after) + chain(moved, work[i])
        moved = chain(xs[i], moved) + chain(ts[i], after)
        after *= xs[i]


@inlined
def _logsumexp_tangent(xs: Any, n: int, y: float, ts: Any, ty: float, ds: Any, work: Any) -> None:
    for i in range(n):
        x, tx = xs[i], ts[i]
        ds[i] = chain((exp((x - y))), (tx + (-ty)))


@called
def other(op: int, p: float, q: float) -> tuple[float, float, float]:
    """The value and the local derivatives of an operation that forward does not work out itself."""
    y = 0.0
    dp = 0.0
    dq = 0.0
    if op == 8:
        y = exp(p)
        dp = y
    elif op == 9:
        y = exp2(p)
        dp = (0.6931471805599453 * y)
    elif op == 10:
        y = expm1(p)
        dp = (exp(p))
    elif op == 11:
        y = log(p)
        dp = (1.0 / (p + 0.0))
    elif op == 12:
        y = log2(p)
        dp = (1.4426950408889634 / (p + 0.0))
    elif op == 13:
        y = log10(p)
        dp = (0.4342944819032518 / (p + 0.0))
    elif op == 14:
        y = log1p(p)
        dp = (1.0 / (1.0 + p))
    elif op == 15:
        y = sin(p)
        dp = (cos(p))
    elif op == 16:
        y = cos(p)
        dp = (-(sin(p)))
    elif op == 17:
        y = tan(p)
        dp = (1.0 + (y * y))
    elif op == 18:
        y = asin(p)
        dp = (1.0 / (sqrt(((1.0 - p) * (1.0 + p)))))
    elif op == 19:
        y = acos(p)
        dp = (-1.0 / (sqrt(((1.0 - p) * (1.0 + p)))))
    elif op == 20:
        y = atan(p)
        dp = (1.0 / (1.0 + (p * p)))
    elif op == 21:
        y = sinh(p)
        dp = (cosh(p))
    elif op == 22:
        y = cosh(p)
        dp = (sinh(p))
    elif op == 23:
        y = tanh(p)
        dp = (sech_squared(p))
    elif op == 24:
        y = asinh(p)
        dp = (1.0 / (hypot(1.0, p)))
    elif op == 25:
        y = acosh(p)
        dp = (1.0 / ((sqrt((p - 1.0))) * (sqrt((p + 1.0)))))
    elif op == 26:
        y = atanh(p)
        dp = (1.0 / ((1.0 - p) * (1.0 + p)))
    elif op == 27:
        y = erf(p)
        dp = (1.1283791670955126 * (gaussian(p, 1.0)))
    elif op == 28:
        y = erfc(p)
        dp = (-1.1283791670955126 * (gaussian(p, 1.0)))
    elif op == 29:
        y = sigmoid(p)
        dp = (y * (sigmoid((-p))))
    elif op == 30:
        y = softplus(p)
        dp = (sigmoid(p))
    elif op == 33:
        y = p if p > 0 else expm1(p)
        dp = (1.0 if (p > 0.0) else (exp(p)))
    elif op == 34:
        y = gelu(p)
        dp = ((normal_cdf(p)) + chain(p, (0.3989422804014327 * (gaussian(p, 0.5)))))
    elif op == 35:
        y = gelu_tanh(p)
        dp = chain((tanh_cdf(p)), (1.0 + chain(p, chain((tanh_cdf((-p))), (1.5957691216057308 * (1.0 + (0.134145 * (p * p))))))))
    elif op == 36:
        y = silu(p)
        dp = chain((sigmoid(p)), (1.0 + chain(p, (sigmoid((-p))))))
    elif op == 37:
        y = floor(p)
        dp = (0.0 if (p == p) else p)
    elif op == 38:
        y = ceil(p)
        dp = (0.0 if (p == p) else p)
    elif op == 39:
        y = round(p)
        dp = (0.0 if (p == p) else p)
    elif op == 44:
        y = power(p, q)
        dp = chain((power_below(p, q)), q)
        dq = ((0.0 if (q >= 0.0) else (-y)) if (p == 0.0) else (0.0 if (((1.0 if (y == 0.0) else 0.0) * (1.0 if (p > 0.0) else 0.0)) != 0.0) else (y * (log(p)))))
    elif op == 61:
        y = power(p, q)
        dp = chain((power_below(p, q)), q)
    elif op == 45:
        y = atan2(p, q)
        t0 = (hypot(p, q))
        dp = (0.0 if (t0 == 0.0) else ((q / t0) / t0))
        dq = (0.0 if (t0 == 0.0) else (((-p) / t0) / t0))
    elif op == 46:
        y = hypot(p, q)
        dp = (0.0 if (y == 0.0) else (p / y))
        dq = (0.0 if (y == 0.0) else (q / y))
    elif op == 64:
        y = mean_of_two(p, q)
        t0 = (1.0 / 2.0)
        dp = t0
        dq = t0
    elif op == 67:
        y = logsumexp_of_two(p, q)
        dp = (softmax_of_two(p, q))
        dq = (softmax_of_two(q, p))
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
        if op == 0:
            pass
        elif op == 1:
            pass
        elif op == 255:
            pass
        elif op == 2:
            y = -p
            dp = -1.0
        elif op == 3:
            y = abs(p)
            dp = (sign(p))
        elif op == 4:
            y = sign(p)
            dp = (0.0 if (p == p) else p)
        elif op == 5:
            y = p * p
            dp = (2.0 * p)
        elif op == 6:
            y = sqrt(p)
            dp = (0.5 / (y + 0.0))
        elif op == 7:
            y = 1 / p
            dp = (-(y * y))
        elif op == 31:
            y = relu(p)
            dp = (sign(y))
        elif op == 32:
            y = p if p > 0 else 0.01 * p
            dp = (1.0 if (p > 0.0) else (0.01 if (p <= 0.0) else p))
        elif op == 40:
            y = p + q
            dp = 1.0
            dq = 1.0
        elif op == 41:
            y = p - q
            dp = 1.0
            dq = -1.0
        elif op == 42:
            y = p * q
            dp = q
            dq = p
        elif op == 43:
            y = p / q
            dp = (1.0 / q)
            dq = ((-y) / q)
        elif op == 47:
            y = 1.0 if p < q else 0.0
            dp = 0.0
            dq = 0.0
        elif op == 48:
            y = 1.0 if p <= q else 0.0
            dp = 0.0
            dq = 0.0
        elif op == 49:
            y = 1.0 if p > q else 0.0
            dp = 0.0
            dq = 0.0
        elif op == 50:
            y = 1.0 if p >= q else 0.0
            dp = 0.0
            dq = 0.0
        elif op == 51:
            y = 1.0 if p == q else 0.0
            dp = 0.0
            dq = 0.0
        elif op == 52:
            y = 1.0 if p != q else 0.0
            dp = 0.0
            dq = 0.0
        elif op == 53:
            link = b[i]
            pi = a[i]
            qi = a[link]
            ri = b[link]
            p = v[pi]
            q = v[qi]
            r = v[ri]
            y = q if p != 0 else r
            dp = 0.0
            dq = (1.0 if (p != 0.0) else 0.0)
            dr = (1.0 if (p == 0.0) else 0.0)
            v[i] = y
            l[i, 0] = dp
            l[i, 1] = 1.0
            l[link, 0] = dq
            l[link, 1] = dr
            continue
        elif op == 54:
            link = b[i]
            pi = a[i]
            qi = a[link]
            ri = b[link]
            p = v[pi]
            q = v[qi]
            r = v[ri]
            y = clamp(p, q, r)
            dp = ((1.0 if (p >= q) else 0.0) * (1.0 if (p <= r) else 0.0))
            dq = ((1.0 if (p < q) else 0.0) * (1.0 if (q <= r) else 0.0))
            dr = (1.0 if (((1.0 if (p > r) else 0.0) + (1.0 if (q > r) else 0.0)) > 0.0) else 0.0)
            v[i] = y
            l[i, 0] = dp
            l[i, 1] = 1.0
            l[link, 0] = dq
            l[link, 1] = dr
            continue
        elif op == 55:
            n = gather(ops, a, b, v, i, xs)
            v[i] = _sum(xs, n, ds)
            scatter(l, i, n, ds)
            continue
        elif op == 62:
            y = sum_of_two(p, q)
            dp = 1.0
            dq = 1.0
        elif op == 56:
            n = gather(ops, a, b, v, i, xs)
            v[i] = _prod(xs, n, ds)
            scatter(l, i, n, ds)
            continue
        elif op == 63:
            y = prod_of_two(p, q)
            dp = q
            dq = p
        elif op == 57:
            n = gather(ops, a, b, v, i, xs)
            v[i] = _mean(xs, n, ds)
            scatter(l, i, n, ds)
            continue
        elif op == 58:
            n = gather(ops, a, b, v, i, xs)
            v[i] = _max(xs, n, ds)
            scatter(l, i, n, ds)
            continue
        elif op == 65:
            y = max_of_two(p, q)
            t0 = (1.0 if (p == y) else 0.0)
            t1 = (1.0 if (q == y) else 0.0)
            t2 = (t0 + t1)
            dp = (t0 / t2)
            dq = (t1 / t2)
        elif op == 59:
            n = gather(ops, a, b, v, i, xs)
            v[i] = _min(xs, n, ds)
            scatter(l, i, n, ds)
            continue
        elif op == 66:
            y = min_of_two(p, q)
            t0 = (1.0 if (p == y) else 0.0)
            t1 = (1.0 if (q == y) else 0.0)
            t2 = (t0 + t1)
            dp = (t0 / t2)
            dq = (t1 / t2)
        elif op == 60:
            n = gather(ops, a, b, v, i, xs)
            v[i] = _logsumexp(xs, n, ds)
            scatter(l, i, n, ds)
            continue
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
        if op == 2:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = -p
                dp = -1.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 3:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = abs(p)
                dp = (sign(p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 4:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = sign(p)
                dp = (0.0 if (p == p) else p)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 5:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = p * p
                dp = (2.0 * p)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 6:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = sqrt(p)
                dp = (0.5 / (y + 0.0))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 7:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = 1 / p
                dp = (-(y * y))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 8:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = exp(p)
                dp = y
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 9:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = exp2(p)
                dp = (0.6931471805599453 * y)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 10:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = expm1(p)
                dp = (exp(p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 11:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = log(p)
                dp = (1.0 / (p + 0.0))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 12:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = log2(p)
                dp = (1.4426950408889634 / (p + 0.0))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 13:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = log10(p)
                dp = (0.4342944819032518 / (p + 0.0))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 14:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = log1p(p)
                dp = (1.0 / (1.0 + p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 15:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = sin(p)
                dp = (cos(p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 16:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = cos(p)
                dp = (-(sin(p)))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 17:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = tan(p)
                dp = (1.0 + (y * y))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 18:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = asin(p)
                dp = (1.0 / (sqrt(((1.0 - p) * (1.0 + p)))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 19:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = acos(p)
                dp = (-1.0 / (sqrt(((1.0 - p) * (1.0 + p)))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 20:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = atan(p)
                dp = (1.0 / (1.0 + (p * p)))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 21:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = sinh(p)
                dp = (cosh(p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 22:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = cosh(p)
                dp = (sinh(p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 23:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = tanh(p)
                dp = (sech_squared(p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 24:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = asinh(p)
                dp = (1.0 / (hypot(1.0, p)))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 25:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = acosh(p)
                dp = (1.0 / ((sqrt((p - 1.0))) * (sqrt((p + 1.0)))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 26:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = atanh(p)
                dp = (1.0 / ((1.0 - p) * (1.0 + p)))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 27:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = erf(p)
                dp = (1.1283791670955126 * (gaussian(p, 1.0)))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 28:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = erfc(p)
                dp = (-1.1283791670955126 * (gaussian(p, 1.0)))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 29:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = sigmoid(p)
                dp = (y * (sigmoid((-p))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 30:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = softplus(p)
                dp = (sigmoid(p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 31:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = relu(p)
                dp = (sign(y))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 32:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = p if p > 0 else 0.01 * p
                dp = (1.0 if (p > 0.0) else (0.01 if (p <= 0.0) else p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 33:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = p if p > 0 else expm1(p)
                dp = (1.0 if (p > 0.0) else (exp(p)))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 34:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = gelu(p)
                dp = ((normal_cdf(p)) + chain(p, (0.3989422804014327 * (gaussian(p, 0.5)))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 35:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = gelu_tanh(p)
                dp = chain((tanh_cdf(p)), (1.0 + chain(p, chain((tanh_cdf((-p))), (1.5957691216057308 * (1.0 + (0.134145 * (p * p))))))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 36:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = silu(p)
                dp = chain((sigmoid(p)), (1.0 + chain(p, (sigmoid((-p))))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 37:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = floor(p)
                dp = (0.0 if (p == p) else p)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 38:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = ceil(p)
                dp = (0.0 if (p == p) else p)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 39:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                p = v[pi]
                y = round(p)
                dp = (0.0 if (p == p) else p)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 40:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = p + q
                dp = 1.0
                dq = 1.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 41:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = p - q
                dp = 1.0
                dq = -1.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 42:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = p * q
                dp = q
                dq = p
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 43:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = p / q
                dp = (1.0 / q)
                dq = ((-y) / q)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 44:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = power(p, q)
                dp = chain((power_below(p, q)), q)
                dq = ((0.0 if (q >= 0.0) else (-y)) if (p == 0.0) else (0.0 if (((1.0 if (y == 0.0) else 0.0) * (1.0 if (p > 0.0) else 0.0)) != 0.0) else (y * (log(p)))))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 61:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = power(p, q)
                dp = chain((power_below(p, q)), q)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 0.0
        elif op == 45:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = atan2(p, q)
                t0 = (hypot(p, q))
                dp = (0.0 if (t0 == 0.0) else ((q / t0) / t0))
                dq = (0.0 if (t0 == 0.0) else (((-p) / t0) / t0))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 46:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = hypot(p, q)
                dp = (0.0 if (y == 0.0) else (p / y))
                dq = (0.0 if (y == 0.0) else (q / y))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 47:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = 1.0 if p < q else 0.0
                dp = 0.0
                dq = 0.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 48:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = 1.0 if p <= q else 0.0
                dp = 0.0
                dq = 0.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 49:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = 1.0 if p > q else 0.0
                dp = 0.0
                dq = 0.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 50:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = 1.0 if p >= q else 0.0
                dp = 0.0
                dq = 0.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 51:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = 1.0 if p == q else 0.0
                dp = 0.0
                dq = 0.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 52:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = 1.0 if p != q else 0.0
                dp = 0.0
                dq = 0.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 53:
            for k in range(start, stop):
                i = rows[k]
                link = b[i]
                pi = a[i]
                qi = a[link]
                ri = b[link]
                p = v[pi]
                q = v[qi]
                r = v[ri]
                y = q if p != 0 else r
                dp = 0.0
                dq = (1.0 if (p != 0.0) else 0.0)
                dr = (1.0 if (p == 0.0) else 0.0)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 1.0
                l[link, 0] = dq
                l[link, 1] = dr
        elif op == 54:
            for k in range(start, stop):
                i = rows[k]
                link = b[i]
                pi = a[i]
                qi = a[link]
                ri = b[link]
                p = v[pi]
                q = v[qi]
                r = v[ri]
                y = clamp(p, q, r)
                dp = ((1.0 if (p >= q) else 0.0) * (1.0 if (p <= r) else 0.0))
                dq = ((1.0 if (p < q) else 0.0) * (1.0 if (q <= r) else 0.0))
                dr = (1.0 if (((1.0 if (p > r) else 0.0) + (1.0 if (q > r) else 0.0)) > 0.0) else 0.0)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = 1.0
                l[link, 0] = dq
                l[link, 1] = dr
        elif op == 55:
            for k in range(start, stop):
                i = rows[k]
                n = gather(ops, a, b, v, i, xs)
                v[i] = _sum(xs, n, ds)
                scatter(l, i, n, ds)
        elif op == 62:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = sum_of_two(p, q)
                dp = 1.0
                dq = 1.0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 56:
            for k in range(start, stop):
                i = rows[k]
                n = gather(ops, a, b, v, i, xs)
                v[i] = _prod(xs, n, ds)
                scatter(l, i, n, ds)
        elif op == 63:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = prod_of_two(p, q)
                dp = q
                dq = p
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 57:
            for k in range(start, stop):
                i = rows[k]
                n = gather(ops, a, b, v, i, xs)
                v[i] = _mean(xs, n, ds)
                scatter(l, i, n, ds)
        elif op == 64:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = mean_of_two(p, q)
                t0 = (1.0 / 2.0)
                dp = t0
                dq = t0
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 58:
            for k in range(start, stop):
                i = rows[k]
                n = gather(ops, a, b, v, i, xs)
                v[i] = _max(xs, n, ds)
                scatter(l, i, n, ds)
        elif op == 65:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = max_of_two(p, q)
                t0 = (1.0 if (p == y) else 0.0)
                t1 = (1.0 if (q == y) else 0.0)
                t2 = (t0 + t1)
                dp = (t0 / t2)
                dq = (t1 / t2)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 59:
            for k in range(start, stop):
                i = rows[k]
                n = gather(ops, a, b, v, i, xs)
                v[i] = _min(xs, n, ds)
                scatter(l, i, n, ds)
        elif op == 66:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = min_of_two(p, q)
                t0 = (1.0 if (p == y) else 0.0)
                t1 = (1.0 if (q == y) else 0.0)
                t2 = (t0 + t1)
                dp = (t0 / t2)
                dq = (t1 / t2)
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq
        elif op == 60:
            for k in range(start, stop):
                i = rows[k]
                n = gather(ops, a, b, v, i, xs)
                v[i] = _logsumexp(xs, n, ds)
                scatter(l, i, n, ds)
        elif op == 67:
            for k in range(start, stop):
                i = rows[k]
                pi = a[i]
                qi = b[i]
                p = v[pi]
                q = v[qi]
                y = logsumexp_of_two(p, q)
                dp = (softmax_of_two(p, q))
                dq = (softmax_of_two(q, p))
                v[i] = y
                l[i, 0] = dp
                l[i, 1] = dq


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
        if op == 2:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = -p
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 3:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = abs(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 4:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = sign(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 5:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = p * p
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 6:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = sqrt(p)
                dp = (0.5 / (y + 0.0))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 7:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = 1 / p
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 8:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = exp(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 9:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = exp2(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 10:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = expm1(p)
                dp = (exp(p))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 11:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = log(p)
                dp = (1.0 / (p + 0.0))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 12:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = log2(p)
                dp = (1.4426950408889634 / (p + 0.0))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 13:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = log10(p)
                dp = (0.4342944819032518 / (p + 0.0))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 14:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = log1p(p)
                dp = (1.0 / (1.0 + p))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 15:
            pi = a[i]
            far = False
            for j in range(lanes):
                far |= not abs(v[pi, j]) < NEAR
            if far:
                for j in range(lanes):
                    p = v[pi, j]
                    y = sin(p)
                    dp = (cos(p))
                    v[i, j] = y
                    l[i, 0, j] = dp
                    bad |= not abs(v[i, j]) < np.inf
            else:
                for j in range(lanes):
                    p = v[pi, j]
                    y = sin_near(p)
                    dp = (cos_near(p))
                    v[i, j] = y
                    l[i, 0, j] = dp
                    bad |= not abs(v[i, j]) < np.inf
        elif op == 16:
            pi = a[i]
            far = False
            for j in range(lanes):
                far |= not abs(v[pi, j]) < NEAR
            if far:
                for j in range(lanes):
                    p = v[pi, j]
                    y = cos(p)
                    dp = (-(sin(p)))
                    v[i, j] = y
                    l[i, 0, j] = dp
                    bad |= not abs(v[i, j]) < np.inf
            else:
                for j in range(lanes):
                    p = v[pi, j]
                    y = cos_near(p)
                    dp = (-(sin_near(p)))
                    v[i, j] = y
                    l[i, 0, j] = dp
                    bad |= not abs(v[i, j]) < np.inf
        elif op == 17:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = tan(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 18:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = asin(p)
                dp = (1.0 / (sqrt(((1.0 - p) * (1.0 + p)))))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 19:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = acos(p)
                dp = (-1.0 / (sqrt(((1.0 - p) * (1.0 + p)))))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 20:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = atan(p)
                dp = (1.0 / (1.0 + (p * p)))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 21:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = sinh(p)
                dp = (cosh(p))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 22:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = cosh(p)
                dp = (sinh(p))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 23:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = tanh(p)
                dp = (sech_squared(p))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 24:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = asinh(p)
                dp = (1.0 / (hypot(1.0, p)))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 25:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = acosh(p)
                dp = (1.0 / ((sqrt((p - 1.0))) * (sqrt((p + 1.0)))))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 26:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = atanh(p)
                dp = (1.0 / ((1.0 - p) * (1.0 + p)))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 27:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = erf(p)
                dp = (1.1283791670955126 * (gaussian(p, 1.0)))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 28:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = erfc(p)
                dp = (-1.1283791670955126 * (gaussian(p, 1.0)))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 29:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = sigmoid(p)
                dp = (y * (sigmoid((-p))))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 30:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = softplus(p)
                dp = (sigmoid(p))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 31:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = relu(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 32:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = p if p > 0 else 0.01 * p
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 33:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = p if p > 0 else expm1(p)
                dp = (1.0 if (p > 0.0) else (exp(p)))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 34:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = gelu(p)
                dp = ((normal_cdf(p)) + chain(p, (0.3989422804014327 * (gaussian(p, 0.5)))))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 35:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = gelu_tanh(p)
                dp = chain((tanh_cdf(p)), (1.0 + chain(p, chain((tanh_cdf((-p))), (1.5957691216057308 * (1.0 + (0.134145 * (p * p))))))))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 36:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = silu(p)
                dp = chain((sigmoid(p)), (1.0 + chain(p, (sigmoid((-p))))))
                v[i, j] = y
                l[i, 0, j] = dp
                bad |= not abs(v[i, j]) < np.inf
        elif op == 37:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = floor(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 38:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = ceil(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 39:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                y = round(p)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 40:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = p + q
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 41:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = p - q
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 42:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = p * q
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 43:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = p / q
                dp = (1.0 / q)
                dq = ((-y) / q)
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
        elif op == 44:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = power(p, q)
                dp = chain((power_below(p, q)), q)
                dq = ((0.0 if (q >= 0.0) else (-y)) if (p == 0.0) else (0.0 if (((1.0 if (y == 0.0) else 0.0) * (1.0 if (p > 0.0) else 0.0)) != 0.0) else (y * (log(p)))))
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
        elif op == 61:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = power(p, q)
                dp = chain((power_below(p, q)), q)
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = 0.0
                bad |= not abs(v[i, j]) < np.inf
        elif op == 45:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = atan2(p, q)
                t0 = (hypot(p, q))
                dp = (0.0 if (t0 == 0.0) else ((q / t0) / t0))
                dq = (0.0 if (t0 == 0.0) else (((-p) / t0) / t0))
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
        elif op == 46:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = hypot(p, q)
                dp = (0.0 if (y == 0.0) else (p / y))
                dq = (0.0 if (y == 0.0) else (q / y))
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
        elif op == 47:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = 1.0 if p < q else 0.0
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 48:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = 1.0 if p <= q else 0.0
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 49:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = 1.0 if p > q else 0.0
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 50:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = 1.0 if p >= q else 0.0
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 51:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = 1.0 if p == q else 0.0
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 52:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = 1.0 if p != q else 0.0
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 53:
            link = b[i]
            pi = a[i]
            qi = a[link]
            ri = b[link]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                r = v[ri, j]
                y = q if p != 0 else r
                dp = 0.0
                dq = (1.0 if (p != 0.0) else 0.0)
                dr = (1.0 if (p == 0.0) else 0.0)
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = 1.0
                l[link, 0, j] = dq
                l[link, 1, j] = dr
                bad |= not abs(v[i, j]) < np.inf
        elif op == 54:
            link = b[i]
            pi = a[i]
            qi = a[link]
            ri = b[link]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                r = v[ri, j]
                y = clamp(p, q, r)
                dp = ((1.0 if (p >= q) else 0.0) * (1.0 if (p <= r) else 0.0))
                dq = ((1.0 if (p < q) else 0.0) * (1.0 if (q <= r) else 0.0))
                dr = (1.0 if (((1.0 if (p > r) else 0.0) + (1.0 if (q > r) else 0.0)) > 0.0) else 0.0)
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = 1.0
                l[link, 0, j] = dq
                l[link, 1, j] = dr
                bad |= not abs(v[i, j]) < np.inf
        elif op == 55:
            for j in range(lanes):
                n = gather_lane(ops, a, b, v, i, j, xs)
                v[i, j] = _sum(xs, n, ds)
                scatter_lane(l, i, j, n, ds)
                bad |= not abs(v[i, j]) < np.inf
        elif op == 62:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = sum_of_two(p, q)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 56:
            for j in range(lanes):
                n = gather_lane(ops, a, b, v, i, j, xs)
                v[i, j] = _prod(xs, n, ds)
                scatter_lane(l, i, j, n, ds)
                bad |= not abs(v[i, j]) < np.inf
        elif op == 63:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = prod_of_two(p, q)
                v[i, j] = y
                bad |= not abs(v[i, j]) < np.inf
        elif op == 57:
            for j in range(lanes):
                n = gather_lane(ops, a, b, v, i, j, xs)
                v[i, j] = _mean(xs, n, ds)
                scatter_lane(l, i, j, n, ds)
                bad |= not abs(v[i, j]) < np.inf
        elif op == 64:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = mean_of_two(p, q)
                t0 = (1.0 / 2.0)
                dp = t0
                dq = t0
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
        elif op == 58:
            for j in range(lanes):
                n = gather_lane(ops, a, b, v, i, j, xs)
                v[i, j] = _max(xs, n, ds)
                scatter_lane(l, i, j, n, ds)
                bad |= not abs(v[i, j]) < np.inf
        elif op == 65:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = max_of_two(p, q)
                t0 = (1.0 if (p == y) else 0.0)
                t1 = (1.0 if (q == y) else 0.0)
                t2 = (t0 + t1)
                dp = (t0 / t2)
                dq = (t1 / t2)
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
        elif op == 59:
            for j in range(lanes):
                n = gather_lane(ops, a, b, v, i, j, xs)
                v[i, j] = _min(xs, n, ds)
                scatter_lane(l, i, j, n, ds)
                bad |= not abs(v[i, j]) < np.inf
        elif op == 66:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = min_of_two(p, q)
                t0 = (1.0 if (p == y) else 0.0)
                t1 = (1.0 if (q == y) else 0.0)
                t2 = (t0 + t1)
                dp = (t0 / t2)
                dq = (t1 / t2)
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
        elif op == 60:
            for j in range(lanes):
                n = gather_lane(ops, a, b, v, i, j, xs)
                v[i, j] = _logsumexp(xs, n, ds)
                scatter_lane(l, i, j, n, ds)
                bad |= not abs(v[i, j]) < np.inf
        elif op == 67:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                y = logsumexp_of_two(p, q)
                dp = (softmax_of_two(p, q))
                dq = (softmax_of_two(q, p))
                v[i, j] = y
                l[i, 0, j] = dp
                l[i, 1, j] = dq
                bad |= not abs(v[i, j]) < np.inf
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
        if op == 2:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk) - upstream
        elif op == 3:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                g[pi, j] = so_far(g[pi, j], pk) + (sign(p)) * upstream
        elif op == 4:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                g[pi, j] = so_far(g[pi, j], pk) + (0.0 if (p == p) else p) * upstream
        elif op == 5:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                g[pi, j] = so_far(g[pi, j], pk) + (2.0 * p) * upstream
        elif op == 7:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                y = v[i, j]
                g[pi, j] = so_far(g[pi, j], pk) + (-(y * y)) * upstream
        elif op == 8:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                y = v[i, j]
                g[pi, j] = so_far(g[pi, j], pk) + y * upstream
        elif op == 9:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                y = v[i, j]
                g[pi, j] = so_far(g[pi, j], pk) + (0.6931471805599453 * y) * upstream
        elif op == 17:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                y = v[i, j]
                g[pi, j] = so_far(g[pi, j], pk) + (1.0 + (y * y)) * upstream
        elif op == 31:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                y = v[i, j]
                g[pi, j] = so_far(g[pi, j], pk) + (sign(y)) * upstream
        elif op == 32:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                g[pi, j] = so_far(g[pi, j], pk) + (1.0 if (p > 0.0) else (0.01 if (p <= 0.0) else p)) * upstream
        elif op == 37:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                g[pi, j] = so_far(g[pi, j], pk) + (0.0 if (p == p) else p) * upstream
        elif op == 38:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                g[pi, j] = so_far(g[pi, j], pk) + (0.0 if (p == p) else p) * upstream
        elif op == 39:
            pi = a[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                g[pi, j] = so_far(g[pi, j], pk) + (0.0 if (p == p) else p) * upstream
        elif op == 40:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk) + upstream
                g[qi, j] = so_far(g[qi, j], qk) + upstream
        elif op == 41:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk) + upstream
                g[qi, j] = so_far(g[qi, j], qk) - upstream
        elif op == 42:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                q = v[qi, j]
                g[pi, j] = so_far(g[pi, j], pk) + q * upstream
                g[qi, j] = so_far(g[qi, j], qk) + p * upstream
        elif op == 47:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk)
                g[qi, j] = so_far(g[qi, j], qk)
        elif op == 48:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk)
                g[qi, j] = so_far(g[qi, j], qk)
        elif op == 49:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk)
                g[qi, j] = so_far(g[qi, j], qk)
        elif op == 50:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk)
                g[qi, j] = so_far(g[qi, j], qk)
        elif op == 51:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk)
                g[qi, j] = so_far(g[qi, j], qk)
        elif op == 52:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk)
                g[qi, j] = so_far(g[qi, j], qk)
        elif op == 62:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                g[pi, j] = so_far(g[pi, j], pk) + upstream
                g[qi, j] = so_far(g[qi, j], qk) + upstream
        elif op == 63:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                upstream = g[i, j]
                bad |= not abs(upstream) < np.inf
                p = v[pi, j]
                q = v[qi, j]
                g[pi, j] = so_far(g[pi, j], pk) + q * upstream
                g[qi, j] = so_far(g[qi, j], qk) + p * upstream
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
        if op == 3:
            h[i, 0] = (0.0 if (p == p) else p)
        elif op == 4:
            h[i, 0] = (1.0 if not (p == p) else 0.0)
        elif op == 5:
            h[i, 0] = 2.0
        elif op == 6:
            t0 = (y + 0.0)
            t1 = (0.5 / t0)
            h[i, 0] = chain(((-t1) / t0), t1)
        elif op == 7:
            h[i, 0] = (-chain((2.0 * y), (-(y * y))))
        elif op == 8:
            h[i, 0] = y
        elif op == 9:
            h[i, 0] = chain(0.6931471805599453, (0.6931471805599453 * y))
        elif op == 10:
            h[i, 0] = (exp(p))
        elif op == 11:
            t0 = (p + 0.0)
            h[i, 0] = ((-(1.0 / t0)) / t0)
        elif op == 12:
            t0 = (p + 0.0)
            h[i, 0] = ((-(1.4426950408889634 / t0)) / t0)
        elif op == 13:
            t0 = (p + 0.0)
            h[i, 0] = ((-(0.4342944819032518 / t0)) / t0)
        elif op == 14:
            t0 = (1.0 + p)
            h[i, 0] = ((-(1.0 / t0)) / t0)
        elif op == 15:
            h[i, 0] = (-(sin(p)))
        elif op == 16:
            h[i, 0] = (-(cos(p)))
        elif op == 17:
            h[i, 0] = chain((2.0 * y), (1.0 + (y * y)))
        elif op == 18:
            t0 = (1.0 - p)
            t1 = (1.0 + p)
            t2 = (sqrt((t0 * t1)))
            h[i, 0] = chain(((-(1.0 / t2)) / t2), chain((0.5 / (t2 + 0.0)), ((-t1) + t0)))
        elif op == 19:
            t0 = (1.0 - p)
            t1 = (1.0 + p)
            t2 = (sqrt((t0 * t1)))
            h[i, 0] = chain(((-(-1.0 / t2)) / t2), chain((0.5 / (t2 + 0.0)), ((-t1) + t0)))
        elif op == 20:
            t0 = (1.0 + (p * p))
            h[i, 0] = chain(((-(1.0 / t0)) / t0), (2.0 * p))
        elif op == 21:
            h[i, 0] = (sinh(p))
        elif op == 22:
            h[i, 0] = (cosh(p))
        elif op == 23:
            h[i, 0] = ((-2.0 * (tanh(p))) * (sech_squared(p)))
        elif op == 24:
            t0 = (hypot(1.0, p))
            h[i, 0] = chain(((-(1.0 / t0)) / t0), (0.0 if (t0 == 0.0) else (p / t0)))
        elif op == 25:
            t0 = (sqrt((p - 1.0)))
            t1 = (sqrt((p + 1.0)))
            t2 = (t0 * t1)
            h[i, 0] = chain(((-(1.0 / t2)) / t2), (chain(t1, (0.5 / (t0 + 0.0))) + chain(t0, (0.5 / (t1 + 0.0)))))
        elif op == 26:
            t0 = (1.0 - p)
            t1 = (1.0 + p)
            t2 = (t0 * t1)
            h[i, 0] = chain(((-(1.0 / t2)) / t2), ((-t1) + t0))
        elif op == 27:
            h[i, 0] = chain(1.1283791670955126, (((-2.0 * 1.0) * p) * (gaussian(p, 1.0))))
        elif op == 28:
            h[i, 0] = chain(-1.1283791670955126, (((-2.0 * 1.0) * p) * (gaussian(p, 1.0))))
        elif op == 29:
            t0 = (-p)
            t1 = (sigmoid(t0))
            h[i, 0] = (chain(t1, (y * t1)) + chain(y, (-(t1 * (sigmoid((-t0)))))))
        elif op == 30:
            h[i, 0] = ((sigmoid(p)) * (sigmoid((-p))))
        elif op == 31:
            h[i, 0] = chain((0.0 if (y == y) else y), (sign(y)))
        elif op == 32:
            h[i, 0] = chain((1.0 if not (p > 0.0) else 0.0), (1.0 if not (p <= 0.0) else 0.0))
        elif op == 33:
            h[i, 0] = chain((1.0 if not (p > 0.0) else 0.0), (exp(p)))
        elif op == 34:
            t0 = (gaussian(p, 0.5))
            t1 = (0.3989422804014327 * t0)
            h[i, 0] = (t1 + (t1 + chain(p, chain(0.3989422804014327, (((-2.0 * 0.5) * p) * t0)))))
        elif op == 35:
            t0 = (-p)
            t1 = (tanh_cdf(t0))
            t2 = (1.5957691216057308 * (1.0 + (0.134145 * (p * p))))
            t3 = chain(t1, t2)
            t4 = (tanh_cdf(p))
            h[i, 0] = (chain((1.0 + chain(p, t3)), chain(t4, t3)) + chain(t4, (t3 + chain(p, (chain(t2, (-chain(t1, chain((tanh_cdf((-t0))), (1.5957691216057308 * (1.0 + (0.134145 * (t0 * t0)))))))) + chain(t1, chain(1.5957691216057308, chain(0.134145, (2.0 * p)))))))))
        elif op == 36:
            t0 = (-p)
            t1 = (sigmoid(t0))
            t2 = (sigmoid(p))
            h[i, 0] = (chain((1.0 + chain(p, t1)), (t2 * t1)) + chain(t2, (t1 + chain(p, (-(t1 * (sigmoid((-t0)))))))))
        elif op == 37:
            h[i, 0] = (1.0 if not (p == p) else 0.0)
        elif op == 38:
            h[i, 0] = (1.0 if not (p == p) else 0.0)
        elif op == 39:
            h[i, 0] = (1.0 if not (p == p) else 0.0)
        elif op == 42:
            h[i, 1] = 1.0
        elif op == 43:
            t0 = (1.0 / q)
            t1 = (-((-y) / q))
            h[i, 1] = ((-t0) / q)
            h[i, 2] = (chain(t0, t1) + (t1 / q))
        elif op == 44:
            t0 = (power_below(p, q))
            t1 = (log(p))
            t2 = ((1.0 if (y == 0.0) else 0.0) * (1.0 if (p > 0.0) else 0.0))
            t3 = ((0.0 if (q >= 0.0) else (-y)) if (p == 0.0) else (0.0 if (t2 != 0.0) else (y * t1)))
            h[i, 0] = chain(q, ((q - 1.0) * (power(p, (q - 2.0)))))
            h[i, 1] = (chain(q, (t0 * t1)) + t0)
            h[i, 2] = (chain((1.0 if (p == 0.0) else 0.0), chain((1.0 if not (q >= 0.0) else 0.0), (-t3))) + chain((1.0 if not (p == 0.0) else 0.0), chain((1.0 if (t2 == 0.0) else 0.0), chain(t1, t3))))
        elif op == 61:
            h[i, 0] = chain(q, ((q - 1.0) * (power(p, (q - 2.0)))))
        elif op == 45:
            t0 = (hypot(p, q))
            t1 = (1.0 if not (t0 == 0.0) else 0.0)
            t2 = (1.0 / t0)
            t3 = (q / t0)
            t4 = ((-t3) / t0)
            t5 = (0.0 if (t0 == 0.0) else (p / t0))
            t6 = ((-(t3 / t0)) / t0)
            t7 = (0.0 if (t0 == 0.0) else t3)
            t8 = ((-p) / t0)
            h[i, 0] = chain(t1, (chain(t2, chain(t4, t5)) + chain(t6, t5)))
            h[i, 1] = chain(t1, (chain(t2, (t2 + chain(t4, t7))) + chain(t6, t7)))
            h[i, 2] = chain(t1, (chain(t2, chain(((-t8) / t0), t7)) + chain(((-(t8 / t0)) / t0), t7)))
        elif op == 46:
            t0 = (1.0 if not (y == 0.0) else 0.0)
            t1 = (1.0 / y)
            t2 = (p / y)
            t3 = ((-t2) / y)
            t4 = (q / y)
            t5 = (0.0 if (y == 0.0) else t4)
            h[i, 0] = chain(t0, (t1 + chain(t3, (0.0 if (y == 0.0) else t2))))
            h[i, 1] = chain(t0, chain(t3, t5))
            h[i, 2] = chain(t0, (t1 + chain(((-t4) / y), t5)))
        elif op == 63:
            h[i, 1] = 1.0
        elif op == 67:
            t0 = (softmax_of_two(p, q))
            t1 = (softmax_of_two(q, p))
            t2 = chain(t0, t1)
            h[i, 0] = t2
            h[i, 1] = (-t2)
            h[i, 2] = chain(t1, t0)


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[::1], uint32[::1], boolean[::1])", nogil=False)
def kinks(ops: Any, a: Any, b: Any, v: Any, rows: Any, flags: Any) -> None:
    """Sets flags[k] where rows[k] sits exactly on a kink."""
    for k in range(rows.size):
        i = rows[k]
        op = ops[i]
        flag = False
        if op == 3:
            pi = a[i]
            p = v[pi]
            flag = (p == 0.0)
        elif op == 4:
            pi = a[i]
            p = v[pi]
            flag = (p == 0.0)
        elif op == 31:
            pi = a[i]
            p = v[pi]
            flag = (p == 0.0)
        elif op == 32:
            pi = a[i]
            p = v[pi]
            flag = (p == 0.0)
        elif op == 37:
            pi = a[i]
            p = v[pi]
            flag = ((p - (floor(p))) == 0.0)
        elif op == 38:
            pi = a[i]
            p = v[pi]
            flag = ((p - (floor(p))) == 0.0)
        elif op == 39:
            pi = a[i]
            p = v[pi]
            flag = ((p - (floor(p))) == 0.5)
        elif op == 45:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (((1.0 if (p == 0.0) else 0.0) * (1.0 if (q == 0.0) else 0.0)) != 0.0)
        elif op == 46:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (((1.0 if (p == 0.0) else 0.0) * (1.0 if (q == 0.0) else 0.0)) != 0.0)
        elif op == 47:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q)
        elif op == 48:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q)
        elif op == 49:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q)
        elif op == 50:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q)
        elif op == 51:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q)
        elif op == 52:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q)
        elif op == 54:
            link = b[i]
            pi = a[i]
            qi = a[link]
            ri = b[link]
            p = v[pi]
            q = v[qi]
            r = v[ri]
            flag = (((1.0 if (p == q) else 0.0) + (1.0 if (p == r) else 0.0)) > 0.0)
        elif op == 58:
            flag = ties(ops, a, b, v, i)
        elif op == 65:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q and pi != qi)
        elif op == 59:
            flag = ties(ops, a, b, v, i)
        elif op == 66:
            pi = a[i]
            qi = b[i]
            p = v[pi]
            q = v[qi]
            flag = (p == q and pi != qi)
        flags[k] = flag


@compiled("void(uint8[::1], uint32[::1], uint32[::1], float64[:, ::1], int64, uint32[::1], boolean[::1])")
def kinks_block(ops: Any, a: Any, b: Any, v: Any, lanes: int, rows: Any, flags: Any) -> None:
    """As kinks, for a block of independent rows at once: sets flags[k] where any of them sits on a kink."""
    for k in range(rows.size):
        i = rows[k]
        op = ops[i]
        flag = flags[k]
        if op == 3:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                flag |= (p == 0.0)
        elif op == 4:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                flag |= (p == 0.0)
        elif op == 31:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                flag |= (p == 0.0)
        elif op == 32:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                flag |= (p == 0.0)
        elif op == 37:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                flag |= ((p - (floor(p))) == 0.0)
        elif op == 38:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                flag |= ((p - (floor(p))) == 0.0)
        elif op == 39:
            pi = a[i]
            for j in range(lanes):
                p = v[pi, j]
                flag |= ((p - (floor(p))) == 0.5)
        elif op == 45:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (((1.0 if (p == 0.0) else 0.0) * (1.0 if (q == 0.0) else 0.0)) != 0.0)
        elif op == 46:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (((1.0 if (p == 0.0) else 0.0) * (1.0 if (q == 0.0) else 0.0)) != 0.0)
        elif op == 47:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q)
        elif op == 48:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q)
        elif op == 49:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q)
        elif op == 50:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q)
        elif op == 51:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q)
        elif op == 52:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q)
        elif op == 54:
            link = b[i]
            pi = a[i]
            qi = a[link]
            ri = b[link]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                r = v[ri, j]
                flag |= (((1.0 if (p == q) else 0.0) + (1.0 if (p == r) else 0.0)) > 0.0)
        elif op == 58:
            for j in range(lanes):
                flag |= ties_lane(ops, a, b, v, i, j)
        elif op == 65:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q and pi != qi)
        elif op == 59:
            for j in range(lanes):
                flag |= ties_lane(ops, a, b, v, i, j)
        elif op == 66:
            pi = a[i]
            qi = b[i]
            for j in range(lanes):
                p = v[pi, j]
                q = v[qi, j]
                flag |= (p == q and pi != qi)
        flags[k] = flag


@compiled("float64(int64, float64, float64)")
def narrow_value(op: int, p: float, q: float) -> float:
    """The value of an operation of one or two operands."""
    if op == 2:
        return -p
    elif op == 3:
        return abs(p)
    elif op == 4:
        return sign(p)
    elif op == 5:
        return p * p
    elif op == 6:
        return sqrt(p)
    elif op == 7:
        return 1 / p
    elif op == 8:
        return exp(p)
    elif op == 9:
        return exp2(p)
    elif op == 10:
        return expm1(p)
    elif op == 11:
        return log(p)
    elif op == 12:
        return log2(p)
    elif op == 13:
        return log10(p)
    elif op == 14:
        return log1p(p)
    elif op == 15:
        return sin(p)
    elif op == 16:
        return cos(p)
    elif op == 17:
        return tan(p)
    elif op == 18:
        return asin(p)
    elif op == 19:
        return acos(p)
    elif op == 20:
        return atan(p)
    elif op == 21:
        return sinh(p)
    elif op == 22:
        return cosh(p)
    elif op == 23:
        return tanh(p)
    elif op == 24:
        return asinh(p)
    elif op == 25:
        return acosh(p)
    elif op == 26:
        return atanh(p)
    elif op == 27:
        return erf(p)
    elif op == 28:
        return erfc(p)
    elif op == 29:
        return sigmoid(p)
    elif op == 30:
        return softplus(p)
    elif op == 31:
        return relu(p)
    elif op == 32:
        return p if p > 0 else 0.01 * p
    elif op == 33:
        return p if p > 0 else expm1(p)
    elif op == 34:
        return gelu(p)
    elif op == 35:
        return gelu_tanh(p)
    elif op == 36:
        return silu(p)
    elif op == 37:
        return floor(p)
    elif op == 38:
        return ceil(p)
    elif op == 39:
        return round(p)
    elif op == 40:
        return p + q
    elif op == 41:
        return p - q
    elif op == 42:
        return p * q
    elif op == 43:
        return p / q
    elif op == 44:
        return power(p, q)
    elif op == 61:
        return power(p, q)
    elif op == 45:
        return atan2(p, q)
    elif op == 46:
        return hypot(p, q)
    elif op == 47:
        return 1.0 if p < q else 0.0
    elif op == 48:
        return 1.0 if p <= q else 0.0
    elif op == 49:
        return 1.0 if p > q else 0.0
    elif op == 50:
        return 1.0 if p >= q else 0.0
    elif op == 51:
        return 1.0 if p == q else 0.0
    elif op == 52:
        return 1.0 if p != q else 0.0
    elif op == 62:
        return sum_of_two(p, q)
    elif op == 63:
        return prod_of_two(p, q)
    elif op == 64:
        return mean_of_two(p, q)
    elif op == 65:
        return max_of_two(p, q)
    elif op == 66:
        return min_of_two(p, q)
    elif op == 67:
        return logsumexp_of_two(p, q)
    return np.nan


@compiled("float64(int64, float64[::1], float64[::1])")
def wide_value(op: int, xs: Any, ds: Any) -> float:
    """The value of an operation of three or of any number of operands; ds, as long as xs, is scratch."""
    if op == 53:
        p, q, r = xs[0], xs[1], xs[2]
        return q if p != 0 else r
    elif op == 54:
        p, q, r = xs[0], xs[1], xs[2]
        return clamp(p, q, r)
    elif op == 55:
        return _sum(xs, xs.size, ds)
    elif op == 56:
        return _prod(xs, xs.size, ds)
    elif op == 57:
        return _mean(xs, xs.size, ds)
    elif op == 58:
        return _max(xs, xs.size, ds)
    elif op == 59:
        return _min(xs, xs.size, ds)
    elif op == 60:
        return _logsumexp(xs, xs.size, ds)
    return np.nan


@inlined
def dense_tangent(op: int, xs: Any, n: int, y: float, ts: Any, ty: float, ds: Any, work: Any) -> None:
    """Fills ds with the tangents of the local derivatives of a row in DENSE."""
    if op == 56:
        _prod_tangent(xs, n, y, ts, ty, ds, work)
    elif op == 60:
        _logsumexp_tangent(xs, n, y, ts, ty, ds, work)


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
