"""The product with a matrix by oneDNN, with all derivatives: on the CPU it is faster than the one of BLAS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd.worlds import is_plain

__all__ = ["Product", "quick"]

Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""x (..., inside), weight (outside, inside) and bias (outside,) or None to x weight^T + bias."""

KERNEL: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
WITH = torch.backends.mkldnn.is_available() and KERNEL is not None

LARGE = 2**25
"""Multiplications from which on the kernel gains more than the way to it costs."""


def quick(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`torch.nn.functional.linear`; another kernel, so the last bits differ."""
    fits = (
        WITH
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and x.ndim > 1
        and x.numel() * weight.shape[0] >= LARGE
        and (weight.is_contiguous() or weight.mT.is_contiguous())
        and (bias is None or bias.shape == weight.shape[:1])
    )
    if not fits or not is_plain(x):
        return functional.linear(x, weight, bias)
    if torch.is_grad_enabled():
        return _Product.apply(*(_inner(t) for t in (x, weight, bias)))  # pyright: ignore[reportReturnType]
    return _product(x, weight, bias)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return KERNEL(x, weight, bias, "none", [], "")


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x if weight.requires_grad else None, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = (_is_asked(node) for node, _ in ctx.next_functions)
        back = _product if not torch.is_grad_enabled() else functional.linear
        return (
            back(gradient, weight.mT, None) if for_x else None,
            gradient.flatten(0, -2).mT @ x.flatten(0, -2) if for_weight else None,
            gradient.flatten(0, -2).sum(0) if for_bias else None,
        )


def _inner(x: Tensor | None) -> Tensor | None:
    """The tensor with a node of its own in the graph: of a leaf the engine does not tell."""
    return x.view_as(x) if x is not None and x.is_leaf and x.requires_grad else x


def _is_asked(node: Any) -> bool:
    """Whether this backward pass goes on into a node; what nobody asked for is left out."""
    return node is not None and torch._C._will_engine_execute_node(node)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType]
