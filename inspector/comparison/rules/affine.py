"""How do Gemm, MatMul, bias and BatchNorm become one layer? Weights as (out, in, ...), all else folded."""

from __future__ import annotations

import numpy as np

from inspector.comparison.alignment import Part
from inspector.comparison.draft import Array, Draft, Step

__all__ = ["fold_affine", "gather_rest", "gather_weights"]

_LAYERS = ("Conv", "ConvTranspose", "Dense")


def gather_weights(draft: Draft) -> None:
    """Move the constants of convolutions and dense layers from slots to weights."""
    for step in draft.steps:
        if step.op in ("Conv", "ConvTranspose") and draft.constant(step, 1) is not None:
            _take(draft, step, {1: "weight", 2: "bias"})
        elif step.op in ("Gemm", "MatMul") and (array := draft.constant(step, 1)) is not None:
            swapped = "last axes swapped" in step.slots[1].notes
            turned = not swapped if step.op == "MatMul" else not step.attributes.get("transB", 0)
            if array.ndim == 2:
                factors = [step.attributes.get(name, 1.0) for name in ("alpha", "beta")]
                factors[0] *= step.attributes.get("factor", 1.0)
                _take(draft, step, {1: "weight", 2: "bias"})
                for role, factor in zip(("weight", "bias"), factors, strict=True):
                    if factor != 1 and role in step.arrays:
                        step.arrays[role] = step.arrays[role] * factor
                if turned:
                    _turn(step)
                step.op = "Dense"
                step.attributes = {}


def _take(draft: Draft, step: Step, roles: dict[int, str]) -> None:
    for position, role in roles.items():
        array = draft.constant(step, position)
        if array is None:
            continue
        value = step.slots[position].value
        step.arrays[role] = np.asarray(array)
        if value in draft.parts:
            step.weights[role] = draft.parts[value]
    step.slots = [s for i, s in enumerate(step.slots) if i not in roles or s.value not in draft.constants]


def _turn(step: Step) -> None:
    step.arrays["weight"] = step.arrays["weight"].T
    part = step.weights.get("weight")
    if part is not None:
        step.weights["weight"] = Part(part.key, (*part.notes, "transposed to (out, in)"))


def fold_affine(draft: Draft) -> None:
    """Fold BatchNorm and added or multiplied per-channel constants into the layer that feeds them."""
    consumers, gone = draft.consumers(), set[int]()
    for layer in draft.steps:
        while layer.op in _LAYERS and "weight" in layer.arrays:
            user = draft.sole_user(layer.outputs[0], consumers)
            change = None if user is None else _scale_shift(draft, layer, user)
            if user is None or change is None:
                break
            _apply(layer, user, *change)
            _name_bias(draft, layer, user)
            draft.absorb(layer, user, consumers)
            gone.add(id(user))
    draft.keep(gone, "batch norms, scales and biases folded")


def _scale_shift(draft: Draft, layer: Step, user: Step) -> tuple[Array, Array] | None:
    width = _width(layer)
    if user.op == "BatchNormalization":
        found = [draft.constant(user, i) for i in range(1, 5)]
        if any(f is None for f in found):
            return None
        gamma, beta, mean, variance = (np.asarray(f, np.float64) for f in found)
        scale = gamma / np.sqrt(variance + user.attributes.get("epsilon", 1e-5))
        return scale, beta - mean * scale
    if user.op not in ("Add", "Mul", "Sub", "Div") or len(user.slots) != 2:
        return None
    at = next((i for i in (0, 1) if draft.constant(user, i) is not None), None)
    if at is None or (user.op in ("Sub", "Div") and at == 0):
        return None
    array = np.asarray(draft.constant(user, at), np.float64)
    axis = -1 if layer.op == "Dense" else 1 - len(layer.arrays["weight"].shape)
    straight = array.ndim >= -axis and array.shape[axis] == width
    if array.size == width and (straight or (user.slots[1 - at].notes and width in array.shape)):
        vector = array.reshape(-1)
    elif array.size == 1:
        vector = np.full(width, array.reshape(()))
    else:
        return None
    one, zero = np.ones(width), np.zeros(width)
    if user.op in ("Add", "Sub"):
        return one, vector if user.op == "Add" else -vector
    if user.op == "Div" and not np.all(vector):
        return None
    return (vector if user.op == "Mul" else 1 / vector), zero


def _width(layer: Step) -> int:
    shape = layer.arrays["weight"].shape
    return shape[1] * layer.attributes.get("group", 1) if layer.op == "ConvTranspose" else shape[0]


def _apply(layer: Step, user: Step, scale: Array, shift: Array) -> None:
    weight = layer.arrays["weight"]
    if not np.all(scale == 1):
        layer.arrays["weight"] = _scaled(layer, scale).astype(weight.dtype)
        part = layer.weights.get("weight")
        if part is not None:
            layer.weights["weight"] = Part(part.key, (*part.notes, f"{user.op} folded"))
    bias = layer.arrays.get("bias", np.zeros(len(scale)))
    layer.arrays["bias"] = (bias * scale + shift).astype(weight.dtype)


def _name_bias(draft: Draft, layer: Step, user: Step) -> None:
    """Let the bias of a layer that had none be the weight that was added."""
    stored = [draft.parts[slot.value] for slot in user.slots if slot.value in draft.parts]
    if user.op == "Add" and len(stored) == 1:
        layer.weights.setdefault("bias", stored[0])


def _scaled(layer: Step, scale: Array) -> Array:
    weight = layer.arrays["weight"]
    if layer.op != "ConvTranspose":
        return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    groups = layer.attributes.get("group", 1)
    grouped = weight.reshape(groups, -1, *weight.shape[1:])
    return (grouped * scale.reshape(groups, 1, -1, *[1] * (weight.ndim - 2))).reshape(weight.shape)


def gather_rest(draft: Draft) -> None:
    """Keep the float constants of every other step as its weights, the largest as "weight"."""
    for step in draft.steps:
        found = {
            i: np.asarray(draft.constants[slot.value])
            for i, slot in enumerate(step.slots)
            if slot.value in draft.constants and draft.constants[slot.value].dtype.kind == "f"
        }
        largest = max(found, key=lambda i: found[i].size, default=-1)
        for i, array in found.items():
            role = "weight" if i == largest and "weight" not in step.arrays else f"constant{i}"
            step.arrays[role] = array
            if step.slots[i].value in draft.parts:
                step.weights[role] = draft.parts[step.slots[i].value]
