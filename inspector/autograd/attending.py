"""The fused kernel of attention on the CPU, with all derivatives: torch has but the first one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd.worlds import is_plain, is_transformed

__all__ = ["attend"]

FORWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """softmax(scale q k^T + mask) v over (n, heads, tokens, d); no row of the mask hides every key.

    On the CPU it can be derived as often as one likes, elsewhere once; torch.func and forward mode see it
    written out.
    """
    if is_transformed():
        return _weights(q, k, mask, scale) @ v
    fits = q.shape[-1] == k.shape[-1] == v.shape[-1] and q.numel() and k.numel()
    trained = mask is not None and mask.requires_grad
    if q.device.type != "cpu" or not fits or trained or not is_plain(q):
        return functional.scaled_dot_product_attention(q, k, v, mask, scale=scale)
    return _Attention.apply(*(_rows(t) for t in (q, k, v)), mask, scale)  # pyright: ignore[reportReturnType]


def _rows(x: Tensor) -> Tensor:
    """With the last axis in one piece, as the kernel reads it unasked."""
    return x if x.stride(-1) == 1 else x.contiguous()


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        y, sums = FORWARD(q, k, v, 0.0, False, attn_mask=mask, scale=scale)
        ctx.save_for_backward(q, k, v, mask, y, sums)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        q, k, v, mask, y, sums = ctx.saved_tensors
        if not torch.is_grad_enabled():
            found = BACKWARD(_rows(gradient), q, k, v, y, sums, 0.0, False, attn_mask=mask, scale=ctx.scale)
            return (*found, None, None)
        weights = _weights(q, k, mask, ctx.scale)
        slope = gradient @ v.mT
        scores = weights * (slope - (slope * weights).sum(-1, keepdim=True)) * ctx.scale
        return scores @ k, scores.mT @ q, weights.mT @ gradient, None, None


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    scores = q @ k.mT * scale
    return torch.softmax(scores if mask is None else scores + mask, -1)
