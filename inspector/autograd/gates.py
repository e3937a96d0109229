"""Which operators together are one activation? A value times a gate of itself: GELU and SiLU written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inspector.autograd.cutting import between
from inspector.autograd.network import Network
from inspector.autograd.program import Step
from inspector.errors import InspectorError

__all__ = ["Gate", "gates_of"]

BENDING = frozenset({"Erf", "Tanh", "Sigmoid", "HardSigmoid", "Softplus", "Clip", "Relu"})
"""A gate holds at least one of these: it turns from off to on."""
PLAIN = BENDING | {"Add", "Sub", "Mul", "Div", "Pow", "Neg", "Exp", "Log", "Identity"}
FAR = 1000.0
"""Where every gate of BENDING is fully on, and no cube overflows float32."""


@dataclass(frozen=True)
class Gate:
    """A product a · g(x) where a is x or x scaled: `carrier` is the position of a, `slope` is g far up, and
    `inside` are the keys of the steps that compute g.
    """

    carrier: int
    slope: float
    inside: frozenset[str]


def gates_of(net: Network) -> dict[str, Gate]:
    """Every gated product of the top level by the key of its Mul.

    Both factors must come from the same value by elementwise operators with one stored number each, so that
    a squeeze-and-excitation or a gated linear unit, whose gate sees other values, is none.
    """
    makers = {str(key): step for step in net.block.steps for key in step.outputs if key}
    weights = net.weights
    found: dict[str, Gate] = {}
    for step in net.block.steps:
        if step.node.op_type != "Mul" or len(step.inputs) != 2:
            continue
        for carrier in (0, 1):
            gate = _gate(net, step, carrier, makers, weights)
            if gate is not None:
                found[step.key] = gate
                break
    return found


def _gate(
    net: Network, step: Step, carrier: int, makers: Mapping[str, Step], weights: Mapping[str, Any]
) -> Gate | None:
    held, other = str(step.inputs[carrier]), str(step.inputs[1 - carrier])
    for root in (held, _unscaled(held, makers, weights)):
        inside = _inside(other, root, makers, weights) if root is not None else None
        if root is None or not inside:
            continue
        if not any(makers[key].node.op_type in BENDING for key in inside):
            continue
        slope = _far_up(net, root, other)
        if slope is not None and slope > 0:
            return Gate(carrier, slope, frozenset(makers[key].key for key in inside))
    return None


def _unscaled(key: str, makers: Mapping[str, Step], weights: Mapping[str, Any]) -> str | None:
    """What a value is a multiple of, if it is one."""
    step = makers.get(key)
    if step is None or step.node.op_type not in ("Mul", "Div"):
        return None
    left, right = str(step.inputs[0]), str(step.inputs[1])
    if _is_number(right, weights):
        return left
    return right if step.node.op_type == "Mul" and _is_number(left, weights) else None


def _inside(end: str, root: str, makers: Mapping[str, Step], weights: Mapping[str, Any]) -> set[str] | None:
    """The values between `root` and `end` if all are elementwise in `root` alone, else None."""
    found: set[str] = set()
    waiting = [end]
    while waiting:
        key = waiting.pop()
        if key == root or key in found or _is_number(key, weights):
            continue
        step = makers.get(key)
        if step is None or step.node.op_type not in PLAIN or len(found) > len(PLAIN):
            return None
        found.add(key)
        waiting += [str(name) for name in step.inputs if name]
    return found


def _is_number(key: str, weights: Mapping[str, Any]) -> bool:
    value = weights.get(key)
    return isinstance(value, Tensor) and value.numel() == 1


def _far_up(net: Network, root: str, end: str) -> float | None:
    """The gate's value where its argument is large; None where it does not settle."""
    part = between(net, [root], [end])
    try:
        with torch.no_grad():
            near, far = (
                float(part.run({root: torch.full((1,), place, dtype=net.dtype)}).outputs[0])
                for place in (FAR / 2, FAR)
            )
    except InspectorError:
        return None
    return far if abs(far - near) < 1e-6 * max(1.0, abs(far)) else None
