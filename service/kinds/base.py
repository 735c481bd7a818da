"""What a kind of run is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.graph import Graph
from service.errors import FieldError
from service.forms import Form
from service.limits import Limits
from service.records import Arrays, Run
from service.work import Work

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a computation found: arrays to store as blobs, and JSON to store beside them.

    `error` is set where it ended early, with what it had found by then.
    """

    arrays: Arrays
    findings: Mapping[str, Any]
    error: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of run.

    `fields` names the request fields it takes besides those of every run (graph, graph_id, kind, store), and
    `needs` those of them that it cannot do without; of `needs_one_of` exactly one is given.
    `check` returns what is wrong with well-typed options on that graph, or beyond the limits. `compute` may rely
    on the options being right; it hands the work's checkpoint on to the engine. `answer` returns the members of the
    answer between `finished_at` and `error`, in order.
    `cost` is about how many nodes a computation passes through, counting each as often as it does.
    `kept` returns the options to store with a run that has ended, and `rows` what it leaves out: arrays, to be stored
    like those of the outcome.
    """

    name: str
    fields: frozenset[str]
    check: Callable[[Graph, Options, Limits], list[FieldError]]
    compute: Callable[[Graph, Options, Work], Outcome]
    answer: Callable[[Graph, Run, Form], dict[str, Any]]
    needs: frozenset[str] = frozenset()
    needs_one_of: tuple[str, ...] = ()
    cost: Callable[[Graph, Options], int] = lambda graph, options: len(graph)
    kept: Callable[[Options], Options] = lambda options: options
    rows: Callable[[Options], Outcome] = lambda options: Outcome({}, {})
