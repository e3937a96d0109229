"""What do the transposes and reshapes on an edge amount to? Notes composed, moved on and compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inspector.comparison.draft import Draft, Operand, Step

__all__ = ["net_order", "permutation", "push_layout", "reshaped", "simplified", "turned"]

_ALONE = frozenset(
    (
        *("Relu", "LeakyRelu", "Elu", "Selu", "Clip", "Sigmoid", "Tanh", "Gelu", "Silu", "HardSwish"),
        *("HardSigmoid", "Softplus", "Mish", "QuickGelu", "Sqrt", "Exp", "Log", "Neg", "Abs", "Erf", "Pow"),
    )
)
_PAIRS = frozenset(("Add", "Mul", "Sub", "Div", "Max", "Min", "Concat", "Part"))
_ALONG = frozenset(("Softmax", "LogSoftmax"))
_PLAIN_SOFTMAX = 13
"""Opset from which a softmax runs along one axis; before, over all axes from that one on."""
Shape = Sequence[int | str | None] | None
Piece = tuple[str, int | str]
Parts = list[list[Piece]]
Order = tuple[tuple[str, ...], tuple[int | str, ...]]


def turned(axes: Sequence[int], before: Shape = None) -> str:
    """The note of a Transpose, with the shape it is applied to where that is known."""
    size = f" of {_written(before)}" if before is not None and len(before) == len(axes) else ""
    return "axes " + ",".join(map(str, axes)) + size


def reshaped(before: Shape, after: Shape) -> str:
    """The note of a Reshape from one shape to another; sizes that are not known are `?`."""
    return f"reshape {_written(before)} to {_written(after)}"


def _written(shape: Shape) -> str:
    return "?" if shape is None else "×".join("?" if s is None else str(s) for s in shape) or "1"


def _axes(note: str) -> tuple[int, ...] | None:
    if not note.startswith("axes ") or not note[5].isdigit():
        return None
    return tuple(map(int, note[5:].partition(" of ")[0].split(",")))


def _size(note: str) -> list[int | str]:
    return _read(note.partition(" of ")[2]) if " of " in note else []


def permutation(notes: Sequence[str], rank: int) -> tuple[int, ...] | None:
    """The axes of the source in the order of the target, or None where notes do more than transpose."""
    order = tuple(range(rank))
    for note in notes:
        axes = _axes(note)
        if axes is None or len(axes) != rank:
            return None
        order = tuple(order[axis] for axis in axes)
    return order


def simplified(notes: Sequence[str]) -> tuple[str, ...]:
    """Neighbouring transposes as one; what amounts to nothing is gone."""
    found: list[str] = []
    for note in notes:
        axes = _axes(note)
        last = _axes(found[-1]) if found else None
        if axes is not None and last is not None and len(axes) == len(last):
            found[-1] = turned([last[axis] for axis in axes], _size(found[-1]) or None)
            axes = _axes(found[-1])
        else:
            found.append(note)
        if axes is not None and axes == tuple(range(len(axes))):
            found.pop()
    return tuple(found)


def push_layout(draft: Draft) -> None:
    """Move notes down through steps that do not care, until they meet their inverse or a step that does."""
    moved: dict[str, tuple[str, ...]] = {}
    for step in draft.steps:
        for slot in step.slots:
            slot.notes = simplified((*moved.get(slot.value, ()), *slot.notes))
        computed = [slot for slot in step.slots if slot.value not in draft.constants]
        if not computed or len(step.outputs) != 1:
            continue
        if step.op in _ALONE and len(step.slots) == 1:
            notes, computed[0].notes = computed[0].notes, ()
        elif step.op in _ALONG and (axis := _along(draft, step)) is not None:
            notes, computed[0].notes = computed[0].notes, ()
            step.attributes = {"axis": axis}
        elif step.op in _PAIRS and len(computed) == len(step.slots):
            notes = _last_turn(computed, step)
        else:
            continue
        moved[step.outputs[0]] = notes
    for value in draft.outputs:
        if moved.get(value):
            draft.counts["outputs in another layout"] = draft.counts.get("outputs in another layout", 0) + 1


def _along(draft: Draft, step: Step) -> int | None:
    """The axis of a softmax in the layout of its source, counted from the front; None where it is not one."""
    shape = draft.shape(step.read[0]) if step.read else None
    order = None if shape is None else permutation(step.slots[0].notes, len(shape))
    if order is None or not step.slots[0].notes:
        return None
    old = draft.model.opset < _PLAIN_SOFTMAX
    axis = int(step.attributes.get("axis", 1 if old else -1)) % len(order)
    return None if old and axis != len(order) - 1 else order[axis]


def _last_turn(computed: list[Operand], step: Step) -> tuple[str, ...]:
    """Take the same last transpose off all operands; a Concat's axis follows it."""
    last = {_axes(slot.notes[-1]) if slot.notes else None for slot in computed}
    axes = next(iter(last)) if len(last) == 1 else None
    if axes is None:
        return ()
    if step.op == "Concat":
        step.attributes["axis"] = axes[step.attributes.get("axis", 0)]
    note = computed[0].notes[-1]
    for slot in computed:
        slot.notes = slot.notes[:-1]
    return (note if step.op not in ("Concat", "Part") else turned(axes),)


