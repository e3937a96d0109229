"""What stands for the layers of a file that holds weights only? One step a group of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inspector.comparison.alignment import Part
from inspector.comparison.draft import Draft, Step

if TYPE_CHECKING:
    from inspector.model.weight import Weight

__all__ = ["draft_of_weights"]

_ROLES = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias", "weight": "weight"}


def draft_of_weights(draft: Draft) -> None:
    """Make a step of every group of weights whose names share all but the last part."""
    groups: dict[str, list[Weight]] = {}
    for weight in draft.model.weights.values():
        if weight.dtype != "string":
            groups.setdefault(_split(weight.name)[0], []).append(weight)
    for prefix, members in groups.items():
        step = Step(prefix or members[0].name, "Weights", [], [], {}, [], prefix)
        for weight in members:
            role = _ROLES.get(_split(weight.name)[1].split(":")[0], _split(weight.name)[1])
            step.arrays[role] = np.asarray(weight.array())
            step.weights[role] = Part(weight.key)
        if "weight" not in step.arrays:
            largest = max(step.arrays, key=lambda role: step.arrays[role].size)
            step.arrays["weight"] = step.arrays.pop(largest)
            step.weights["weight"] = step.weights.pop(largest)
        rank = step.arrays["weight"].ndim
        step.op = "Dense" if rank == 2 else "Conv" if rank > 2 else "Weights"
        draft.steps.append(step)


def _split(name: str) -> tuple[str, str]:
    head, _, last = name.replace("/", ".").rpartition(".")
    return head, last
