"""The lecture's neuron, as the OpenAPI document shows it; a test sends the requests and compares."""

NEURON = {
    "name": "tanh neuron",
    "nodes": [
        {"id": "x1", "op": "input", "data": 2.0},
        {"id": "x2", "op": "input", "data": 0.0},
        {"id": "w1", "op": "input", "data": -3.0},
        {"id": "w2", "op": "input", "data": 1.0},
        {"id": "b", "op": "input", "data": 6.881373587019543},
        {"id": "x1w1", "op": "mul", "inputs": ["x1", "w1"], "label": "x1*w1"},
        {"id": "x2w2", "op": "mul", "inputs": ["x2", "w2"], "label": "x2*w2"},
        {"id": "x1w1x2w2", "op": "add", "inputs": ["x1w1", "x2w2"], "label": "x1*w1 + x2*w2"},
        {"id": "n", "op": "add", "inputs": ["x1w1x2w2", "b"]},
        {"id": "o", "op": "tanh", "inputs": ["n"]},
    ],
    "outputs": ["o"],
}

_GRAPH_ID = "51a78ccb61be5aa0c380d103b3d0b7bc5844fd4b71a6590925154d066215347e"

STORED_NEURON = {"id": _GRAPH_ID, "created_at": "2026-11-20T12:00:00.000000Z", "version": 1, **NEURON}

NEURON_RUN_REQUEST = {"graph": NEURON, "select": "leaves"}

NEURON_RUN: dict[str, object] = {
    "id": "01a1f8d1-5400-7000-8b0d-6bce0bdd070b",
    "kind": "gradient",
    "state": "succeeded",
    "graph_id": _GRAPH_ID,
    "created_at": "2026-11-20T12:00:00.000000Z",
    "started_at": "2026-11-20T12:00:00.000410Z",
    "finished_at": "2026-11-20T12:00:00.000530Z",
    "inputs": {},
    "seeds": {"o": 1.0},
    "outputs": {"o": 0.7071067811865476},
    "values": {"x1": 2.0, "x2": 0.0, "w1": -3.0, "w2": 1.0, "b": 6.881373587019543},
    "gradients": {
        "x1": -1.4999999999999996,
        "x2": 0.4999999999999999,
        "w1": 0.9999999999999998,
        "w2": 0.0,
        "b": 0.4999999999999999,
    },
    "nonsmooth": [],
    "disconnected": [],
    "nonfinite": None,
    "error": None,
}
