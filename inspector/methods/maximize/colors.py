"""How do the three colours of natural pictures go together? Decorrelated channels to RGB."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["COLOR_ROOT", "correlate", "correlation"]

COLOR_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the colours' covariance over ImageNet, as published with lucid."""


def correlation() -> Tensor:
    """The matrix (3, 3) divided by its largest column norm, float64."""
    root = torch.tensor(COLOR_ROOT, dtype=torch.float64)
    return root / root.norm(dim=0).max()


def correlate(picture: Tensor) -> Tensor:
    """(n, 3, h, w) of independent channels as RGB that is not yet limited to 0 … 1."""
    return torch.einsum("dc,nchw->ndhw", correlation().to(picture), picture)
