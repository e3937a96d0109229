"""How does an operator that only moves elements treat types that torch can barely hold?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.narrow import Narrow

__all__ = ["moved"]

CARRIERS = {
    torch.uint16: torch.int16,
    torch.uint32: torch.int32,
    torch.uint64: torch.int64,
    torch.float8_e4m3fn: torch.uint8,
    torch.float8_e4m3fnuz: torch.uint8,
    torch.float8_e5m2: torch.uint8,
    torch.float8_e5m2fnuz: torch.uint8,
}
"""Types with few kernels, and the type of the same width that carries their bits."""


def moved(function: Callable[..., Any], *values: Any) -> Any:
    """Apply a function that copies, drops or reorders elements; all values are of one element type.

    Sub-byte types move in their storage, rare types as integers of the same width, strings as positions.
    """
    first = values[0]
    if isinstance(first, Tensor):
        if first.dtype not in CARRIERS:
            return function(*values)
        result = function(*(value.view(CARRIERS[first.dtype]) for value in values))
        return _each(result, lambda tensor: tensor.view(first.dtype))
    if isinstance(first, Narrow):
        return _each(function(*(value.storage for value in values)), first.with_storage)
    pool = np.concatenate([value.reshape(-1) for value in values])
    starts = np.cumsum([0, *(value.size for value in values)])
    places = [
        torch.arange(start, start + value.size).reshape(value.shape)
        for start, value in zip(starts, values, strict=False)
    ]
    return _each(function(*places), lambda tensor: pool[tensor.numpy()].reshape(tuple(tensor.shape)))


def _each(result: Any, wrap: Callable[[Tensor], Any]) -> Any:
    if isinstance(result, tuple):
        return tuple(wrap(item) for item in result)
    if isinstance(result, list):
        return [wrap(item) for item in result]
    return wrap(result)
