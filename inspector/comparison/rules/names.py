"""Which names mean the same operator? Mean over space is global pooling; defaults are written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from inspector.comparison.draft import Draft, Step, plain
from inspector.comparison.layout import permutation
from inspector.comparison.rules.padding import window

__all__ = ["settle_names"]

_MOVED = ("Concat", "Softmax", "LogSoftmax")


def settle_names(draft: Draft) -> None:
    """Give operators one name and their attributes explicit, layout-free values."""
    for step in draft.steps:
        if step.op in ("ReduceMean", "GlobalAveragePool"):
            _mean(draft, step)
        elif step.op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"):
            step.attributes = window(draft, step)
            if step.op == "AveragePool" and _covers(draft, step):
                step.op, step.attributes = "Mean", {}
        elif step.op in _MOVED:
            _axis(draft, step)
        elif step.op not in ("Part", "Dense", "MatMul", "LayerNormalization", "RMSNormalization", "Clip"):
            _defaults(draft, step)


def _rank(draft: Draft, step: Step) -> int | None:
    shape = draft.shape(step.read[0]) if step.read else None
    return None if shape is None else len(shape)


def _in_source(step: Step, axes: list[int], rank: int) -> tuple[int, ...]:
    """Axes of the operand in the layout of the value it comes from."""
    order = permutation(step.slots[0].notes, rank)
    return tuple(sorted(axes if order is None else (order[axis] for axis in axes)))


def _mean(draft: Draft, step: Step) -> None:
    rank = _rank(draft, step)
    given = step.attributes.get("axes")
    if given is None and len(step.slots) > 1:
        constant = draft.constant(step, 1)
        given = None if constant is None else constant.reshape(-1).tolist()
    step.slots = step.slots[:1]
    if step.op == "GlobalAveragePool":
        step.op, step.attributes = "Mean", {}
        return
    if rank is None:
        space = tuple(given or ()) in ((2, 3), (-2, -1), (2, 3, 4))
        step.op, step.attributes = ("Mean", {}) if space else (step.op, {"axes": tuple(given or ())})
        return
    axes = _in_source(step, [int(axis) % rank for axis in given or range(rank)], rank)
    if axes == tuple(range(2, rank)) and rank > 2 and not _is_sequence(rank, step):
        step.op, step.attributes = "Mean", {}
        step.slots[0].notes = ()
    else:
        step.attributes = {"axes": tuple(axis - rank for axis in axes)}


def _is_sequence(rank: int, step: Step) -> bool:
    """A mean over the last of three axes may be that of a layer norm: only a turned operand is space."""
    return rank == 3 and not step.slots[0].notes


def _covers(draft: Draft, step: Step) -> bool:
    shape = draft.shape(step.read[0]) if step.read else None
    pads = step.attributes["pads"]
    return shape is not None and tuple(shape[2:]) == step.attributes["kernel"] and not any(pads)


def _axis(draft: Draft, step: Step) -> None:
    rank = _rank(draft, step)
    old = step.op != "Concat" and draft.model.opset < 13
    axis = int(step.attributes.get("axis", 1 if old else -1))
    if rank is not None:
        axis = axis % rank
        if step.op != "Concat":
            (axis,) = _in_source(step, [axis], rank)
            axis -= rank
    step.attributes = {"axis": axis}


def _defaults(draft: Draft, step: Step) -> None:
    """Attributes with the defaults of the operator's schema, numbers rounded to four digits."""
    found: dict[str, Any] = {}
    standard = step.proto is None or not step.proto.domain
    if standard and onnx.defs.has(step.op, draft.model.opset, ""):
        for name, attribute in onnx.defs.get_schema(step.op, draft.model.opset, "").attributes.items():
            if attribute.default_value.name:
                found[name] = onnx.helper.get_attribute_value(attribute.default_value)
    found = plain(found)
    found |= step.attributes
    step.attributes = {name: _shown(value) for name, value in found.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else value
    if isinstance(value, onnx.TensorProto):
        array = onnx.numpy_helper.to_array(value) if value.data_location == 0 else np.zeros(0)
        return str(array.tolist()) if array.size <= 16 else f"{array.size} values"
    return tuple(value) if isinstance(value, list | np.ndarray) else value
