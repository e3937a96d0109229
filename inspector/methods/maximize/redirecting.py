"""How does a unit that is silent everywhere start to move? Gradients let through blocked rectifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from inspector.autograd.network import Network

__all__ = ["redirected_rectifiers"]


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


def redirected_rectifiers(net: Network) -> dict[Any, Callable[..., Any]]:
    """Overrides for every Relu and Clip: where a picture's whole gradient is blocked, and only there.

    The gradient is that of a loss to be made small, as lucid takes it.
    """
    return {
        ("node", step.key): _redirected
        for step in net.block.every_step()
        if step.node.op_type in ("Relu", "Clip")
    }
