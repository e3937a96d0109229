"""How does a unit start to move where it is silent? Gradients let through blocked rectifiers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

from inspector.autograd.network import Network

__all__ = ["leaking_rectifiers", "redirected_rectifiers"]

LEAK = 0.1
"""Share of a gradient that reaches silent places of a layer: enough to turn a flat dark region into what the
unit wants, too little to blur edges, whose silent side would like to be something else."""


Rules = dict[Any, Callable[..., Any]]


class _Redirected(torch.autograd.Function):
    """A rectifier whose blocked gradient passes where it would lead back into the open range."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x, y)
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        plain = torch.where(x == y, gradients[0], 0)
        helpful = (x == y) | ((x < y) == (gradients[0] < 0))
        redirected = torch.where(helpful, gradients[0], 0)
        blocked = plain.flatten(1).norm(dim=1) == 0
        return torch.where(blocked.reshape(-1, *[1] * (x.ndim - 1)), redirected, plain), None


def _redirected(*inputs: Any, original: Callable[..., Any]) -> Tensor:
    x: Tensor = inputs[0]
    with torch.no_grad():
        y = original(*inputs)
    return cast(Tensor, _Redirected.apply(x, y))


class _Leaking(torch.autograd.Function):
    """A rectifier that passes a share of the gradient where it is blocked but would lead out of there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, leak: float) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x, y)
        ctx.leak = leak
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, y = ctx.saved_tensors
        helpful = (x < y) == (gradients[0] < 0)
        return gradients[0] * torch.where(x == y, 1.0, ctx.leak * helpful), None, None


def _leaking(*inputs: Any, original: Callable[..., Any], leak: float) -> Tensor:
    x: Tensor = inputs[0]
    with torch.no_grad():
        y = original(*inputs)
    return cast(Tensor, _Leaking.apply(x, y, leak))


def leaking_rectifiers(part: Network, layers: Iterable[str], *, start: bool) -> Rules:
    """Overrides for the Relu and Clip that give one of the layers, so that its silent places take part.

    At the `start`, where nothing is rectified before the layer, gradients pass in full: such a unit is linear
    in the picture, and which places of the noise it likes is chance.
    """
    every = _rectifiers(part)
    own = [step for step in every if set(layers).intersection(step.node.output)]
    leak = 1.0 if start and len(own) == len(every) else LEAK
    return {("node", step.key): functools.partial(_leaking, leak=leak) for step in own}


def redirected_rectifiers(net: Network) -> Rules:
    """Overrides for every Relu and Clip: where a picture's whole gradient is blocked, and only there.

    The gradient is that of a loss to be made small, as lucid takes it.
    """
    return {("node", step.key): _redirected for step in _rectifiers(net)}


def _rectifiers(net: Network) -> list[Any]:
    return [step for step in net.block.every_step() if step.node.op_type in ("Relu", "Clip")]
