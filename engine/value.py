"""Value: a number that remembers how it was made, and so knows the gradient of everything it was made from.

The lecture's neuron:

    >>> from engine import Value
    >>> x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    >>> w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    >>> b = Value(6.8813735870195432, label="b")
    >>> n = x1*w1 + x2*w2 + b
    >>> o = n.tanh()
    >>> o.backward()
    >>> [round(v, 12) for v in (o.data, x1.grad, w1.grad, x2.grad, w2.grad)]
    [0.707106781187, -1.5, 1.0, 0.5, 0.0]

Every operation of the table is a method (`n.tanh()`, `condition.where(a, b)`) and a function of `engine`
(`tanh(n)`, `where(condition, a, b)`). Operators take numbers on either side; comparisons make nodes that are 0 or 1.
`o.to_graph()` is the graph that can be posted to the service, and its `to_values()` comes back here.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from engine import derivatives, kernels
from engine.errors import Findings
from engine.forms import MAX_ID_LENGTH, arity_problem, check_id, check_text
from engine.graph import Graph
from engine.operations import CONSTANT, INPUT, NAMES, OPCODES, OPERATIONS, Operation

_created = count()


class Value:
    """A node: a leaf made from a number, or the result of an operation on other nodes and numbers.

    data: its value. grad: the gradients that `backward` left here, summed up. label: for people. op: its operation's
    canonical name. inputs: what the operation was applied to, values and plain numbers, in order. id: its id in a
    graph; without one it goes by its label there, or by a number.
    """

    __slots__ = ("__weakref__", "_opcode", "_serial", "data", "grad", "id", "inputs", "label")

    data: float
    grad: float
    label: str | None
    id: str | None
    inputs: tuple[Operand, ...]

    def __init__(self, data: float, label: str | None = None, *, id: str | None = None, constant: bool = False) -> None:
        self._opcode = CONSTANT if constant else INPUT
        self._serial = next(_created)
        self.data = float(data)
        self.grad = 0.0
        self.label = label
        self.id = id
        self.inputs = ()

    @property
    def op(self) -> str:
        return NAMES[self._opcode]

    def backward(self, seed: float = 1.0) -> None:
        """Add the gradient of `seed` times this value to `grad` of every node it was made from, and to its own.

        Evaluates everything again from the leaves' present data, so that data changed by hand is taken up. A second
        call adds the same gradients once more; `zero_grad` starts over. Constants have no gradient.
        """
        nodes = _ancestors([self])
        graph = _graph(nodes, [self], None, named=False)
        result = derivatives.gradient(graph, seeds={graph.ids[graph.outputs[0]]: float(seed)})
        for node, value, gradient in zip(nodes, result.values.tolist(), result.gradients.tolist(), strict=True):
            if node._opcode != CONSTANT:
                node.data = value
                node.grad += gradient

    def zero_grad(self) -> None:
        """Set `grad` of this node and of every node it was made from to 0."""
        for node in _ancestors([self]):
            node.grad = 0.0

    def to_graph(self, *others: Value, name: str | None = None) -> Graph:
        """The graph of this value, and of the others beside it, as outputs; its nodes in the order of their making.

        Raises GraphError where an id or a label is no text that a document takes, or two nodes have the same id.
        """
        outputs = [self, *others]
        nodes = _ancestors(outputs)
        return _graph(nodes, outputs, name, named=True)

    def ancestors(self) -> list[Value]:
        """All values that this one was made from and itself, in the order of their making, as in `to_graph`."""
        return _ancestors([self])

    def __repr__(self) -> str:
        shown = {"op": self.op if self._opcode != INPUT else None, "id": self.id, "label": self.label}
        more = "".join(f", {key}={value!r}" for key, value in shown.items() if value is not None)
        return f"Value({self.data!r}, grad={self.grad!r}{more})"

    def __float__(self) -> float:
        return self.data

    def __bool__(self) -> bool:
        """Whether a condition holds: NaN, like everything but 0, does."""
        return self.data != 0.0

    # By identity, because == makes a node.
    __hash__ = object.__hash__

    def __add__(self, other: Operand) -> Value:
        return _infix(OPCODES["add"], self, other)

    def __radd__(self, other: Operand) -> Value:
        return _infix(OPCODES["add"], other, self)

    def __sub__(self, other: Operand) -> Value:
        return _infix(OPCODES["sub"], self, other)

    def __rsub__(self, other: Operand) -> Value:
        return _infix(OPCODES["sub"], other, self)

    def __mul__(self, other: Operand) -> Value:
        return _infix(OPCODES["mul"], self, other)

    def __rmul__(self, other: Operand) -> Value:
        return _infix(OPCODES["mul"], other, self)

    def __truediv__(self, other: Operand) -> Value:
        return _infix(OPCODES["div"], self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return _infix(OPCODES["div"], other, self)

    def __pow__(self, other: Operand) -> Value:
        return _infix(OPCODES["pow"], self, other)

    def __rpow__(self, other: Operand) -> Value:
        return _infix(OPCODES["pow"], other, self)

    def __neg__(self) -> Value:
        return apply(OPCODES["neg"], (self,))

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return apply(OPCODES["abs"], (self,))

    def __lt__(self, other: Operand) -> Value:
        return _infix(OPCODES["lt"], self, other)

    def __le__(self, other: Operand) -> Value:
        return _infix(OPCODES["le"], self, other)

    def __gt__(self, other: Operand) -> Value:
        return _infix(OPCODES["gt"], self, other)

    def __ge__(self, other: Operand) -> Value:
        return _infix(OPCODES["ge"], self, other)

    def __eq__(self, other: Operand) -> Value:  # type: ignore[override]
        return _infix(OPCODES["eq"], self, other)

    def __ne__(self, other: Operand) -> Value:  # type: ignore[override]
        return _infix(OPCODES["ne"], self, other)

    if TYPE_CHECKING:

        def __getattr__(self, operation: str) -> Callable[..., Value]: ...


Operand: TypeAlias = Value | float


def apply(opcode: int, operands: Iterable[Any]) -> Value:
    """The node of an operation on values and numbers; a wrong number or kind of them is a TypeError."""
    inputs = tuple([_operand(operand) for operand in operands])
    operation = OPERATIONS[opcode - 2]
    if not operation.min_inputs <= len(inputs) <= (operation.max_inputs or len(inputs)):
        raise TypeError(arity_problem(opcode, len(inputs)))
    return _result(opcode, inputs)


def values_of(graph: Graph, inputs: Mapping[str, float]) -> dict[str, Value]:
    """A Value for every node of a graph, by id; `inputs` replaces data, and where there is none is a ValueError."""
    ids, ops = graph.ids, graph.ops.tolist()
    data = derivatives.gradient(graph, inputs).values.tolist()
    nodes: list[Any] = [None] * len(graph)
    for position in range(len(graph)) if graph.order is None else graph.order.tolist():
        operands = tuple([nodes[x] if isinstance(x, int) else x for x in graph.inputs(position)])
        node = nodes[position] = _node(ops[position], operands, data[position])
        node.id, node.label = ids[position], graph.labels.get(position)
    for node in nodes:
        # Made in evaluation order, numbered in document order, which to_graph brings back.
        node._serial = next(_created)
    return dict(zip(ids, nodes, strict=True))


def _node(opcode: int, inputs: tuple[Operand, ...], data: float) -> Value:
    node = Value(data)
    node._opcode = opcode
    node.inputs = inputs
    return node


def _result(opcode: int, inputs: tuple[Operand, ...]) -> Value:
    return _node(opcode, inputs, kernels.apply(opcode, [x.data if isinstance(x, Value) else x for x in inputs]))


def _operand(x: Any) -> Operand:
    """A value as it is, and a number as a float, or as a constant where no document can spell it as a literal.

    Anything else is a TypeError.
    """
    if isinstance(x, Value):
        return x
    if not isinstance(x, float | int | numbers.Real):
        raise TypeError(f"operands are Values and real numbers, not {type(x).__name__}")
    number = float(x)
    return number if math.isfinite(number) else Value(number, constant=True)


def _infix(opcode: int, left: Operand, right: Operand) -> Value:
    try:
        inputs = (_operand(left), _operand(right))
    except TypeError:
        refused: Value = NotImplemented
        return refused
    return _result(opcode, inputs)


def _function(opcode: int, operation: Operation, name: str) -> Callable[..., Value]:
    def function(*operands: Any) -> Value:
        if operation.variadic and len(operands) == 1 and not isinstance(operands[0], Value | numbers.Real):
            return apply(opcode, operands[0])
        return apply(opcode, operands)

    function.__name__ = function.__qualname__ = name
    parameters = "*xs" if operation.variadic else ", ".join(operation.parameters)
    function.__doc__ = f"{operation.summary}\n\n{name}({parameters}) = {operation.formula}"
    return function


FUNCTIONS = {
    name: _function(opcode, operation, name)
    for opcode, operation in enumerate(OPERATIONS, 2)
    for name in (operation.name, *operation.aliases)
    if name.isidentifier()
}
"""Every operation as a function, by its name and by those of its aliases that can be one."""

for _name, _operation in FUNCTIONS.items():
    setattr(Value, _name, _operation)


def _ancestors(outputs: list[Value]) -> list[Value]:
    """The outputs and everything they were made from, in the order of their making."""
    found = {id(node): node for node in outputs}
    pending = list(outputs)
    while pending:
        for operand in pending.pop().inputs:
            if isinstance(operand, Value) and id(operand) not in found:
                found[id(operand)] = operand
                pending.append(operand)
    return sorted(found.values(), key=_serial)


def _serial(node: Value) -> int:
    return node._serial


def _graph(nodes: list[Value], outputs: list[Value], name: str | None, named: bool) -> Graph:
    positions = {id(node): position for position, node in enumerate(nodes)}
    operands: list[int] = []
    literals: list[float] = []
    offsets = [0]
    for node in nodes:
        for operand in node.inputs:
            if isinstance(operand, Value):
                operands.append(positions[id(operand)])
            else:
                literals.append(operand)
                operands.append(-len(literals))
        offsets.append(len(operands))
    ops = np.array([node._opcode for node in nodes], np.uint8)
    is_leaf = ops <= CONSTANT
    ids, labels = _identities(nodes) if named else (None, {})
    return Graph.assemble(
        name=name,
        ids=ids,
        labels=labels,
        ops=ops,
        offsets=np.array(offsets, np.uint32),
        operands=np.array(operands, np.int32),
        literals=np.array(literals, np.float64),
        data=np.where(is_leaf, np.array([node.data for node in nodes], np.float64), 0.0),
        has_data=is_leaf,
        outputs=np.array(list(dict.fromkeys(positions[id(node)] for node in outputs)), np.int32),
    )


def _identities(nodes: list[Value]) -> tuple[list[str], dict[int, str]]:
    """Ids and labels of nodes in a graph: a label is the id where there is no other, and no other node has it."""
    findings = Findings()
    ids: list[str | None] = [node.id for node in nodes]
    labels: dict[int, str] = {}
    taken: set[str] = set()
    for position, node in enumerate(nodes):
        if node.id is not None and check_id(node.id, f"/nodes/{position}/id", findings):
            if node.id in taken:
                findings.add(f"/nodes/{position}/id", "DUPLICATE_ID", f"two values have the id {node.id!r}")
            taken.add(node.id)
    for position, node in enumerate(nodes):
        if node.label is None or not check_text(node.label, f"/nodes/{position}/label", findings):
            continue
        if node.id is None and node.label not in taken and 1 <= len(node.label) <= MAX_ID_LENGTH:
            ids[position] = node.label
            taken.add(node.label)
        else:
            labels[position] = node.label
    if findings.errors:
        raise findings.error()
    fresh = (name for number in count(1) if (name := f"_{number}") not in taken)
    return [next(fresh) if node is None else node for node in ids], labels
