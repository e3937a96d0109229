"""How much does a window pad? An explicit Pad is merged into it, automatic padding is worked out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from inspector.comparison.draft import Array, Draft, Operand, Step
from inspector.comparison.layout import permutation

__all__ = ["merge_pads", "window"]

_WINDOWS = ("Conv", "AveragePool", "MaxPool")


def merge_pads(draft: Draft) -> None:
    """Add the zeros of a Pad to the pads of the convolutions that alone read it.

    For MaxPool −∞ is added; behind a ReLU zeros do the same, since no value lies below them.
    """
    consumers, producers = draft.consumers(), draft.producers()
    links: dict[str, Operand] = {}
    gone: set[int] = set()
    for step in draft.steps:
        amounts = _amounts(draft, step) if step.op == "Pad" else None
        users = consumers.get(step.outputs[0], []) if amounts is not None else []
        if amounts is None or not users or step.outputs[0] in draft.outputs:
            continue
        maker = producers.get(step.slots[0].value)
        positive = maker is not None and maker.op == "Relu"
        added = [_for(draft, step, amounts, user, positive) for user in users]
        if any(extra is None for extra in added):
            continue
        for user, extra in zip(users, added, strict=True):
            rank = len(extra or ()) // 2
            before = user.attributes.get("pads") or [0] * 2 * rank
            user.attributes["pads"] = [x + y for x, y in zip(before, extra or (), strict=True)]
            user.origins = [*step.origins, *user.origins]
        links[step.outputs[0]] = step.slots[0]
        gone.add(id(step))
    draft.keep(gone, "explicit pads merged into their window")
    draft.forward(links)


def _amounts(draft: Draft, step: Step) -> Array | None:
    """Pads of every axis, shape (2, rank)."""
    mode = step.attributes.get("mode", "constant")
    given = step.attributes.get("pads")
    pads = draft.constant(step, 1) if given is None else np.asarray(given)
    if mode != "constant" or pads is None:
        return None
    axes = draft.constant(step, 3)
    if axes is not None:
        shape = draft.shape(step.read[0]) if step.read else None
        if shape is None:
            return None
        full = np.zeros((2, len(shape)), np.int64)
        full[:, axes.astype(int)] = pads.reshape(2, -1)
        return full
    return pads.reshape(2, -1)


def _for(draft: Draft, pad: Step, amounts: Array, user: Step, positive: bool) -> list[int] | None:
    """The pads in the axes of a window, or None where they do not belong to it."""
    value = draft.scalar(pad, 2) if len(pad.slots) > 2 and pad.slots[2].value else None
    value = float(pad.attributes.get("value", 0.0)) if value is None else value
    fits = value < -1e30 or (positive and value == 0) if user.op == "MaxPool" else value == 0
    automatic = str(user.attributes.get("auto_pad", "NOTSET"))
    counted = user.op != "AveragePool" or user.attributes.get("count_include_pad")
    slot = next((s for s in user.slots if s.value == pad.outputs[0]), None)
    if user.op not in _WINDOWS or not fits or automatic.startswith("SAME") or not counted or slot is None:
        return None
    order = permutation(slot.notes, amounts.shape[1])
    if order is None:
        return None
    turned = amounts[:, list(order)]
    return None if turned[:, :2].any() or (turned < 0).any() else turned[:, 2:].reshape(-1).tolist()


def window(draft: Draft, step: Step) -> dict[str, Any]:
    """Kernel, strides, dilations and pads of a convolution or pooling, written out."""
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
    pads = tuple(given.get("pads") or (0,) * 2 * rank)
    up = bool(given.get("ceil_mode"))
    if step.op == "MaxPool" and not up and _rounds_up(automatic, pads, found):
        automatic, pads, up = "NOTSET", (*pads[:rank], *pads[:rank]), True
    found["pads"] = _automatic(draft, step, automatic, found) if automatic.startswith("SAME") else pads
    if weight is not None:
        found["group"] = given.get("group", 1)
    if up:
        found["ceil_mode"] = 1
    if step.op == "AveragePool" and given.get("count_include_pad") and any(found["pads"]):
        found["count_include_pad"] = 1
    if any(given.get("output_padding") or ()):
        found["output_padding"] = tuple(given["output_padding"])
    return found


def _rounds_up(automatic: str, pads: tuple[int, ...], sizes: Mapping[str, Any]) -> bool:
    """Whether a MaxPool keeps the rest at the end as `ceil_mode` does, whatever the size of its input.

    SAME_UPPER does so for windows that do not overlap; so do further pads at the end of one stride less one.
    """
    strides, kernel = sizes["strides"], sizes["kernel"]
    if automatic != "NOTSET":
        return automatic == "SAME_UPPER" and bool(strides == kernel)
    rest = [end - begin for begin, end in zip(pads[: len(kernel)], pads[len(kernel) :], strict=True)]
    whole = all(stride <= size for stride, size in zip(strides, kernel, strict=True))
    return whole and any(rest) and rest == [stride - 1 for stride in strides]


def _automatic(draft: Draft, step: Step, mode: str, sizes: dict[str, Any]) -> Any:
    """The pads that SAME means for the inferred input size; the word itself where the size is open."""
    shape = draft.shape(step.read[0]) if step.read else None
    if shape is None or len(shape) != len(sizes["kernel"]) + 2 or step.op == "ConvTranspose":
        return mode
    begin: list[int] = []
    end: list[int] = []
    for size, kernel, stride, dilation in zip(
        shape[2:], sizes["kernel"], sizes["strides"], sizes["dilations"], strict=True
    ):
        if stride == 1:
            total = (kernel - 1) * dilation
        elif isinstance(size, int):
            total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
        else:
            return mode
        small, large = total // 2, total - total // 2
        begin.append(small if mode == "SAME_UPPER" else large)
        end.append(large if mode == "SAME_UPPER" else small)
    return (*begin, *end)
