"""What stands where a part of the input is hidden? Baseline values, and the names of what may be hidden."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from inspector.errors import BadInput

__all__ = ["Baseline", "baseline_of", "grid_segments"]

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


def grid_segments(x: Tensor, segments: int) -> Tensor:
    """A number for every place, the shape of x[0] with one channel: pictures in about `segments` squares.

    Anything else: one number a place (or a feature), at most `segments` of neighbouring ones.
    """
    places = x.shape[2:] if x.ndim > 2 else x.shape[1:]
    if x.ndim == 4:
        height, width = places
        side = max(1.0, (height * width / segments) ** 0.5)
        rows, columns = max(1, round(height / side)), max(1, round(width / side))
        down = torch.arange(height) * rows // height
        across = torch.arange(width) * columns // width
        return (down[:, None] * columns + across[None, :])[None]
    count = int(torch.tensor(places).prod())
    parts = min(segments, count)
    numbers = (torch.arange(count) * parts // count).reshape(places)
    return numbers[None] if x.ndim > 2 else numbers
