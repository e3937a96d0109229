"""How do Keras' merging layers become ONNX? Axis orders are aligned first, ranks as Keras does."""

from __future__ import annotations

from collections.abc import Sequence

from converters.keras_layers.registry import layer
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor, Value

__all__: list[str] = []


def _inputs(call: Call) -> list[Tensor]:
    """Equal ranks: a smaller tensor gets axes of size one after the batch."""
    tensors = call.tensors
    rank = max(t.rank for t in tensors)
    grown: list[Tensor] = []
    for tensor in tensors:
        missing = rank - tensor.rank
        if missing:
            axes = call.g.ints(*range(1, 1 + missing))
            tensor = Tensor(call.g.op("Unsqueeze", call.plain(tensor), axes), mask=tensor.mask)
        grown.append(tensor)
    return grown


def _fold(call: Call, kind: str) -> Tensor:
    tensors = _inputs(call)
    values, moved = call.align(tensors)
    result = values[0]
    for value in values[1:]:
        result = call.g.op(kind, result, value)
    return Tensor(result, moved, _either(call, tensors))


def _either(call: Call, tensors: Sequence[Tensor]) -> Tensor | None:
    """Valid where any input is valid, if all have masks."""
    masks = [t.mask for t in tensors if t.mask is not None]
    if len(masks) < len(tensors):
        return None
    result: Value = call.plain(masks[0])
    for mask in masks[1:]:
        result = call.g.op("Or", result, call.plain(mask))
    return Tensor(result)


@layer("Add")
def add(call: Call) -> Tensor:
    """Add."""
    return _fold(call, "Add")


@layer("Subtract")
def subtract(call: Call) -> Tensor:
    """Sub."""
    return _fold(call, "Sub")


@layer("Multiply")
def multiply(call: Call) -> Tensor:
    """Mul."""
    return _fold(call, "Mul")


@layer("Maximum")
def maximum(call: Call) -> Tensor:
    """Max."""
    return _fold(call, "Max")


@layer("Minimum")
def minimum(call: Call) -> Tensor:
    """Min."""
    return _fold(call, "Min")


@layer("Average")
def average(call: Call) -> Tensor:
    """Add, then Div."""
    total = _fold(call, "Add")
    count = call.g.scalar(float(len(call.tensors)), total.value)
    return total.like(call.g.op("Div", total.value, count)).masked(total.mask)


@layer("Concatenate")
def concatenate(call: Call) -> Tensor:
    """Concat."""
    tensors = call.tensors
    axis = int(call.get("axis", -1))
    values, moved = call.align(tensors)
    like = Tensor(values[0], moved)
    result = call.g.op("Concat", *values, axis=like.axis(axis))
    return Tensor(result, moved, _joined_mask(call, tensors, axis))


def _joined_mask(call: Call, tensors: Sequence[Tensor], axis: int) -> Tensor | None:
    """Masks grown to the inputs' shapes, joined along the axis; valid where anything of a step is."""
    if all(t.mask is None for t in tensors):
        return None
    g = call.g
    grown: list[Value] = []
    for tensor in tensors:
        shape = g.op("Shape", call.plain(tensor))
        if tensor.mask is None:
            grown.append(g.op("Expand", g.const(True), shape, shape=tensor.shape, type=9))
            continue
        mask = call.plain(tensor.mask)
        if mask.rank < tensor.rank:
            mask = g.op("Expand", g.op("Unsqueeze", mask, g.ints(-1)), shape, shape=tensor.shape)
        grown.append(mask)
    joined = g.op("Cast", g.op("Concat", *grown, axis=axis % tensors[0].rank), to=6)
    return Tensor(g.op("Cast", g.op("ReduceMax", joined, g.ints(-1), keepdims=0), to=9))


@layer("Dot")
def dot(call: Call) -> Tensor:
    """MatMul after moving the contracted axes to the end, normalised where asked."""
    g = call.g
    first, second = (call.plain(t) for t in call.tensors[:2])
    axes = call.get("axes", -1)
    left, right = axes if isinstance(axes, (list, tuple)) else (axes, axes)
    left, right = left % first.rank, right % second.rank
    if call.get("normalize", False):
        first, second = _unit(call, first, left), _unit(call, second, right)
    order = [i for i in range(first.rank) if i != left] + [left]
    first = call.transpose(first, order)
    order = [i for i in range(second.rank) if i != right]
    second = call.transpose(second, [order[0], right, *order[1:]])
    return Tensor(_batch_dot(call, g.op, first, second))


def _batch_dot(call: Call, op: object, first: Value, second: Value) -> Value:
    """(b, …m, k) · (b, k, …n) summed over k."""
    g = call.g
    letters = "bcdefghij"
    left = letters[: first.rank - 1] + "k"
    right = "bk" + "mnopqrs"[: second.rank - 2]
    out = left[:-1] + right[2:]
    result = g.op("Einsum", first, second, equation=f"{left},{right}->{out}")
    return g.op("Unsqueeze", result, g.ints(1)) if len(out) == 1 else result


def _unit(call: Call, x: Value, axis: int) -> Value:
    g = call.g
    square = g.op("ReduceSum", g.op("Mul", x, x), g.ints(axis), keepdims=1)
    return g.op("Div", x, g.op("Sqrt", g.op("Max", square, g.scalar(1e-12, x))))
