"""The kinds of run: each one entry, with its own request fields, computation and answer."""

from service.kinds.base import Kind, Outcome
from service.kinds.gradient import GRADIENT

KINDS: dict[str, Kind] = {kind.name: kind for kind in (GRADIENT,)}

__all__ = ["KINDS", "Kind", "Outcome"]
