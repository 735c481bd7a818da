"""What was measured, as tables and goals, in Markdown."""

from __future__ import annotations

import datetime
import os
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"

_MARK = re.compile(r"^<!-- make ([a-z]+) -->\n\n", re.MULTILINE)


@dataclass(frozen=True)
class Goal:
    """A ratio that is to stay at or below a bound (at or above it, where `at_least`).

    `why` says what profiles show where it does not; it is left out of the page where it does.
    """

    what: str
    bound: float
    measured: float
    at_least: bool = False
    why: str = ""

    @property
    def reached(self) -> bool:
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def row(self) -> list[str]:
        relation = "at least" if self.at_least else "at most"
        return [self.what, f"{relation} {self.bound:g}", number(self.measured), "yes" if self.reached else "**no**"]


@dataclass(frozen=True)
class Section:
    """One group of measurements: a table, what it shows, and what was to be reached."""

    title: str
    text: str
    header: list[str]
    rows: list[list[str]]
    goals: list[Goal] = field(default_factory=list)


def number(value: float) -> str:
    """Three significant digits, thousands separated, never an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 3 - len(f"{abs(value):.0f}")) if abs(value) >= 1 else 2
    if abs(value) < 0.1:
        digits = 4
    return f"{value:,.{digits}f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its first column left, the others right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown(sections: list[Section], machine: str, picture: str) -> str:
    """The page of `make bench`."""
    parts = [
        "# Performance",
        f"Measured by `make bench` on {machine}. This page is its output; run it where you are. Times are medians of "
        "repeated runs in one process; what every peer computes is compared with the others' "
        "answers before it is timed. Ratios travel better than nanoseconds.",
        f"![Nanoseconds per node, by library]({picture})",
        "## Goals",
        *_goals(sections),
    ]
    for section in sections:
        parts += [f"## {section.title}", section.text, table(section.header, section.rows)]
    return "\n\n".join(parts) + "\n"


def part(title: str, text: str, sections: list[Section]) -> str:
    """What another target adds to the page: its own goals first."""
    parts = [f"## {title}", text, *_goals(sections)]
    for section in sections:
        parts += [f"### {section.title}", section.text, table(section.header, section.rows)]
    return "\n\n".join(parts) + "\n"


def _goals(sections: list[Section]) -> list[str]:
    goals = [goal for section in sections for goal in section.goals]
    missed = [f"- **{goal.what}**: {goal.why}" for goal in goals if goal.why and not goal.reached]
    rows = table(["ratio", "goal", "measured", "reached"], [goal.row() for goal in goals])
    return [rows, "What stands in the way of the others:", "\n".join(missed)] if missed else [rows]


def exchange(page: str, target: str, text: str) -> str:
    """The page with one target's part exchanged, or added at the end; `make bench` has what comes before all marks."""
    first, *others = _MARK.split(page)
    parts = {"bench": first, **dict(zip(others[::2], others[1::2], strict=True)), target: text}
    marked = [f"<!-- make {name} -->\n\n{content}" for name, content in parts.items() if name != "bench"]
    return "\n".join(content.rstrip("\n") + "\n" for content in [parts["bench"], *marked])


def write_part(target: str, text: str) -> None:
    """Put what a target measured into docs/performance.md, and leave the others' there."""
    PAGE.write_text(exchange(PAGE.read_text(), target, text))


def machine() -> str:
    """The machine, in the words that matter to a reader of times."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    today = datetime.datetime.now(datetime.UTC).date()
    return f"{os.cpu_count()} cores of {processor} with Python {platform.python_version()} on {today}"
