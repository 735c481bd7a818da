"""The kinds of run: each one entry, with its own request fields, computation and answer."""

from service.kinds.base import Kind, Outcome
from service.kinds.check import CHECK
from service.kinds.descent import DESCENT
from service.kinds.gradient import GRADIENT
from service.kinds.hessian import HESSIAN, HVP
from service.kinds.jacobian import JACOBIAN
from service.kinds.jvp import JVP

KINDS: dict[str, Kind] = {kind.name: kind for kind in (GRADIENT, JACOBIAN, JVP, HESSIAN, HVP, CHECK, DESCENT)}

__all__ = ["KINDS", "Kind", "Outcome"]
