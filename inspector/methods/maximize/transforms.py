"""Through which small changes must a picture keep its effect? Shifts, scales, turns and crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "MACO",
    "ROTATIONS",
    "SCALES",
    "STANDARD",
    "Transform",
    "crop",
    "crops",
    "jitter",
    "noise",
    "pad",
    "rotate",
    "scale",
]

Transform = Callable[[Tensor, torch.Generator], Tensor]

SCALES = tuple(1 + (i - 5) / 50 for i in range(11))
ROTATIONS = (*range(-10, 11), 0, 0, 0, 0, 0)
"""Degrees; zero is six times as likely as any other."""


def pad(width: int, value: float = 0.5) -> Transform:
    """A frame of one grey."""
    return lambda x, _: functional.pad(x, (width,) * 4, value=value)


def jitter(reach: int) -> Transform:
    """A window `reach` pixels smaller, anywhere."""

    def shift(x: Tensor, generator: torch.Generator) -> Tensor:
        top, left = torch.randint(0, reach + 1, (2,), generator=generator).tolist()
        return x[..., top : x.shape[-2] - reach + top, left : x.shape[-1] - reach + left]

    return shift


def scale(factors: Sequence[float] = SCALES) -> Transform:
    """Another size, one of the factors."""

    def resize(x: Tensor, generator: torch.Generator) -> Tensor:
        factor = factors[int(torch.randint(len(factors), (1,), generator=generator))]
        size = [max(1, round(n * factor)) for n in x.shape[-2:]]
        return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)

    return resize


def rotate(degrees: Sequence[float] = ROTATIONS) -> Transform:
    """A turn around the middle, one of the angles; corners repeat the edge."""

    def turn(x: Tensor, generator: torch.Generator) -> Tensor:
        angle = math.radians(degrees[int(torch.randint(len(degrees), (1,), generator=generator))])
        if not angle:
            return x
        height, width = x.shape[-2:]
        cos, sin = math.cos(angle), math.sin(angle)
        matrix = x.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])
        grid = functional.affine_grid(matrix.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)

    return turn


def crop(height: int, width: int) -> Transform:
    """The middle."""

    def cut(x: Tensor, _: torch.Generator) -> Tensor:
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
        return x[..., top : top + height, left : left + width]

    return cut


def crops(count: int, size: float = 0.25, spread: float = 0.1) -> Transform:
    """Several random windows of every picture, all enlarged to its size: (n, …) becomes (count · n, …)."""

    def cut(x: Tensor, generator: torch.Generator) -> Tensor:
        rows = count * len(x)
        side = (size + spread * torch.randn(rows, generator=generator)).clamp(0.05, 1.0)
        centre = 0.5 + 0.15 * torch.randn((rows, 2), generator=generator)
        centre = torch.minimum(torch.maximum(centre, side[:, None] / 2), 1 - side[:, None] / 2)
        matrix = torch.zeros((rows, 2, 3))
        matrix[:, 0, 0] = matrix[:, 1, 1] = side
        matrix[:, :, 2] = 2 * centre - 1
        many = x.repeat(count, 1, 1, 1)
        grid = functional.affine_grid(matrix.to(x), list(many.shape), align_corners=False)
        return functional.grid_sample(many, grid, padding_mode="border", align_corners=False)

    return cut


def noise(level: float) -> Transform:
    """Gaussian noise."""
    return lambda x, generator: x + level * torch.randn(x.shape, generator=generator).to(x)


STANDARD: tuple[Transform, ...] = (pad(12), jitter(8), scale(), rotate(), jitter(4))
"""The published robustness transforms, in order."""

MACO: tuple[Transform, ...] = (crops(4, 0.5, 0.1), noise(0.08))
"""Fewer and larger windows than the 32 of a quarter that MaCo takes: what a CPU does in a minute."""
