"""Runs Graphviz' `dot`. The only module of the engine that starts a program, and only when a picture is asked for."""

from __future__ import annotations

import shutil
import subprocess

PROGRAM = "dot"


class NotInstalled(RuntimeError):
    """The program `dot` is not on the PATH."""

    def __init__(self) -> None:
        super().__init__(
            "SVG takes the program dot of Graphviz, which is not installed here: "
            "`apt-get install graphviz` on Debian and Ubuntu, `brew install graphviz` on macOS, "
            "else see graphviz.org/download."
        )


class TooSlow(RuntimeError):
    """The layout was not found in time."""


def render(dot: str, *, seconds: float) -> str:
    """The picture of a dot text as SVG; TooSlow when it takes longer than that, NotInstalled without the program."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise NotInstalled
    try:
        drawn = subprocess.run(  # noqa: S603  (no shell, and the text goes in as input, not as an argument)
            [program, "-Tsvg"], input=dot, capture_output=True, encoding="utf-8", timeout=seconds, check=True
        )
    except subprocess.TimeoutExpired:
        raise TooSlow(f"Graphviz found no layout within {seconds:g} seconds") from None
    return drawn.stdout
