"""The operation table as a page for people, docs/operations.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.operations import OPERATIONS, Operation

_HEAD = """# Operations

Written by `python -m engine.generate` from the operation table, engine/operations.py; how exact they are is said in
[accuracy.md](accuracy.md).

`y` is an operation's own result. `sum`, `prod`, `mean`, `max`, `min` and `logsumexp` take any number of inputs: their
derivative is given for one of them, `x`, by all of them, `xs`, by the `others` and by their number `n`.

Everywhere: NaN in, NaN out, but for comparisons and for the branch that `where` does not take. An exact zero passes
nothing back, not even to an infinite derivative. A number among the inputs, or a node with the operation `constant`,
has no gradient. `-` with one input is `neg`.
"""


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _lines(texts: Iterable[str]) -> str:
    return "<br>".join(_code(line) for text in texts for line in text.splitlines())


_COLUMNS: dict[str, Callable[[Operation], str]] = {
    "Operation": lambda operation: _code(operation.name),
    "Also": lambda operation: " ".join(map(_code, operation.aliases)),
    "What it is": lambda operation: operation.summary,
    "Value": lambda operation: _lines([operation.formula]),
    "Derivatives": lambda operation: _lines(operation.shown),
    "Domain": lambda operation: operation.domain,
    "Kink": lambda operation: _code(operation.kink) if operation.kink else "",
    "Convention": lambda operation: operation.convention or "",
}


def _table(operations: Iterable[Operation]) -> str:
    rows = [list(_COLUMNS), ["---"] * len(_COLUMNS)]
    rows += [[column(operation) for column in _COLUMNS.values()] for operation in operations]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page() -> str:
    """The Markdown text of the page: one table for each number of inputs."""
    titles = {1: "One input", 2: "Two inputs", 3: "Three inputs", None: "Any number of inputs"}
    parts = [_HEAD]
    for count, title in titles.items():
        parts.append(f"\n## {title}\n\n{_table(o for o in OPERATIONS if o.max_inputs == count)}")
    return "".join(parts)
