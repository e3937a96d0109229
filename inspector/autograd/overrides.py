"""How do guided backpropagation and the deconvolutional net change rectifiers? Rules as overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from inspector.autograd.gates import Gate, gates_of
from inspector.autograd.network import Network

__all__ = ["RECTIFIERS", "deconvolution", "guided", "rectifier_overrides"]

RECTIFIERS = frozenset(
    {
        *("Relu", "Clip", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Celu", "Selu"),
        *("Gelu", "FastGelu", "QuickGelu", "Swish", "HardSwish", "Mish", "Softplus"),
    }
)
"""Operators that count as a rectifier; `Max(x, 0)` with a stored zero does too, and x times a gate of x, as
exporters write GELU (Erf or Tanh), SiLU and Mish: the product counts, the operators of its gate do not."""


class _AllPositive(torch.autograd.Function):
    """A value whose positive gradients go to another one, whatever made it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].clamp(min=0), None


def guided(*inputs: Any, original: Callable[..., Any]) -> Tensor:
    """Guided backpropagation (Springenberg 2014, fig. 1): the derivative times the positive gradients."""
    y: Tensor = original(*inputs)
    y = y.view_as(y) if any(y is value for value in inputs) else y  # a Clip without bounds
    if y.requires_grad:
        y.register_hook(_positive)
    return y


def _positive(gradient: Tensor) -> Tensor:
    return gradient.clamp(min=0)


def deconvolution(*inputs: Any, original: Callable[..., Any]) -> Tensor:
    """Deconvolutional net (Zeiler and Fergus 2014): the positive gradients, the forward mask ignored."""
    x: Tensor = next(value for value in inputs if isinstance(value, Tensor) and value.ndim)
    with torch.no_grad():
        y: Tensor = original(*inputs)
    return cast(Tensor, _AllPositive.apply(x, y))


def rectifier_overrides(net: Network, rule: Callable[..., Tensor]) -> dict[Any, Callable[..., Tensor]]:
    """Overrides that apply a rule to every rectifier of a net, node by node, so that none can be missed."""
    found: dict[Any, Callable[..., Tensor]] = {}
    gates = gates_of(net)
    inside = {key for gate in gates.values() for key in gate.inside}
    for step in net.block.every_step():
        kind = step.node.op_type
        if step.key in gates:
            found["node", step.key] = _at_gate(gates[step.key], rule)
        elif step.key in inside:
            continue
        elif kind in RECTIFIERS or (kind == "Max" and _has_zero(net, step.inputs)):
            found["node", step.key] = rule
    return found


def _at_gate(gate: Gate, rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The rule for a product as a function of its carrier, which far up is multiplied by the slope."""

    def apply(*inputs: Any, original: Callable[..., Any]) -> Tensor:
        carried = inputs[gate.carrier] * gate.slope
        return rule(carried, original=lambda _: original(*inputs))

    return apply


def _has_zero(net: Network, inputs: tuple[str | None, ...]) -> bool:
    stored = [net.weights[key] for key in inputs if key is not None and key in net.weights]
    return len(inputs) == 2 and any(isinstance(v, Tensor) and not v.any() for v in stored)
