"""What do operators on integers compute? They become the float operators they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.comparison.alignment import Part
from inspector.comparison.draft import Array, Draft, Operand, Step

__all__ = ["is_lowest", "write_out_integers"]


@dataclass(frozen=True)
class _Integer:
    """The float operator, and the places of its operands, of the output's zero point and of the bias.

    `rectifies` says that an output clipped at zero stands for a ReLU that the quantiser removed.
    """

    op: str
    operands: tuple[int, ...]
    zero: int
    bias: int | None = None
    rectifies: bool = False


_TABLE = {
    "QLinearConv": _Integer("Conv", (0, 3), 7, 8, True),
    "QGemm": _Integer("Gemm", (0, 3), 8, 6, True),
    "QLinearMatMul": _Integer("MatMul", (0, 3), 7),
    "QLinearAdd": _Integer("Add", (0, 3), 7, rectifies=True),
    "QLinearMul": _Integer("Mul", (0, 3), 7),
    "QLinearSoftmax": _Integer("Softmax", (0,), 4),
    "QLinearSigmoid": _Integer("Sigmoid", (0,), 4),
    "QLinearLeakyRelu": _Integer("LeakyRelu", (0,), 4),
    "QLinearAveragePool": _Integer("AveragePool", (0,), 4),
    "QLinearGlobalAveragePool": _Integer("GlobalAveragePool", (0,), 4),
}
_RUNNING = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
"""Operators whose scale is multiplied on later, because it is taken of the values of each run."""
_SETTINGS = ("opset", "channels_last")
"""Attributes that say how integers are read, not what is computed."""


def write_out_integers(draft: Draft) -> None:
    """Dequantise weights and biases, restore the ReLU that a zero point at the smallest integer stands for.

    Scales that are measured while running count as one: what is multiplied with them is the float value.
    """
    steps: list[Step] = []
    count = 0
    links: dict[str, Operand] = {}
    for step in draft.steps:
        kind = _TABLE.get(step.op)
        if step.op == "DynamicQuantizeLinear":
            links[step.outputs[0]] = step.slots[0]
            draft.constants[step.outputs[1]] = np.ones((), np.float32)
        elif step.op == "QLinearConcat":
            step.op, step.slots = "Concat", [step.slots[i] for i in range(2, len(step.slots), 3)]
            steps.append(_unread(step))
        elif step.op in _RUNNING:
            steps.append(_running(draft, step))
        elif kind is not None:
            steps += _written(draft, step, kind)
        else:
            steps.append(step)
            continue
        count += 1
    draft.steps = steps
    draft.forward(links)
    if count:
        draft.counts["operators on integers written out"] = count


def is_lowest(zero: Array | None) -> bool:
    """Whether a zero point is the smallest integer of its type, so that quantising clips at zero."""
    return zero is not None and zero.dtype.kind in "iu" and bool(np.all(zero == np.iinfo(zero.dtype).min))


def _unread(step: Step) -> Step:
    """The step with a value that no run gives as floats: what it makes are integers."""
    step.proto, step.value = None, f"{step.outputs[0]}/integers"
    return step


def _written(draft: Draft, step: Step, kind: _Integer) -> list[Step]:
    computed = [place for place in kind.operands if draft.constant(step, place) is None]
    lowest = is_lowest(draft.constant(step, kind.zero))
    slots = [_operand(draft, step, place) for place in kind.operands]
    if kind.bias is not None and (bias := draft.constant(step, kind.bias)) is not None:
        scale = [np.asarray(draft.constant(step, place + 1)) for place in kind.operands]
        slots.append(_held(draft, step, kind.bias, bias * scale[0].reshape(-1) * scale[1].reshape(-1)))
    step.op, step.slots = kind.op, slots
    step.attributes = {name: value for name, value in step.attributes.items() if name not in _SETTINGS}
    if not (lowest and kind.rectifies and (kind.op != "Add" or len(computed) == 2)):
        return [_unread(step)]
    relu = step.spawned("activation", "Relu", [])
    relu.outputs, step.outputs = step.outputs[:1], relu.outputs
    relu.slots = [Operand(step.outputs[0])]
    return [_unread(step), _unread(relu)]


def _running(draft: Draft, step: Step) -> Step:
    """A product of integers that only takes zero points."""
    zero = draft.constant(step, 3)
    weight = draft.constant(step, 1)
    step.op = _RUNNING[step.op]
    if weight is not None:
        floats = weight.astype(np.float32) - (0 if zero is None else np.asarray(zero, np.float32))
        step.slots = [step.slots[0], _held(draft, step, 1, floats)]
    return _unread(step)


def _operand(draft: Draft, step: Step, place: int) -> Operand:
    """The computed value in a slot, or its constant as floats."""
    array, scale, zero = (draft.constant(step, place + i) for i in range(3))
    if array is None or scale is None:
        return step.slots[place]
    axis = 0 if step.op == "QLinearConv" or step.attributes.get("transB") else array.ndim - 1
    sizes = [-1 if i == axis else 1 for i in range(array.ndim)] if np.size(scale) > 1 else [1] * array.ndim
    low = np.zeros(1) if zero is None else np.asarray(zero)
    low = low.reshape(sizes if low.size > 1 else [1] * array.ndim)
    return _held(draft, step, place, (array.astype(np.float32) - low) * np.reshape(scale, sizes))


def _held(draft: Draft, step: Step, place: int, floats: Array) -> Operand:
    """A new constant in the place of one of integers."""
    stored = step.slots[place].value
    made = f"{stored}/{step.key}"
    draft.constants[made] = floats.astype(np.float32)
    if stored in draft.parts:
        part = draft.parts[stored]
        draft.parts[made] = Part(part.key, (*part.notes, "dequantised"))
    return Operand(made, step.slots[place].notes)
