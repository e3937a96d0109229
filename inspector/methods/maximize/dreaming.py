"""What does a layer want to see more of in this picture? DeepDream with octaves, shifts and tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd import steady
from inspector.errors import BadInput, NoGradientPath
from inspector.methods.maximize.stage import Stage
from inspector.progress import track

__all__ = ["Dream", "dream"]

SMALLEST = 48
"""Pixels of the shorter side below which an octave is left out."""

TILE = 512
"""Largest side that goes through the net at once."""


@dataclass(frozen=True)
class Dream:
    """The dreamt picture (h, w, 3) and the layer's mean square in the first and last step."""

    picture: npt.NDArray[np.uint8] = field(repr=False)
    layer: str
    before: float
    after: float
    octaves: tuple[tuple[int, int], ...]
    guided: bool
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Everything but the picture."""
        return {
            "layer": self.layer, "before": self.before, "after": self.after, "guided": self.guided,
            "octaves": [list(size) for size in self.octaves], "seed": self.seed,
        }  # fmt: skip


@steady()
def dream(
    stage: Stage,
    picture: npt.NDArray[np.uint8],
    layer: str,
    *,
    octaves: int = 4,
    ratio: float = 1.4,
    steps: int = 10,
    rate: float = 1.5,
    jitter: int = 32,
    tile: int = TILE,
    guide: npt.NDArray[np.uint8] | None = None,
    seed: int = 0,
) -> Dream:
    """Exaggerate a layer in a picture (h, w, 3), from coarse to fine.

    Each step moves pixels by `rate` levels of 255 on average. A picture larger than `tile` goes through
    the net in tiles whose seams lie elsewhere in each step; a net that takes one size only gets tiles of
    that size. `guide` draws out the features of another picture instead of the layer's own.

    Raises:
        BadInput: fewer than one octave or step, or a ratio that does not grow.
        NoGradientPath: the layer does not depend differentiably on the picture, or answers with zeros alone.
    """
    if octaves < 1 or steps < 1 or ratio <= 1:
        raise BadInput(f"dream: octaves {octaves} and steps {steps} must be ≥ 1, ratio {ratio:g} > 1.")
    job = _Dreaming(stage, stage.key(layer), tile, guide)
    whole = _tensor(picture, stage)
    sizes = _sizes((picture.shape[0], picture.shape[1]), octaves, ratio)
    generator = torch.Generator().manual_seed(seed)
    detail = torch.zeros((1, 3, *sizes[0]), dtype=whole.dtype, device=whole.device)
    canvas = whole
    before = job.strength(whole)
    moments = track(range(len(sizes) * steps), f"Dreaming of {layer}", picture=lambda: _pixels(canvas))
    for size in sizes:
        base = functional.interpolate(whole, size=size, mode="bilinear", align_corners=False, antialias=True)
        canvas = base + functional.interpolate(detail, size=size, mode="bilinear", align_corners=False)
        moved = False
        for _ in zip(range(steps), moments, strict=False):
            dy, dx = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
            shifted = canvas.roll((dy, dx), (2, 3))
            gradient = job.gradient(shifted)
            moved = moved or bool(gradient.any())
            changed = shifted + rate / 255 * gradient / gradient.abs().mean().clamp(min=1e-12)
            canvas = changed.clamp(0, 1).roll((-dy, -dx), (2, 3))
        if not moved:
            raise NoGradientPath(
                f"layer {layer!r} has a gradient of zero everywhere at {size[0]}×{size[1]}: it is silent for "
                "this picture. Choose another layer or picture."
            )
        detail = canvas - base
    next(moments, None)  # tells that the last step is done
    return Dream(
        _pixels(canvas),
        layer,
        before,
        job.strength(canvas),
        tuple(sizes),
        guide is not None,
        seed,
    )


def _pixels(canvas: Tensor) -> npt.NDArray[np.uint8]:
    pixels = canvas[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).cpu().numpy()
    return np.ascontiguousarray(pixels)


class _Dreaming:
    """The layer's gradient for pictures of any size."""

    def __init__(self, stage: Stage, key: str, tile: int, guide: npt.NDArray[np.uint8] | None) -> None:
        self.stage, self.key = stage, key
        other = (stage.size[0] + 32, stage.size[1] + 32)
        self.tile = (tile, tile) if stage.takes(other, [key]) else stage.size
        self.fixed = self.tile == stage.size
        self.guide: Tensor | None = None
        if guide is not None:
            shown = functional.interpolate(
                _tensor(guide, stage), size=stage.size, mode="bilinear", antialias=True
            )
            with torch.no_grad():
                self.guide = stage.values(shown, [key])[key][0].flatten(1)

    def gradient(self, picture: Tensor) -> Tensor:
        """D objective / d picture, tile by tile."""
        height, width = picture.shape[-2:]
        if self.fixed:
            padded = _wrapped(picture, self.tile)
        else:
            padded = picture
        found = torch.zeros_like(padded)
        for top in _starts(padded.shape[-2], self.tile[0]):
            for left in _starts(padded.shape[-1], self.tile[1]):
                place = (..., slice(top, top + self.tile[0]), slice(left, left + self.tile[1]))
                found[place] = self._one(padded[place])
        return found[..., :height, :width]

    def strength(self, picture: Tensor) -> float:
        """Mean square of the layer for the whole picture at the model's size."""
        shown = functional.interpolate(picture, size=self.stage.size, mode="bilinear", antialias=True)
        with torch.no_grad():
            return float(self._objective(self.stage.values(shown, [self.key])[self.key]))

    def _one(self, part: Tensor) -> Tensor:
        leaf = part.detach().clone().requires_grad_()
        score = self._objective(self.stage.values(leaf, [self.key])[self.key])
        gradient = torch.autograd.grad(score, leaf, allow_unused=True)[0] if score.requires_grad else None
        if gradient is None:
            raise NoGradientPath(f"layer {self.key!r} has no gradient to the picture. Choose another layer.")
        return gradient

    def _objective(self, values: Tensor) -> Tensor:
        if self.guide is None:
            return values.square().mean()
        features = values.flatten(2)[0]
        best = (features.detach().T @ self.guide).argmax(1)
        return (features * self.guide[:, best]).mean()


def _tensor(picture: npt.NDArray[np.uint8], stage: Stage) -> Tensor:
    values = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    return values.to(stage.net.device, stage.net.dtype)


def _sizes(full: tuple[int, int], octaves: int, ratio: float) -> list[tuple[int, int]]:
    sizes = [
        (round(full[0] / ratio**level), round(full[1] / ratio**level)) for level in reversed(range(octaves))
    ]
    return [size for size in sizes if min(size) >= SMALLEST] or [full]


def _wrapped(picture: Tensor, tile: tuple[int, int]) -> Tensor:
    """The picture repeated to the right and below until it fills a tile."""
    for axis, side in ((2, tile[0]), (3, tile[1])):
        if picture.shape[axis] < side:
            times = -(-side // picture.shape[axis])
            picture = torch.cat([picture] * times, axis).narrow(axis, 0, side)
    return picture


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin; the last one ends with the picture, over its neighbour where it must."""
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile), length - tile]
