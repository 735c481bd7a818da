"""Differentiation of scalar computation graphs: no HTTP, no SQL, no clock, no environment.

    from engine import Graph, GraphError, Value, draw_dot
    from engine import tanh, where, logsumexp      # every operation as a function of values and numbers

    from engine.derivatives import gradient, batch, jacobian, jvp, hvp, hessian
    from engine.check import check
    from engine.descent import descend             # with engine.optimizers' Sgd and Adam

What is named here is imported when it is asked for: a module of the engine costs only what it needs itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.drawing import draw_dot as draw_dot
    from engine.graph import Graph as Graph
    from engine.graph import GraphError as GraphError
    from engine.value import Value as Value


def __getattr__(name: str) -> Any:
    from engine.operations import OPCODES

    if name in ("Graph", "GraphError"):
        from engine import graph

        return getattr(graph, name)
    if name == "draw_dot":
        from engine import drawing

        return drawing.draw_dot
    if name == "Value" or (name in OPCODES and name not in ("input", "constant")):
        from engine import value

        return value.Value if name == "Value" else value.FUNCTIONS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
