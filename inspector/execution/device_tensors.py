"""How does a value on the device become a torch tensor, and its statistics, without a copy to the host?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from inspector import dtypes
from inspector.execution.moments import Moments

BLOCK = 1 << 22
"""Elements that are widened at a time: 32 MB, beside the value, and not a multiple of the value."""

__all__ = ["measure_tensor", "sees_cuda", "tensor_of"]


def tensor_of(value: Any) -> torch.Tensor:
    """An OrtValue or array as a tensor over the same memory (DLPack); treat it as read-only.

    bfloat16 and float8 become torch's types of these names, int4 and its like, which torch lacks, int8.
    """
    if isinstance(value, np.ndarray) and dtypes.is_foreign(value.dtype):
        kind = getattr(torch, value.dtype.name, None)
        if kind is None or "int" in value.dtype.name:
            return torch.from_numpy(value.astype(np.int8))
        return torch.from_numpy(value.view(f"uint{8 * value.itemsize}")).view(kind)
    tensor = torch.from_dlpack(value)
    is_bool = not isinstance(value, np.ndarray) and value.data_type() == "tensor(bool)"
    return tensor.view(torch.bool) if is_bool else tensor  # DLPack hands bool over as bytes


def sees_cuda() -> bool:
    """Whether this torch can read what lies on a CUDA device."""
    return torch.cuda.is_available()


def measure_tensor(tensor: torch.Tensor) -> Moments:
    """The statistics of `measure`, reduced where the tensor lies; only numbers leave the device."""
    name = str(tensor.dtype).removeprefix("torch.")
    shape = tuple(tensor.shape)
    flat = tensor.reshape(-1)
    if not flat.numel():
        return Moments(name, shape, None, None, None, None, None, 0, 0)
    blocks = flat.split(BLOCK)
    zeros = 1 - sum(int(torch.count_nonzero(_wide(block))) for block in blocks) / flat.numel()
    nan, inf = (sum(int(kind(_wide(block)).sum()) for block in blocks) for kind in (torch.isnan, torch.isinf))
    count, total, low, high = 0, 0.0, math.inf, -math.inf
    for kept in map(_finite, blocks):
        if kept.numel():
            count, total = count + kept.numel(), total + float(kept.sum())
            low, high = min(low, float(kept.min())), max(high, float(kept.max()))
    if not count:
        return Moments(name, shape, None, None, None, None, zeros, nan, inf)
    mean = total / count
    spread = math.sqrt(sum(float(torch.square(_finite(block) - mean).sum()) for block in blocks) / count)
    return Moments(name, shape, low, high, mean, spread, zeros, nan, inf)


def _wide(block: torch.Tensor) -> torch.Tensor:
    """The elements in float64, in which every integer up to 2**53 is itself; magnitudes of complex ones."""
    return (block.abs() if block.is_complex() else block).double()


def _finite(block: torch.Tensor) -> torch.Tensor:
    wide = _wide(block)
    return wide[torch.isfinite(wide)]
