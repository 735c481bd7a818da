"""Descent runs: inputs moved, step by step, so that one node falls or rises."""

from typing import Any

import numpy as np

from engine.derivatives import batch, gradient
from engine.descent import descend
from engine.graph import Graph
from engine.optimizers import Adam, Optimizer, Sgd
from service import references, wire
from service.errors import FieldError
from service.forms import Form
from service.kinds import batch as batches
from service.kinds import gradient as gradients
from service.kinds.base import Kind, Options, Outcome
from service.limits import Limits
from service.records import Run
from service.work import Work

OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Sgd, "adam": Adam}


_OBJECTIVE = ("minimize", "maximize")


def _objective(options: Options) -> tuple[str, str]:
    """Return the field that names the objective, and the name."""
    field = next(field for field in _OBJECTIVE if field in options)
    return field, options[field]


def _check(graph: Graph, options: Options, limits: Limits) -> list[FieldError]:
    data, inputs = options.get("data", {}), options.get("inputs", {})
    parameters = options.get("parameters", [])
    misplaced = references.check_by_input(graph, data, "data")
    refused = {error.pointer for error in misplaced}
    columns = {node: column for node, column in data.items() if references.pointer("data", node) not in refused}
    errors = [
        *gradients.check(graph, {**options, "inputs": {**inputs, **columns}}, limits),
        *batches.refuse(options, "descent"),
        *(
            error
            for field in _OBJECTIVE
            if field in options
            for error in references.check_node(graph, options[field], field)
        ),
        *references.check_inputs_named(graph, parameters, "parameters"),
        *misplaced,
    ]
    for node in data:
        where = references.pointer("data", node)
        if node in parameters:
            errors.append(FieldError("INVALID_VALUE", f"{node!r} is a parameter: descent moves it.", where))
        elif node in inputs:
            errors.append(FieldError("INVALID_VALUE", f"Not both: inputs binds {node!r} already.", where))
    if "batch_size" in options and not data:
        errors.append(FieldError("INVALID_VALUE", "A batch is taken from data, and there is none.", "/batch_size"))
    steps = options.get("steps", 0)
    if steps > limits.max_steps:
        detail = f"{steps} steps are more than this service's {limits.max_steps}."
        errors.append(FieldError("LIMIT_EXCEEDED", detail, "/steps"))
    rows = _rows(options)
    what = f"{rows} rows of {len(graph)} nodes"
    return [*errors, *references.check_cells(rows * len(graph), limits, "/data", what)]


def _rows(options: Options) -> int:
    return next((len(column) for column in options.get("data", {}).values()), 1)


def _data(options: Options) -> Outcome:
    data = options.get("data", {})
    return Outcome({"data": np.stack(list(data.values()))}, {"data": list(data)}) if data else Outcome({}, {})


def _cost(graph: Graph, options: Options) -> int:
    rows: int = min(_rows(options), options.get("batch_size", _rows(options)))
    steps: int = options["steps"]
    return steps * rows * len(graph)


def _optimizer(options: Options) -> Optimizer:
    settings = dict(options["optimizer"])
    return OPTIMIZERS[settings.pop("name")](**settings)


def _compute(graph: Graph, options: Options, work: Work) -> Outcome:
    field, objective = _objective(options)
    data, inputs, parameters = options.get("data", {}), options.get("inputs", {}), options["parameters"]
    found = descend(
        graph,
        objective,
        parameters,
        _optimizer(options),
        options["steps"],
        maximize=field == "maximize",
        inputs=inputs,
        data=data,
        batch_size=options.get("batch_size"),
        seed=options.get("seed", 0),
        **options.get("early_stop", {}),
        checkpoint=work.checkpoint,
        report=work.report,
    )
    final = {**inputs, **dict(zip(parameters, found.parameters.tolist(), strict=True))}
    outputs = [graph.ids[position] for position in graph.outputs]
    arrays = {"objective": found.objective, "parameters": found.parameters, "seeds": np.ones(1)}
    findings: dict[str, Any] = {"outputs": [graph.position(objective)], "stopped": found.stopped}
    if data:
        at_end = batch(
            graph,
            {**final, **data},
            value_of=graph.outputs.astype(np.int64),
            gradient_of=[],
            outputs=[objective],
            checkpoint=work.checkpoint,
        )
        arrays |= {"outputs": found.outputs, "gradients": found.gradients}
        findings |= {"nonfinite": [*at_end.nonfinite, at_end.row]}
        findings |= {"nonsmooth": at_end.nonsmooth, "disconnected": at_end.disconnected}
    else:
        at_point = gradient(graph, final, outputs=[objective], checkpoint=work.checkpoint)
        arrays |= {"values": at_point.values, "gradients": at_point.gradients}
        arrays |= {"outputs": at_point.values[graph.outputs]}
        findings |= {"nonfinite": list(at_point.nonfinite)}
        findings |= {"nonsmooth": at_point.nonsmooth, "disconnected": at_point.disconnected}
    findings["shown"] = outputs
    if found.stopped != "nonfinite":
        return Outcome(arrays, findings)
    detail = f"The objective or its gradient was not finite in step {len(found.objective) - 1}."
    return Outcome(arrays, findings, {"code": "NONFINITE_OBJECTIVE", "detail": detail})


def _answer(graph: Graph, run: Run, form: Form) -> dict[str, Any]:
    inputs = run.options.get("inputs", {})
    if "objective" not in run.arrays:
        return {"inputs": inputs}
    final = wire.mapping(run.options["parameters"], run.arrays["parameters"])
    outputs = wire.mapping(run.findings["shown"], run.arrays["outputs"])
    history = {
        "step": list(range(len(run.arrays["objective"]))),
        "objective": wire.numbers(run.arrays["objective"]),
        "stopped": run.findings["stopped"],
    }
    if "data" not in run.findings:
        members = gradients.answer(graph, run, form)
        return {**members, "inputs": {**inputs, **final}, "outputs": outputs, "history": history}
    return {
        "inputs": {**inputs, **final},
        "seeds": wire.mapping([graph.ids[k] for k in run.findings["outputs"]], run.arrays["seeds"]),
        "outputs": outputs,
        "values": outputs,
        "gradients": wire.mapping(run.options["parameters"], run.arrays["gradients"]),
        "nonsmooth": [graph.ids[position] for position in run.findings["nonsmooth"]],
        "disconnected": [graph.ids[position] for position in run.findings["disconnected"]],
        "nonfinite": batches.nonfinite(graph, *run.findings["nonfinite"]),
        "history": history,
    }


DESCENT = Kind(
    name="descent",
    fields=frozenset(
        {
            "inputs",
            "select",
            "parameters",
            "optimizer",
            "steps",
            "data",
            "batch_size",
            "seed",
            "early_stop",
            *_OBJECTIVE,
        }
    ),
    needs=frozenset({"parameters", "optimizer", "steps"}),
    needs_one_of=_OBJECTIVE,
    check=_check,
    compute=_compute,
    answer=_answer,
    cost=_cost,
    rows=_data,
    kept=lambda options: {name: value for name, value in options.items() if name != "data"},
)
