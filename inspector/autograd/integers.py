"""How does torch compute on unsigned integers it has no kernels for? In int64, and back."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["UNSIGNED", "divided", "narrowed", "ordered", "shifted_right", "through_int64", "wide"]

UNSIGNED = frozenset({torch.uint16, torch.uint32, torch.uint64})
"""torch stores these, but most kernels refuse them."""


_LOWEST = torch.iinfo(torch.int64).min


def wide(x: Tensor) -> Tensor:
    """The tensor in int64 if it is of an unsigned type without kernels (uint64 keeps its bits)."""
    if x.dtype == torch.uint64:
        return x.view(torch.int64)
    return x.to(torch.int64) if x.dtype in UNSIGNED else x


def narrowed(x: Tensor, dtype: torch.dtype) -> Tensor:
    """An int64 tensor back in its unsigned type, modulo its range; any other tensor as it is."""
    if dtype not in UNSIGNED or x.dtype == dtype:
        return x
    if dtype == torch.uint64:
        return x.to(torch.int64).contiguous().view(torch.uint64)
    bits = dtype.itemsize * 8
    return (x & ((1 << bits) - 1)).to(dtype)


def ordered(x: Tensor) -> Tensor:
    """Like `wide`, but order is kept for uint64 too (the sign bit is flipped)."""
    return wide(x) ^ _LOWEST if x.dtype == torch.uint64 else wide(x)


def through_int64(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply the function in int64 where the first tensor's type has no kernels."""
    dtype = tensors[0].dtype
    if dtype not in UNSIGNED:
        return function(*tensors)
    return narrowed(function(*(wide(tensor) for tensor in tensors)), dtype)


def shifted_right(x: Tensor, places: Tensor | int) -> Tensor:
    """The bits of an int64 tensor moved right, zeros moving in; `places` is 0 to 63."""
    kept = torch.bitwise_not(x.new_full((), -2) << (63 - places))
    return (x >> places) & kept


def divided(a: Tensor, b: Tensor) -> Tensor:
    """The whole quotient of two uint64 tensors, their bits taken as int64 (Hacker's Delight, section 9-3)."""
    x, y = torch.broadcast_tensors(wide(a), wide(b))
    part = torch.div(shifted_right(x, 1), y.clamp(min=1), rounding_mode="trunc") << 1
    rest = x - part * y
    part = part + ((rest ^ _LOWEST) >= (y ^ _LOWEST)).long()
    return torch.where(y < 0, ((x ^ _LOWEST) >= (y ^ _LOWEST)).long(), part).view(torch.uint64)
