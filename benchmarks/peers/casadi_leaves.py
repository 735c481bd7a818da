"""CasADi's SX virtual machine, asked for no more than the value and the gradients of the inputs."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Prepared
from benchmarks.peers.casadi_machine import LIMIT, prepare

__all__ = ["LIMIT", "NAME", "build"]

NAME = "CasADi, inputs only"


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    return prepare(columns, output, every_node=False)
