"""Which steps compute the same twice? One is kept."""

from __future__ import annotations

import numpy as np

from inspector.comparison.draft import Draft, Operand, Step

__all__ = ["merge_duplicates"]

_SMALL = 256
"""Elements up to which two constants are compared by value rather than by name."""


def merge_duplicates(draft: Draft) -> None:
    """Merge steps with the same operator, operands and attributes; random ones stay apart."""
    first: dict[object, Step] = {}
    links: dict[str, Operand] = {}
    gone: set[int] = set()
    for step in draft.steps:
        step.slots = [_followed(slot, links) for slot in step.slots]
        sign = _sign(draft, step)
        kept = first.setdefault(sign, step)
        if kept is step or step.op.startswith("Random") or not step.slots:
            continue
        links |= {mine: Operand(its) for mine, its in zip(step.outputs, kept.outputs, strict=False) if mine}
        kept.origins += step.origins
        gone.add(id(step))
    draft.keep(gone, "duplicates merged")
    draft.forward(links)


def _followed(slot: Operand, links: dict[str, Operand]) -> Operand:
    link = links.get(slot.value)
    return slot if link is None else Operand(link.value, (*link.notes, *slot.notes))


def _sign(draft: Draft, step: Step) -> object:
    slots = tuple((_value(draft, slot.value), slot.notes) for slot in step.slots)
    attributes = tuple(sorted((name, repr(value)) for name, value in step.attributes.items()))
    weights = tuple(sorted((role, part.key, part.notes) for role, part in step.weights.items()))
    return step.op, slots, attributes, weights, len(step.outputs)


def _value(draft: Draft, value: str) -> object:
    array = draft.constants.get(value)
    if array is None or array.size > _SMALL:
        return value
    return array.dtype.str, array.shape, np.asarray(array).tobytes()
