"""How does a value on the device become a torch tensor, and its statistics, without a copy to the host?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from inspector import dtypes
from inspector.execution.moments import Moments

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
    wide = (
        flat.float()
        if flat.dtype in (torch.float16, torch.bfloat16) or not flat.is_floating_point()
        else flat
    )
    zeros = 1 - int(torch.count_nonzero(wide)) / wide.numel()
    finite = torch.isfinite(wide)
    nan, inf = int(torch.isnan(wide).sum()), int(torch.isinf(wide).sum())
    kept = wide if not nan + inf else wide[finite]
    if not kept.numel():
        return Moments(name, shape, None, None, None, None, zeros, nan, inf)
    low, high = torch.aminmax(kept)
    mean = kept.mean(dtype=torch.float64)
    spread = torch.sqrt(torch.square(kept.double() - mean).mean())
    return Moments(name, shape, float(low), float(high), float(mean), float(spread), zeros, nan, inf)
