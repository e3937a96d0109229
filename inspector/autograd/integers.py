"""How does torch compute on unsigned integers it has no kernels for? In int64, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["UNSIGNED", "narrowed", "ordered", "through_int64", "through_numpy", "wide"]

UNSIGNED = frozenset({torch.uint16, torch.uint32, torch.uint64})
"""torch stores these, but most kernels refuse them."""


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
    return wide(x) ^ torch.iinfo(torch.int64).min if x.dtype == torch.uint64 else wide(x)


def through_int64(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply the function in int64 where the first tensor's type has no kernels."""
    dtype = tensors[0].dtype
    if dtype not in UNSIGNED:
        return function(*tensors)
    return narrowed(function(*(wide(tensor) for tensor in tensors)), dtype)


def through_numpy(function: Callable[..., Any], *tensors: Tensor) -> Tensor:
    """Apply a numpy function to integer tensors (no gradient)."""
    with np.errstate(all="ignore"):
        result = np.asarray(function(*(tensor.cpu().numpy() for tensor in tensors)))
    return torch.from_numpy(result).to(tensors[0].device)
