"""Through which small changes must a picture keep its effect? Shifts, scales, turns and crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "MACO",
    "ROTATIONS",
    "SCALES",
    "STANDARD",
    "Move",
    "Transform",
    "View",
    "crop",
    "crops",
    "gathered",
    "jitter",
    "looked_at",
    "noise",
    "pad",
    "rotate",
    "scale",
]

Transform = Callable[[Tensor, torch.Generator], Tensor]

SCALES = tuple(1 + (i - 5) / 50 for i in range(11))
ROTATIONS = (*range(-10, 11), 0, 0, 0, 0, 0)
"""Degrees; zero is six times as likely as any other."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A look at a picture: `matrix` (2, 3) takes a point (x, y, 1) of it to the point that it shows.

    Points are in pixels from the corner, so that the first pixel's middle is (0.5, 0.5). Outside of the
    picture lies the grey `ground`, or its repeated edge.
    """

    size: tuple[int, int]
    matrix: Matrix
    ground: float | None = None

    @classmethod
    def whole(cls, height: int, width: int) -> View:
        """The picture as it is."""
        return cls((height, width), np.eye(2, 3))

    def after(self, matrix: Matrix, size: tuple[int, int]) -> View:
        """A look at this look."""
        square = np.vstack([matrix, [0, 0, 1]])
        return View(size, self.matrix @ square, self.ground)

    def sized(self, size: tuple[int, int]) -> View:
        """Stretched to a size."""
        rows, columns = (old / new for old, new in zip(self.size, size, strict=True))
        return self.after(np.array([[columns, 0, 0], [0, rows, 0]]), size)

    def of(self, pictures: Tensor) -> Tensor:
        """The look (n, c, *size), sampled once, bilinearly."""
        height, width = pictures.shape[-2:]
        if np.array_equal(self.matrix[:, :2], np.eye(2)) and not np.any(self.matrix[:, 2] % 1):
            left, top = (-int(offset) for offset in self.matrix[:, 2])
            frame = (left, self.size[1] - width - left, top, self.size[0] - height - top)
            return functional.pad(pictures, frame, value=self.ground or 0.0) if any(frame) else pictures
        # the same in the units of affine_grid: -1 … 1 from edge to edge
        to_pixels = np.diag([self.size[1] / 2, self.size[0] / 2, 1])
        to_pixels[:2, 2] = self.size[1] / 2, self.size[0] / 2
        matrix = np.diag([2 / width, 2 / height]) @ self.matrix @ to_pixels - [[0, 0, 1]]
        theta = torch.from_numpy(matrix).to(pictures).expand(len(pictures), 2, 3)
        grid = functional.affine_grid(theta, [len(pictures), 1, *self.size], align_corners=False)
        if self.ground is None:
            return sampled(pictures, grid, edge=True)
        return sampled(pictures - self.ground, grid, edge=False) + self.ground


@dataclass(frozen=True)
class Move:
    """A transform that only shows the picture from elsewhere, so that a chain of them is sampled once."""

    step: Callable[[View, torch.Generator], View]

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures from there."""
        return self.step(View.whole(*pictures.shape[-2:]), generator).of(pictures)


def looked_at(
    pictures: Tensor, transforms: Sequence[Transform], generator: torch.Generator, size: tuple[int, int]
) -> Tensor:
    """The pictures through the transforms, in turn, at a size; neighbouring moves are one sampling."""
    view = View.whole(*pictures.shape[-2:])
    for transform in transforms:
        if isinstance(transform, Move):
            view = transform.step(view, generator)
        else:
            pictures = transform(view.of(pictures), generator)
            view = View.whole(*pictures.shape[-2:])
    return view.sized(size).of(pictures)


def sampled(pictures: Tensor, grid: Tensor, *, edge: bool) -> Tensor:
    """Bilinear samples at a grid (n, h, w, 2) of -1 … 1; beyond lies the repeated edge, or zero."""
    if pictures.device.type != "cpu":
        return gathered(pictures, grid, edge=edge)
    padding = "border" if edge else "zeros"
    return functional.grid_sample(pictures, grid, padding_mode=padding, align_corners=False)


