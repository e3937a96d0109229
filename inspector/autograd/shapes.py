"""Which steps are shape arithmetic? Their values follow from the shapes of the inputs and stored numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from inspector.autograd.program import Step

__all__ = ["CHANCE", "ROOTS", "arithmetic"]

CHANCE = frozenset(
    {
        *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"),
        *("Bernoulli", "Multinomial", "Dropout"),
    }
)
"""Operators that draw: two runs of them differ."""

ROOTS = frozenset({"Shape", "Size"})
"""Operators that read nothing of a value but its shape."""


def arithmetic(steps: Iterable[Step], numbers: Collection[str], closed: Collection[str] = ()) -> set[str]:
    """The keys of the steps that read only `numbers`, shapes and what such steps make; none of `closed`."""
    known, found = set(numbers), set[str]()
    for step in steps:
        if step.blocks or step.operator is None or step.node.op_type in CHANCE or step.key in closed:
            continue
        if step.node.op_type in ROOTS or all(key is None or key in known for key in step.inputs):
            found.add(step.key)
            known.update(key for key in step.outputs if key)
    return found
