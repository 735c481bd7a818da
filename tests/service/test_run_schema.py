"""The short way of reading a run request finds what marshmallow finds, or leaves it to marshmallow."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from service.schemas.runs import RunRequestSchema

SCHEMA = RunRequestSchema()

odd: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "NaN", [], ["x"], [1.0, 2.0], {}])
numbers = st.dictionaries(st.sampled_from(["x", "y"]), st.floats(allow_nan=False, allow_infinity=False) | odd)
requests = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(SCHEMA.load_fields, odd),
        "graph_id": st.text(max_size=3) | odd,
        "kind": st.sampled_from(["gradient", "hessian", "descent"]) | odd,
        "inputs": numbers | odd,
        "seeds": numbers | odd,
        "optimizer": st.fixed_dictionaries({"name": st.sampled_from(["sgd", "adam"]), "learning_rate": st.just(0.1)}),
        "colour": odd,
    },
)


def plain(read: Any) -> Any:
    """What was read, in its order, with arrays as lists."""
    if isinstance(read, dict):
        return [(name, plain(each)) for name, each in read.items()]
    return ("array", read.tolist()) if isinstance(read, np.ndarray) else (type(read), read)


@given(requests)
@example({})
@example({"store": False, "graph_id": "x", "inputs": {"a": 1.0, "b": -2.5}})
@example({"inputs": {"a": [1.0, 2.0]}, "kind": "gradient"})
@example({"inputs": {"a": 1, "b": "NaN"}})
@example({"inputs": {}, "graph": {"nodes": []}, "kind": None})
def test_both_ways_read_the_same(request: dict[str, Any]) -> None:
    try:
        expected = Schema.load(SCHEMA, request)
    except ValidationError:
        expected = None
    try:
        read = SCHEMA._read(request)
    except ValidationError:
        read = None
    assert (read is None) == (expected is None)
    for each in (read, expected):
        if each is not None:  # these two come first or where marshmallow has them: they are taken out at once
            each["kind"], each["store"] = each.pop("kind"), each.pop("store")
    assert plain(read) == plain(expected)