def gathered(pictures: Tensor, grid: Tensor, *, edge: bool) -> Tensor:
    """The same from the four neighbours: on a GPU torch's own backward adds in any order, this in one."""
    height, width = pictures.shape[-2:]
    x = (grid[..., 0] + 1) * width / 2 - 0.5
    y = (grid[..., 1] + 1) * height / 2 - 0.5
    if edge:
        x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    flat = pictures.flatten(2).movedim(1, 2)  # (n, places, c)
    rows = torch.arange(len(pictures), device=pictures.device)[:, None]
    total = torch.zeros((), device=pictures.device, dtype=pictures.dtype)
    for down in (y.floor(), y.floor() + 1):
        for along in (x.floor(), x.floor() + 1):
            weight = (1 - (y - down).abs()) * (1 - (x - along).abs())
            inside = (down >= 0) & (down < height) & (along >= 0) & (along < width)
            place = down.clamp(0, height - 1) * width + along.clamp(0, width - 1)
            found = flat[rows, place.flatten(1).long()]
            total = total + found * (weight * inside).flatten(1)[..., None]
    return total.movedim(2, 1).reshape(*pictures.shape[:2], *grid.shape[1:3])


def pad(width: int, value: float = 0.5) -> Transform:
    """A frame of one grey."""

    def frame(view: View, _: torch.Generator) -> View:
        size = (view.size[0] + 2 * width, view.size[1] + 2 * width)
        return replace(view.after(np.array([[1.0, 0, -width], [0, 1, -width]]), size), ground=value)

    return Move(frame)


def jitter(reach: int) -> Transform:
    """A window `reach` pixels smaller, anywhere."""

    def shift(view: View, generator: torch.Generator) -> View:
        top, left = torch.randint(0, reach + 1, (2,), generator=generator).tolist()
        size = (view.size[0] - reach, view.size[1] - reach)
        return view.after(np.array([[1.0, 0, left], [0, 1, top]]), size)

    return Move(shift)


def scale(factors: Sequence[float] = SCALES) -> Transform:
    """Another size, one of the factors."""

    def resize(view: View, generator: torch.Generator) -> View:
        factor = factors[int(torch.randint(len(factors), (1,), generator=generator))]
        return view.sized((max(1, round(view.size[0] * factor)), max(1, round(view.size[1] * factor))))

    return Move(resize)


def rotate(degrees: Sequence[float] = ROTATIONS) -> Transform:
    """A turn around the middle, one of the angles; corners repeat the edge where no frame lies around."""

    def turn(view: View, generator: torch.Generator) -> View:
        angle = math.radians(degrees[int(torch.randint(len(degrees), (1,), generator=generator))])
        if not angle:
            return view
        y, x = view.size[0] / 2, view.size[1] / 2
        cos, sin = math.cos(angle), math.sin(angle)
        matrix = np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])
        return view.after(matrix, view.size)

    return Move(turn)


def crop(height: int, width: int) -> Transform:
    """The middle."""

    def cut(view: View, _: torch.Generator) -> View:
        top, left = (view.size[0] - height) // 2, (view.size[1] - width) // 2
        return view.after(np.array([[1.0, 0, left], [0, 1, top]]), (height, width))

    return Move(cut)


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
        return sampled(many, grid, edge=True)

    return cut


def noise(level: float) -> Transform:
    """Gaussian noise."""
    return lambda x, generator: x + level * torch.randn(x.shape, generator=generator).to(x)


STANDARD: tuple[Transform, ...] = (pad(12), jitter(8), scale(), rotate(), jitter(4))
"""The published robustness transforms, in order."""

MACO: tuple[Transform, ...] = (crops(4, 0.5, 0.1), noise(0.08))
"""Fewer and larger windows than the 32 of a quarter that MaCo takes: what a CPU does in a minute."""
