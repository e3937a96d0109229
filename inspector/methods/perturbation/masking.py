"""What stands where a part of the input is hidden? Baseline values, and the names of what may be hidden."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from inspector.errors import BadInput

__all__ = ["Baseline", "baseline_of"]

Baseline = Literal["zero", "mean"]


def baseline_of(x: Tensor, kind: str) -> Tensor:
    """Zeros, or the mean of every channel over its places, the shape of x.

    Raises:
        BadInput: another word.
    """
    if kind == "zero":
        return torch.zeros_like(x)
    if kind != "mean":
        raise BadInput(f"baseline {kind!r}: expected zero or mean.")
    if not x.is_floating_point():
        raise BadInput("baseline mean: the input holds whole numbers; use zero.")
    axes = tuple(range(2, x.ndim)) if x.ndim > 2 else (1,)
    return x.mean(axes, keepdim=True).expand_as(x).clone()
