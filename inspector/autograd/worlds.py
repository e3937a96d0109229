"""Who looks on at a run? torch.compile, torch.func, forward mode and autocast want torch's own functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["is_plain", "is_transformed"]


def is_plain(x: Tensor) -> bool:
    """Whether a function of our own may take the tensor: nobody traces, batches, pushes forward or casts."""
    return not (is_transformed() or torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type))


def is_transformed() -> bool:
    """Whether torch.func or forward mode looks on: not every fused function of torch can take part."""
    func: bool = torch._C._are_functorch_transforms_active()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    return func or forward_ad._current_level >= 0  # pyright: ignore[reportPrivateUsage]
