"""Which map holds most of a layer's variation? The first principal component over places, its sign fixed."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["principal_map"]


def principal_map(values: Tensor) -> Tensor:
    """(n, c, h, w) → (n, h, w): projection of every place on the first right singular vector of (h·w, c).

    Channels are centred over places. The singular vector's sign is arbitrary; it is chosen so that the
    projection agrees with the mean over channels. The decomposition is of the smaller Gram matrix.
    """
    rows, _, height, width = values.shape
    places = values.flatten(2).transpose(1, 2)
    centred = places - places.mean(1, keepdim=True)
    if centred.shape[1] <= centred.shape[2]:
        powers, vectors = torch.linalg.eigh(centred @ centred.transpose(1, 2))
        found = vectors[..., -1] * powers[..., -1:].clamp(min=0).sqrt()  # u·s is the projection
    else:
        _, vectors = torch.linalg.eigh(centred.transpose(1, 2) @ centred)
        found = (centred @ vectors[..., -1:])[..., 0]
    sign = torch.sign((found * centred.mean(2)).sum(1, keepdim=True))
    return (found * torch.where(sign == 0, 1, sign)).reshape(rows, height, width)
