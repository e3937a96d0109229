"""Which steps cut a piece out of a tensor? Slice, Split and Gather of one index are one kind of step."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from inspector.comparison.draft import Draft, Operand, Step
from inspector.comparison.layout import reshaped

__all__ = ["settle_parts"]


def settle_parts(draft: Draft) -> None:
    """Write each piece as the stretch of its axis, in fractions; a Split becomes one step a piece."""
    steps: list[Step] = []
    for step in draft.steps:
        if step.op == "Split":
            steps += _split(draft, step)
            continue
        stretch = _sliced(draft, step) if step.op == "Slice" else None
        stretch = _picked(draft, step) if step.op == "Gather" else stretch
        if stretch is not None:
            if step.op == "Gather":
                _note_dropped_axis(draft, step)
            _name(step, *stretch)
        steps.append(step)
    draft.steps = steps


def _name(step: Step, start: int, stop: int, size: int) -> None:
    step.op, step.slots, step.proto = "Part", step.slots[:1], None
    step.attributes = {"part": f"{Fraction(start, size)} to {Fraction(stop, size)}"}


def _note_dropped_axis(draft: Draft, step: Step) -> None:
    """A scalar index drops the axis it reads: as if one element were cut out and then reshaped."""
    after, index = draft.shape(step.outputs[0]), draft.constant(step, 1)
    before = draft.shape(step.read[0]) if step.read else None
    if after is None or before is None or index is None or index.ndim:
        return
    axis = step.attributes.get("axis", 0) % len(before)
    note = reshaped((*after[:axis], 1, *after[axis:]), after)
    for reader in draft.steps:
        for slot in reader.slots:
            if slot.value == step.outputs[0]:
                slot.notes = (note, *slot.notes)


def _size(draft: Draft, step: Step, axis: int) -> int | None:
    shape = draft.shape(step.read[0]) if step.read else None
    size = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
    return size if isinstance(size, int) and size > 0 else None


def _split(draft: Draft, step: Step) -> list[Step]:
    lengths = draft.constant(step, 1)
    given = step.attributes.get("split")
    size = _size(draft, step, step.attributes.get("axis", 0))
    outputs = [value for value in step.outputs if value]
    if lengths is not None:
        sizes = [int(n) for n in lengths]
    elif given:
        sizes = [int(n) for n in given]
    elif size is not None:
        each = -(-size // len(step.outputs))
        sizes = [min(each, size - i * each) for i in range(len(step.outputs))]
    else:
        return [step]
    total, start = sum(sizes), 0
    found: list[Step] = []
    for i, (value, length) in enumerate(zip(outputs, sizes, strict=False)):
        part = Step(f"{step.key}/{i}", "Part", [], [value], {}, list(step.origins), step.scope, value)
        part.slots, part.read = [Operand(step.slots[0].value, step.slots[0].notes)], step.read
        _name(part, start, start + length, total)
        start += length
        found.append(part)
    return found


def _sliced(draft: Draft, step: Step) -> tuple[int, int, int] | None:
    found = [draft.constant(step, i) for i in range(1, 5)]
    given = [step.attributes.get(name) for name in ("starts", "ends", "axes")]
    starts, ends = found[0] if given[0] is None else given[0], found[1] if given[1] is None else given[1]
    axes = found[2] if given[2] is None else given[2]
    steps = found[3] if found[3] is not None else [1]
    if starts is None or ends is None or len(starts) != 1 or int(steps[0]) != 1:
        return None
    size = _size(draft, step, int(axes[0]) if axes is not None else 0)
    if size is None:
        return None
    start, stop, _ = slice(int(starts[0]), int(ends[0])).indices(size)
    return start, stop, size


def _picked(draft: Draft, step: Step) -> tuple[int, int, int] | None:
    index = draft.constant(step, 1)
    size = _size(draft, step, step.attributes.get("axis", 0))
    if index is None or np.size(index) != 1 or size is None or step.slots[0].value in draft.constants:
        return None
    start = int(np.reshape(index, ())) % size
    return start, start + 1, size
