"""What does one operator for attention stand for? Projections, scores, softmax and mixture, written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.comparison.alignment import Part
from inspector.comparison.draft import Draft, Operand, Step
from inspector.comparison.layout import reshaped, turned

__all__ = ["expand_attention"]

_RUNTIME = "com.microsoft"
_ROLES = ("query", "key", "value")
_HEADS = (0, 2, 1, 3)
"""From (batch, length, heads, width) to (batch, heads, length, width), and back."""


def expand_attention(draft: Draft) -> None:
    """Write out ONNX's Attention and ONNX Runtime's Attention and MultiHeadAttention.

    Causal ones, and those that keep keys and values of earlier runs, stay what they are.
    """
    steps: list[Step] = []
    count = 0
    for step in draft.steps:
        parts = _parts(draft, step)
        count += parts is not None
        steps += [step] if parts is None else parts
    draft.steps = steps
    if count:
        draft.counts["attention operators written out"] = count


def _parts(draft: Draft, step: Step) -> list[Step] | None:
    domain = step.proto.domain if step.proto is not None else ""
    plain = len(step.outputs) == 1 and not any(
        step.attributes.get(n) for n in ("is_causal", "unidirectional")
    )
    if not plain:
        return None
    if step.op == "MultiHeadAttention" and domain == _RUNTIME:
        return _separate(draft, step)
    if step.op == "Attention":
        return _joint(draft, step) if domain == _RUNTIME else _standard(draft, step)
    return None


def _given(step: Step, places: range) -> list[Operand]:
    return [step.slots[i] for i in places if i < len(step.slots) and step.slots[i].value]


def _joint(draft: Draft, step: Step) -> list[Step] | None:
    """One weight (in, 3 × out) for queries, keys and values."""
    weight, bias = draft.constant(step, 1), draft.constant(step, 2)
    if weight is None or weight.ndim != 2 or weight.shape[1] % 3 or _given(step, range(4, 7)):
        return None
    if step.attributes.get("qkv_hidden_sizes"):
        return None
    made: list[Step] = []
    for i, role in enumerate(_ROLES):
        columns = _piece(draft, step, 1, i)
        made.append(step.spawned(role, "MatMul", [step.slots[0], columns]))
        if bias is not None:
            total = step.spawned(
                f"{role}_bias", "Add", [Operand(made[-1].outputs[0]), _piece(draft, step, 2, i)]
            )
            made.append(total)
    sources = [Operand(f"{step.outputs[0]}/{role}{'_bias' * (bias is not None)}") for role in _ROLES]
    return [*made, *_attended(draft, step, sources, _given(step, range(3, 4)), weight.shape[1] // 3)]


def _separate(draft: Draft, step: Step) -> list[Step] | None:
    """Queries, keys and values of their own, biases of the three in one."""
    shapes = [draft.shape(step.slots[i].value) for i in range(min(3, len(step.slots)))]
    biased = draft.constant(step, 3)
    width = len(biased) // 3 if biased is not None else _last(shapes)
    if len(shapes) < 3 or not width or _given(step, range(6, 8)) or any(s and len(s) != 3 for s in shapes):
        return None
    made: list[Step] = []
    sources = step.slots[:3]
    if biased is not None:
        for i, role in enumerate(_ROLES):
            made.append(step.spawned(f"{role}_bias", "Add", [sources[i], _piece(draft, step, 3, i)]))
        sources = [Operand(part.outputs[0]) for part in made]
    return [*made, *_attended(draft, step, sources, _given(step, range(4, 6)), width)]


def _last(shapes: list[Any]) -> int:
    sizes = [shape[-1] for shape in shapes if shape and isinstance(shape[-1], int)]
    return sizes[0] if sizes else 0


def _standard(draft: Draft, step: Step) -> list[Step] | None:
    """Heads already split, (batch, heads, length, width), or counted in `q_num_heads`."""
    if _given(step, range(4, 6)) or step.attributes.get("softcap"):
        return None
    shape = draft.shape(step.slots[0].value)
    if shape is None or not isinstance(shape[-1], int):
        return None
    masks = _given(step, range(3, 4))
    if len(shape) == len(_HEADS):
        return _core(step, step.slots[:3], masks, shape[-1])
    if step.attributes.get("q_num_heads") != step.attributes.get("kv_num_heads"):
        return None
    step.attributes["num_heads"] = step.attributes.get("q_num_heads")
    return _attended(draft, step, step.slots[:3], masks, shape[-1])


def _piece(draft: Draft, step: Step, place: int, third: int) -> Operand:
    """One third of a constant's last axis."""
    stored = step.slots[place].value
    made = f"{stored}/{_ROLES[third]}"
    draft.constants[made] = np.split(np.asarray(draft.constants[stored]), 3, axis=-1)[third]
    if stored in draft.parts:
        part = draft.parts[stored]
        draft.parts[made] = Part(part.key, (*part.notes, f"the third for the {_ROLES[third]}"))
    return Operand(made)


def _attended(
    draft: Draft, step: Step, sources: list[Operand], masks: list[Operand], width: int
) -> list[Step]:
    """Attention over values (batch, length, width), cut into heads and put together again."""
    heads = int(step.attributes.get("num_heads") or 1)
    batch, length = (draft.shape(step.slots[0].value) or ("?", "?"))[:2]
    whole, cut = (batch, length, width), (batch, length, heads, width // heads)
    split = [Operand(s.value, (*s.notes, reshaped(whole, cut), turned(_HEADS, cut))) for s in sources]
    parts = _core(step, split, masks, width // heads)
    mixed = (batch, heads, length, width // heads)
    notes = turned(_HEADS, mixed), reshaped(cut, whole)
    for reader in draft.steps:
        for slot in reader.slots:
            if slot.value == step.outputs[0]:
                slot.notes = (*notes, *slot.notes)
    return parts


def _core(step: Step, sources: list[Operand], masks: list[Operand], width: int) -> list[Step]:
    """softmax(q·kᵀ · scale + mask) · v, each operand (batch, heads, length, width)."""
    query, key, value = sources
    scale = float(step.attributes.get("scale") or width**-0.5)
    swapped = Operand(key.value, (*key.notes, turned((0, 1, 3, 2))))
    parts = [step.spawned("scores", "MatMul", [query, swapped], factor=scale)]
    for i, mask in enumerate(masks):
        parts.append(step.spawned(f"mask{i}", "Add", [Operand(parts[-1].outputs[0]), mask]))
    parts.append(step.spawned("softmax", "Softmax", [Operand(parts[-1].outputs[0])], axis=-1))
    mix = step.spawned("mix", "MatMul", [Operand(parts[-1].outputs[0]), value])
    mix.key, mix.outputs, mix.value = step.key, step.outputs, f"{step.outputs[0]}/heads"
    return [*parts, mix]
