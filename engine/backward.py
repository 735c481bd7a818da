"""The backward graph: a graph whose nodes compute another graph's gradient, by the operation table's own rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine import kernels
from engine.graph import Graph
from engine.numbers import number_to_wire
from engine.operations import INPUT, NAMES, OPCODES, OPERATIONS, RULE_FUNCTIONS, operation_of
from engine.symbolic import Expression, parse

Reference = int | float
"""What a node's input may be: another node's position, or a number."""

_MASKS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
_BOUNDED = _MASKS | {"sign", "tanh", "sigmoid", "erf", "erfc", "atan", "sin", "cos"}
# Operations that can make infinity or NaN out of moderate numbers.
_WILD = frozenset(o.name for o in OPERATIONS if o.domain != "all reals") | {"exp", "exp2", "expm1", "sinh", "cosh"}
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"} | {
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}
_LONGEST_LABEL = 60


def backward_graph(
    graph: Graph,
    wrt: Sequence[str] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    seeds: Mapping[str, float] | None = None,
    checkpoint: Callable[[int], None] = lambda nodes: None,
) -> Graph:
    """The graph that computes the seeded outputs' gradient: its outputs are those, then `d_<input>` for each of `wrt`.

    `wrt` defaults to all inputs in document order; `outputs` and `seeds` are as for a gradient. Where an id is taken,
    as in a second derivative, the name is `d2_<input>`, and so on. Nothing in it is computed twice or without need.
    A product is guarded by `where` when one factor may be infinite while the other is exactly zero, which passes
    nothing back. `checkpoint` is told now and then how many nodes there are, and may raise to stop. KeyError for
    unknown ids.
    """
    if outputs is None:
        outputs = list(seeds) if seeds is not None else [graph.ids[position] for position in graph.outputs]
    inputs = [graph.ids[i] for i in range(len(graph.ops)) if graph.ops[i] == INPUT] if wrt is None else list(wrt)
    builder = _Builder(graph)
    gradients = builder.sweep(
        {graph.position(node): float((seeds or {}).get(node, 1.0)) for node in outputs}, checkpoint
    )
    ends = [builder.named_gradient(graph.position(node), gradients) for node in inputs]
    kept = [graph.position(node) for node in outputs] + ends
    return Graph.from_document(builder.document(list(dict.fromkeys(kept))))


def _key(op: str, inputs: tuple[Reference, ...]) -> tuple[Any, ...]:
    """What makes two nodes the same; a number is told from a position, and -0.0 from 0.0."""
    return (op, *(reference if isinstance(reference, int) else repr(reference) for reference in inputs))


class _Builder:
    """The original nodes followed by the ones that compute gradients, each written once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ids: list[str | None] = list(graph.ids)
        self.taken = set(graph.ids)
        self.labels: dict[int, str] = dict(graph.labels)
        self.ops = [NAMES[code] for code in graph.ops]
        self.data: list[float | None] = [
            float(value) if present else None for value, present in zip(graph.data, graph.has_data, strict=True)
        ]
        offsets, operands = graph.offsets.tolist(), graph.operands.tolist()
        self.inputs: list[tuple[Reference, ...]] = [
            tuple(
                operand if operand >= 0 else float(graph.literals[-1 - operand])
                for operand in operands[offsets[i] : offsets[i + 1]]
            )
            for i in range(len(self.ops))
        ]
        self.order = range(len(self.ops)) if graph.order is None else graph.order.tolist()
        self.known: dict[tuple[Any, ...], int] = {}
        self.wild: list[bool] = [False] * len(self.ops)
        for i in self.order:
            self.wild[i] = self._is_wild(self.ops[i], self.inputs[i])
            if self.ops[i] not in ("input", "constant"):
                self.known.setdefault(_key(self.ops[i], self.inputs[i]), i)
        outputs = graph.outputs
        self.of = graph.ids[outputs[0]] if len(outputs) == 1 else ""

    # Making nodes

    def _is_wild(self, op: str, inputs: tuple[Reference, ...]) -> bool:
        """Whether a node may be infinite or NaN although all inputs of the graph are moderate numbers."""
        if op == "pow" and isinstance(inputs[1], float) and inputs[1] >= 0.0 and inputs[1].is_integer():
            return self._wild(inputs[0])
        return op in _WILD or (op not in _BOUNDED and any(self._wild(reference) for reference in inputs))

    def _wild(self, reference: Reference) -> bool:
        return isinstance(reference, int) and self.wild[reference]

    def node(self, op: str, *inputs: Reference) -> Reference:
        """The result of an operation: a number where all inputs are, else a node, the existing one where there is."""
        simple = self._simplified(op, inputs)
        if simple is not None:
            return simple
        key = _key(op, inputs)
        if key not in self.known:
            self.known[key] = self._append(op, inputs)
        return self.known[key]

    def number(self, value: float) -> Reference:
        """A number as a node's input: infinities and NaN, which are no literals, as a constant node."""
        if math.isfinite(value):
            return value
        key = _key("constant", (value,))
        if key not in self.known:
            self.known[key] = self._append("constant", (), value)
            self.wild[-1] = True
            self.labels[self.known[key]] = repr(value)
        return self.known[key]

    def _append(self, op: str, inputs: tuple[Reference, ...], value: float | None = None) -> int:
        self.ids.append(None)
        self.ops.append(op)
        self.inputs.append(inputs)
        self.data.append(value)
        self.wild.append(self._is_wild(op, inputs))
        return len(self.ops) - 1

    def _simplified(self, op: str, inputs: tuple[Reference, ...]) -> Reference | None:
        if all(isinstance(reference, float) for reference in inputs):
            return self.number(kernels.apply(OPCODES[op], inputs))
        first, last = inputs[0], inputs[-1]
        match op:
            case "add" if first == 0.0 and isinstance(first, float):
                return last
            case "add" | "sub" if last == 0.0 and isinstance(last, float):
                return first
            case "add" if isinstance(last, int) and self.ops[last] == "neg":
                return self.node("sub", first, self.inputs[last][0])
            case "sub" if first == 0.0 and isinstance(first, float):
                return self.node("neg", last)
            case "mul":
                for factor, other in ((first, last), (last, first)):
                    if isinstance(factor, float):
                        if factor == 0.0:
                            return 0.0
                        if factor == 1.0:
                            return other
                        if factor == -1.0:
                            return self.node("neg", other)
                for factor, other in ((first, last), (last, first)):
                    if isinstance(factor, int) and self.ops[factor] == "neg":
                        return self.node("neg", self.node("mul", self.inputs[factor][0], other))
            case "div" if last == 1.0 and isinstance(last, float):
                return first
            case "div" if first == 0.0 and isinstance(first, float):
                return 0.0
            case "pow" if isinstance(last, float) and last in (0.0, 1.0):
                return first if last == 1.0 else 1.0
            case "neg" if isinstance(first, int) and self.ops[first] == "neg":
                return self.inputs[first][0]
            case "where":
                condition, a, b = inputs
                if isinstance(condition, float):
                    return a if condition != 0.0 else b
                if a == b and type(a) is type(b):
                    return a
                if self.ops[condition] in ("eq", "ne") and self.inputs[condition][1] == 0.0:
                    inner = self.inputs[condition][0]
                    if isinstance(self.inputs[condition][1], float):
                        return self.node("where", inner, *((a, b) if self.ops[condition] == "ne" else (b, a)))
        return None

    def _is_mask(self, reference: Reference) -> bool:
        """Whether a node is always 0 or 1."""
        if isinstance(reference, float):
            return reference in (0.0, 1.0)
        op = self.ops[reference]
        return op in _MASKS or (op == "mul" and all(self._is_mask(factor) for factor in self.inputs[reference]))

    def chain(self, local: Reference, upstream: Reference) -> Reference:
        """The chain rule's product: an exact zero of either factor passes nothing on."""
        if (local == 0.0 and isinstance(local, float)) or (upstream == 0.0 and isinstance(upstream, float)):
            return 0.0
        if isinstance(local, int):
            if self._is_mask(local):
                return self.node("where", local, upstream, 0.0)
            if self.ops[local] == "div":
                top, bottom = self.inputs[local]
                if not isinstance(top, float) and self._is_mask(top):
                    # Divided last: where the operands are NaN, no mask is set, and 0 / 0 stays NaN.
                    return self.node("div", self.node("where", top, upstream, 0.0), bottom)
                if top == 1.0 and isinstance(top, float):
                    return self._guarded(upstream, local, self.node("div", upstream, bottom))
        return self._guarded(upstream, local, self.node("mul", upstream, local))

    def _guarded(self, upstream: Reference, local: Reference, product: Reference) -> Reference:
        for zero, other in ((upstream, local), (local, upstream)):
            if isinstance(zero, int) and self._wild(other):
                guarded = self.node("where", zero, product, 0.0)
                # The guard would also cut off the product's own derivative at that zero, so it stands only where the
                # other factor minus itself is not 0: where that is infinite or NaN. A comparison would say it too,
                # but at equality, which is a kink.
                product = self.node("where", self.node("sub", other, other), guarded, product)
        return product

    # The chain rule

    def expression(self, rule: Expression, names: Mapping[str, Reference]) -> Reference:
        """The node, or number, that a rule stands for."""
        kind, *operands = rule
        if kind == "number":
            return float(operands[0])
        if kind == "name":
            return names[operands[0]]
        values = [self.expression(operand, names) for operand in operands]
        if kind == "chain":
            return self.chain(values[0], values[1])
        if kind in RULE_FUNCTIONS:
            function = RULE_FUNCTIONS[kind]
            return self.expression(parse(function.formula), dict(zip(function.parameters, values, strict=True)))
        return self.node(kind, *values)

    def local_derivatives(self, i: int) -> list[Reference]:
        """d node i / d each of its inputs."""
        operation, inputs = operation_of(OPCODES[self.ops[i]]), self.inputs[i]
        if not operation.variadic:
            names = dict(zip(operation.parameters, inputs, strict=True)) | {"y": i}
            return [
                self.expression(parse(rule), names) if isinstance(reference, int) else 0.0
                for rule, reference in zip(operation.derivatives, inputs, strict=True)
            ]
        rule = parse(operation.derivatives[0])
        if operation.name == "prod":
            return self._products_of_others(inputs)
        return [self._variadic_rule(rule, inputs, {"x": x, "y": i, "n": float(len(inputs))}) for x in inputs]

    def _variadic_rule(
        self, rule: Expression, inputs: tuple[Reference, ...], names: Mapping[str, Reference]
    ) -> Reference:
        """As expression, where `sum` over a term in `xs` adds up that term for all inputs."""
        kind, *operands = rule
        if kind == "sum":
            return self.total([self.expression(operands[0], {**names, "xs": x}) for x in inputs])
        if kind in ("number", "name"):
            return self.expression(rule, names)
        return self.node(kind, *(self._variadic_rule(operand, inputs, names) for operand in operands))

    def _products_of_others(self, inputs: tuple[Reference, ...]) -> list[Reference]:
        """For each input the product of all the others, from running products in both directions."""
        before: list[Reference] = [1.0]
        for reference in inputs[:-1]:
            before.append(self.node("mul", before[-1], reference))
        after: Reference = 1.0
        products: list[Reference] = []
        for k in range(len(inputs) - 1, -1, -1):
            products.append(self.node("mul", before[k], after))
            after = self.node("mul", inputs[k], after)
        return products[::-1]

    def total(self, contributions: Sequence[Reference]) -> Reference:
        """The sum of contributions: no node for none or one, `add` for two, `sum` for more."""
        number = sum(reference for reference in contributions if isinstance(reference, float))
        references: list[Reference] = [reference for reference in contributions if isinstance(reference, int)]
        if number != 0.0 or not references:
            references.append(self.number(float(number)))
        if len(references) == 1:
            return references[0]
        return self.node("add" if len(references) == 2 else "sum", *references)

    def sweep(self, seeds: Mapping[int, float], checkpoint: Callable[[int], None]) -> dict[int, Reference]:
        """The gradient of every node that has one, by position."""
        contributions: dict[int, list[Reference]] = {position: [self.number(seed)] for position, seed in seeds.items()}
        gradients: dict[int, Reference] = {}
        for i in reversed(self.order):
            if i not in contributions or self.ops[i] == "constant":
                continue
            checkpoint(len(self.ops))
            upstream = gradients[i] = self.total(contributions.pop(i))
            if isinstance(upstream, int) and self.ids[upstream] is None:
                self._name(upstream, i)
            if self.ops[i] == "input" or (upstream == 0.0 and isinstance(upstream, float)):
                continue
            for reference, local in zip(self.inputs[i], self.local_derivatives(i), strict=True):
                if isinstance(reference, int) and self.ops[reference] != "constant":
                    contribution = self.chain(local, upstream)
                    if contribution != 0.0 or isinstance(contribution, int):
                        contributions.setdefault(reference, []).append(contribution)
        checkpoint(len(self.ops))
        return gradients

    # Names

    def _free(self, wanted: str, again: str) -> str:
        """`wanted`, or `again` with the first number from 2 that makes it new."""
        number = 2
        while wanted in self.taken:
            wanted = again.format(number)
            number += 1
        self.taken.add(wanted)
        return wanted

    def _name(self, node: int, of: int) -> None:
        original = self.graph.ids[of]
        self.ids[node] = self._free(f"d_{original}"[:128], f"d{{}}_{original.replace('{', '{{').replace('}', '}}')}")
        self.labels[node] = f"d{self.of}/d{original}"

    def named_gradient(self, position: int, gradients: Mapping[int, Reference]) -> int:
        """The node that stands for the gradient of an input under its own name."""
        gradient = gradients.get(position, 0.0)
        if isinstance(gradient, int) and self.labels.get(gradient) == f"d{self.of}/d{self.graph.ids[position]}":
            return gradient
        if isinstance(gradient, float):
            node = self._append("constant", (), gradient)
        else:
            # The same number as another node, under a second name.
            node = self._append("sum", (gradient,))
        self._name(node, position)
        return node

    def _text(self, reference: Reference) -> str:
        if isinstance(reference, float):
            return repr(reference)
        named = self.ids[reference]
        if named is not None and not named.startswith("_"):
            return named
        return self.labels.get(reference, named or "")

    def _label(self, i: int) -> str:
        """A node's source text, unless it would be too long to read."""
        texts = [self._text(reference) for reference in self.inputs[i]]
        symbol = _INFIX.get(self.ops[i])
        if symbol is not None:
            texts = [f"({text})" if " " in text else text for text in texts]
            text = f"{texts[0]} {symbol} {texts[1]}"
        elif self.ops[i] == "neg":
            text = f"-({texts[0]})" if " " in texts[0] else f"-{texts[0]}"
        else:
            text = f"{self.ops[i]}({', '.join(texts)})"
        if len(text) <= _LONGEST_LABEL:
            return text
        return (
            f"{self.ops[i]}({', '.join(self.ids[r] or '' if isinstance(r, int) else repr(r) for r in self.inputs[i])})"
        )

    def document(self, outputs: list[int]) -> dict[str, Any]:
        """The node document of all that the outputs need, and of all inputs, so that runs bind the same ones."""
        needed = [op == "input" for op in self.ops]
        waiting = list(outputs)
        while waiting:
            i = waiting.pop()
            if not needed[i] or self.ops[i] == "input":
                needed[i] = True
                waiting.extend(r for r in self.inputs[i] if isinstance(r, int) and not needed[r])
        original = len(self.graph.ids)
        nodes = []
        counter = 0
        for i in (*self.order, *range(original, len(self.ops))):
            if not needed[i]:
                continue
            if self.ids[i] is None:
                counter += 1
                while f"_{counter}" in self.taken:
                    counter += 1
                self.ids[i] = f"_{counter}"
                self.labels.setdefault(i, self._label(i))
            entry: dict[str, Any] = {"id": self.ids[i], "op": self.ops[i]}
            if self.inputs[i]:
                entry["inputs"] = [self.ids[r] if isinstance(r, int) else r for r in self.inputs[i]]
            value = self.data[i]
            if value is not None:
                entry["data"] = number_to_wire(value)
            if i in self.labels:
                entry["label"] = self.labels[i]
            nodes.append(entry)
        name = f"gradient of {self.graph.name}" if self.graph.name else None
        return ({"name": name} if name else {}) | {"nodes": nodes, "outputs": [self.ids[i] for i in outputs]}
