"""Which names mean the same operator? Mean over space is global pooling; defaults are written out."""

from __future__ import annotations

from typing import Any

from inspector.comparison.draft import Draft, Step

__all__ = ["settle_names"]


def settle_names(draft: Draft) -> None:
    """Give operators one name and their attributes explicit, layout-free values."""
    for step in draft.steps:
        if step.op in ("ReduceMean", "GlobalAveragePool"):
            step.op, step.attributes = "Mean", {}
            step.slots = step.slots[:1]
        elif step.op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
            step.attributes = _window(step)
        elif step.op == "Softmax":
            step.attributes = {}


def _window(step: Step) -> dict[str, Any]:
    given = step.attributes
    weight = step.arrays.get("weight")
    kernel = tuple(given.get("kernel_shape") or (weight.shape[2:] if weight is not None else ()))
    rank = len(kernel)
    found: dict[str, Any] = {
        "kernel": kernel,
        "strides": tuple(given.get("strides") or (1,) * rank),
        "dilations": tuple(given.get("dilations") or (1,) * rank),
    }
    automatic = str(given.get("auto_pad") or "NOTSET")
    found["pads"] = automatic if automatic.startswith("SAME") else tuple(given.get("pads") or (0,) * 2 * rank)
    if weight is not None:
        found["group"] = given.get("group", 1)
    if given.get("ceil_mode"):
        found["ceil_mode"] = 1
    return found
