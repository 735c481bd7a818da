"""The floor of this design: tape.c, compiled for this machine when the measurement starts."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Answer, Prepared

NAME = "C loop"
LIMIT = 1_000_000

OPCODES = ("add", "sub", "mul", "neg", "tanh", "sigmoid", "sin", "relu")
LEAF = len(OPCODES)
COMPILER = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

if COMPILER is None:
    raise ImportError("no C compiler")


@cache
def library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "tape.so")
        source = Path(__file__).with_name("tape.c")
        flags = ["-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run([str(COMPILER), *flags, str(source), "-o", str(path), "-lm"], check=True)
        return ctypes.CDLL(str(path))


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class Loop:
    """The arrays of one graph; `run` is a forward and a backward loop over them."""

    def __init__(self, columns: dict[str, list[Any]], output: int) -> None:
        nodes = len(columns["op"])
        codes = {op: code for code, op in enumerate(OPCODES)} | {"input": LEAF, "constant": LEAF}
        self.output = output
        self.op = np.array([codes[op] for op in columns["op"]], np.uint8)
        # The slot after the last takes the place of an operand that is not there.
        self.a = np.array([inputs[0] if inputs else nodes for inputs in columns["inputs"]], np.uint32)
        self.b = np.array([inputs[1] if len(inputs) > 1 else nodes for inputs in columns["inputs"]], np.uint32)
        self.inputs = np.array([op == "input" for op in columns["op"]])
        self.values = np.array([*(data or 0.0 for data in columns["data"]), 0.0])
        self.local = np.zeros((nodes, 2))
        self.gradients = np.zeros(nodes + 1)
        size, op, a, b, v, local, g = (
            ctypes.c_size_t(nodes),
            *map(pointer, (self.op, self.a, self.b, self.values, self.local, self.gradients)),
        )
        self._forward = (library().forward, (size, op, a, b, v, local))
        self._backward = (library().backward, (size, a, b, local, g))

    def run(self) -> None:
        forward, arguments = self._forward
        forward(*arguments)
        self.gradients.fill(0.0)
        self.gradients[self.output] = 1.0
        backward, arguments = self._backward
        backward(*arguments)


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    loop = Loop(columns, output)
    return Prepared(
        loop.run,
        lambda _: Answer(float(loop.values[output]), loop.gradients[:-1][loop.inputs]),
    )
