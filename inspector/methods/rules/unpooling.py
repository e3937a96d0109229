"""How does a deconvolutional net go back through overlapping max pooling? Later windows overwrite."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from inspector.autograd.network import Network
from inspector.autograd.ops.pooling import max_pool
from inspector.autograd.registry import Context

__all__ = ["overwriting_pools"]


class _Overwriting(torch.autograd.Function):
    """Max pooling whose backward pass stores each window's gradient at its switch instead of adding it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, switches: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        windows = torch.arange(switches.numel(), device=x.device)
        last = torch.full((x.numel(),), -1, dtype=torch.int64, device=x.device)
        ctx.last = last.scatter_reduce(0, switches.reshape(-1), windows, "amax")
        ctx.shape = x.shape
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        taken = gradients[0].reshape(-1)[ctx.last.clamp(min=0)]
        return torch.where(ctx.last >= 0, taken, torch.zeros_like(taken)).reshape(ctx.shape), None, None


def _overwriting(
    x: Tensor,
    *,
    kernel_shape: list[int],
    context: Context,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Tensor:
    asked = dataclasses.replace(context, outputs=("values", "switches"))
    values, switches = max_pool(
        x.detach(),
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        dilations=dilations,
        kernel_shape=kernel_shape,
        pads=pads,
        storage_order=0,
        strides=strides,
        context=asked,
    )
    return cast(Tensor, _Overwriting.apply(x, values, switches))


def overwriting_pools(net: Network) -> dict[Any, Callable[..., Any]]:
    """Overrides for every MaxPool whose second output nobody reads."""
    return {
        ("node", step.key): _overwriting
        for step in net.block.every_step()
        if step.node.op_type == "MaxPool" and not any(step.outputs[1:])
    }
