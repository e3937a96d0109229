"""Which steps read constants only? They are evaluated by the ONNX reference implementation."""

from __future__ import annotations

import numpy as np
from onnx.reference import ReferenceEvaluator

from inspector.comparison.alignment import Part
from inspector.comparison.draft import Draft, Step

__all__ = ["fold_constants"]

_NEVER = ("Random", "If", "Loop", "Scan", "Sequence", "Bernoulli", "Multinomial")
_REFUSED = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AttributeError, KeyError)


def fold_constants(draft: Draft) -> None:
    """Evaluate constant steps in order, and shapes that are fully known."""
    gone: set[int] = set()
    for step in draft.steps:
        known = step.op == "Shape" and _known_shape(draft, step)
        if known or (_is_constant(draft, step) and _evaluate(draft, step)):
            gone.add(id(step))
    draft.keep(gone, "constant nodes evaluated")


def _is_constant(draft: Draft, step: Step) -> bool:
    read = [slot.value for slot in step.slots if slot.value]
    return bool(read) and not step.op.startswith(_NEVER) and all(v in draft.constants for v in read)


def _known_shape(draft: Draft, step: Step) -> bool:
    known = draft.model.values.get(step.slots[0].value)
    shape = known.shape if known else None
    if shape is None or not all(isinstance(size, int) for size in shape):
        return False
    start, end = step.attributes.get("start", 0), step.attributes.get("end")
    draft.constants[step.outputs[0]] = np.asarray(shape[start:end], np.int64)
    return True


def _evaluate(draft: Draft, step: Step) -> bool:
    proto = step.proto
    if proto is None:
        return False
    names = list(proto.input)
    feeds = {
        n: np.asarray(draft.constants[s.value]) for n, s in zip(names, step.slots, strict=False) if s.value
    }
    try:
        results = ReferenceEvaluator(proto, opsets=dict(draft.model.opsets)).run(None, feeds)
    except _REFUSED:
        return False
    for key, array in zip(step.outputs, results, strict=False):
        draft.constants[key] = np.asarray(array)
        stored = next((draft.parts[s.value] for s in step.slots if s.value in draft.parts), None)
        if stored is not None:
            draft.parts[key] = Part(stored.key, (*stored.notes, step.op.lower()))
    return True
