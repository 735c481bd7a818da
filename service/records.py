"""What use cases hand to the store and get back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.graph import Graph  # hundreds of milliseconds that the command line need not wait for

# Arrays in memory and on disk are float64 of any shape; a node's position in the document is its index.
Arrays = Mapping[str, NDArray[np.float64]]

STATES = ("queued", "running", "succeeded", "failed", "cancelled")
UNFINISHED = STATES[:2]


@dataclass(frozen=True)
class StoredGraph:
    """A graph as an owner has it."""

    graph: Graph
    created_at: datetime


@dataclass(frozen=True)
class GraphSummary:
    """A row in the list of graphs."""

    id: str
    created_at: datetime
    name: str | None
    node_count: int


@dataclass(frozen=True)
class RunSummary:
    """A run without its numbers: a row in the list of runs."""

    id: UUID | None  # None: computed, not stored
    kind: str
    state: str
    graph_id: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: Mapping[str, str] | None


@dataclass(frozen=True)
class Run(RunSummary):
    """A run with all there is to know about it but its graph.

    `options` is what the request asked for, defaults filled in; `arrays` and `findings` are what its kind
    found: numbers, and what there is to say about them. `progress` is how far a running one of several steps is.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)
    findings: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, int] | None = None


class Scope(StrEnum):
    """What a key allows."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Key:
    """What is known of an API key; the key itself is not."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    revoked_at: datetime | None
