"""JAX, the whole graph traced and compiled once."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from benchmarks.peers import Answer, Prepared, evaluate, leaf_data

NAME = "JAX jit"
LIMIT = 1_000

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

OPERATIONS = {
    "add": jax.lax.add,
    "sub": jax.lax.sub,
    "mul": jax.lax.mul,
    "neg": jax.lax.neg,
    "tanh": jax.lax.tanh,
    "sigmoid": jax.lax.logistic,
    "sin": jax.lax.sin,
    "relu": jax.nn.relu,
}


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    data, is_input = leaf_data(columns)
    inputs = jax.numpy.array([number for number, kept in zip(data, is_input, strict=True) if kept])

    def value(variables: jax.Array) -> jax.Array:
        variable = iter(variables)
        leaves = [next(variable) if kept else number for number, kept in zip(data, is_input, strict=True)]
        return evaluate(columns, leaves, OPERATIONS)[output]

    compiled = jax.jit(jax.value_and_grad(value)).lower(inputs).compile()
    return Prepared(
        lambda: jax.block_until_ready(compiled(inputs)), lambda ran: Answer(float(ran[0]), np.asarray(ran[1]))
    )
