"""What a request may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on what one request may ask for; `GET /v1` publishes them."""

    max_nodes: int
    """Nodes of a graph."""
    max_batch_cells: int
    """Rows of a batch, or columns of a Hessian, and so on, times the nodes of its graph."""
    max_numbers: int
    """Numbers in one answer beyond one value and one gradient a node."""
    max_steps: int
    """Steps of a descent."""
    async_cells: int
    """Cost in cells above which a run is queued."""
    max_queued: int
    """Runs that wait in the queue."""
    max_attempts: int
    """Times that a run is taken up."""
    max_seconds: float
    """Seconds of computing."""