def net_order(notes: Sequence[str]) -> Order | None:
    """The order in which the parts of the source's axes lie in the end, and the sizes they were cut to.

    Axes of one element and how parts are grouped do not count: `("2a", "1", "2b"), (4, 16)` says that axis 2
    was cut into 4 × 16 and its first part moved to the front. None where shapes are not known.
    """
    parts = _source(notes)
    for note in notes:
        if note.startswith("reshape "):
            after = note.partition(" to ")[2]
            if parts is None:
                return None
            flat = [part for axis in parts for part in axis if part[1] != 1]
            parts = _cut(flat, _read(after))
        elif (axes := _axes(note)) is not None or note == "last axes swapped":
            order = axes or (*range(len(parts or ()) - 2), len(parts or ()) - 1, len(parts or ()) - 2)
            if parts is None or len(order) != len(parts):
                return None
            parts = [parts[axis] for axis in order]
        elif note == "expand":
            continue
        else:
            return None
        if parts is None:
            return None
    return _joined([part for axis in parts or [] for part in axis if part[1] != 1])


def _source(notes: Sequence[str]) -> Parts | None:
    """The axes of the source; the first reshape tells their sizes, transposes before it are turned back."""
    rank, sizes = 0, list[int | str]()
    turns: list[tuple[int, ...]] = []
    for note in notes:
        if (axes := _axes(note)) is not None:
            turns.append(axes)
            rank = len(axes)
            sizes = _size(note)
            if sizes:
                turns.pop()
                break
        elif note.startswith("reshape "):
            sizes = _read(note[8:].partition(" to ")[0])
            break
    if not sizes and not rank:
        return None
    sizes = sizes or [f"axis {i}" for i in range(rank)]
    for axes in reversed(turns):
        if len(axes) != len(sizes):
            return None
        sizes = [size for _, size in sorted(zip(axes, sizes, strict=True), key=lambda item: item[0])]
    return [[(str(i), size)] for i, size in enumerate(sizes)]


def _read(text: str) -> list[int | str]:
    return [int(size) if size.isdigit() else size for size in text.split("×")]


def _cut(flat: list[Piece], sizes: list[int | str]) -> Parts | None:
    """Deal parts out to axes of these sizes, cutting parts where needed."""
    if "?" in sizes:
        return None
    found: Parts = []
    for wanted in sizes:
        taken: list[Piece] = []
        left = wanted
        while left != 1:
            if not flat:
                return None
            name, size = flat.pop(0)
            if size == left:
                taken, left = [*taken, (name, size)], 1
            elif not isinstance(size, int) or not isinstance(left, int):
                return None
            elif left % size == 0:
                taken, left = [*taken, (name, size)], left // size
            elif size % left == 0:
                taken.append((name + "a", left))
                flat.insert(0, (name + "b", size // left))
                left = 1
            else:
                return None
        found.append(taken)
    return None if flat else found


def _joined(parts: list[Piece]) -> Order:
    """Put neighbouring halves of one axis together again; a first axis that stays first says nothing."""
    found: list[Piece] = []
    for name, size in parts:
        found.append((name, size))
        while len(found) > 1 and _halves(found[-2][0], found[-1][0]):
            sizes = [s for _, s in found[-2:] if isinstance(s, int)]
            found[-2:] = [(found[-1][0][:-1], math.prod(sizes))]
    if found and found[0][0] == "0":
        found = found[1:]
    names = tuple(name for name, _ in found)
    if list(names) == sorted(names):
        return (), ()
    return names, tuple(size for name, size in found if not name.isdigit())


def _halves(first: str, second: str) -> bool:
    return first[:-1] == second[:-1] and first.endswith("a") and second.endswith("b")
