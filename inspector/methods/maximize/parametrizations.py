"""How is a picture written down while it is optimised? Pixels, a spectrum, a small net, or phases alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.errors import UnknownName
from inspector.methods.maximize.colors import correlate
from inspector.methods.maximize.transforms import MACO, STANDARD, Transform

__all__ = [
    "Parametrization",
    "fourier_frequencies",
    "fourier_scale",
    "known_parametrizations",
    "natural_magnitudes",
    "parametrization",
]

PIXEL_SPREAD = 0.01
FOURIER_SPREAD = 0.01
FOURIER_DIVISOR = 4
CPPN_WIDTH, CPPN_LAYERS = 24, 8
CPPN_LINEAR, CPPN_SQUARE = 0.67, 0.6
CPPN_REACH = math.sqrt(3)
NATURAL_SLOPES = (1.48, 1.34, 1.10)
NATURAL_STRENGTHS = (0.59, 0.76, 1.0)
"""Mean magnitudes of photographs fall as strength · frequency ^ -slope in each decorrelated colour; fitted
to log-odds of the pixels of four (a cat, a cup, a rocket at night, an astronaut) between 2 cycles a picture
and 0.35 a pixel."""


@dataclass(frozen=True)
class Canvas:
    """What a parametrisation starts from: rows, height, width, random numbers, type and device."""

    rows: int
    height: int
    width: int
    generator: torch.Generator
    like: Tensor
    start: Tensor | None = None

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers; drawn on the CPU so that every device starts alike."""
        return torch.randn(shape, generator=self.generator).to(self.like)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers of 0 … 1."""
        return torch.rand(shape, generator=self.generator).to(self.like)


@dataclass(frozen=True)
class Parametrization:
    """Leaves to optimise and the pictures (n, 3, h, w) of 0 … 1 that they stand for.

    `rate` is a good step of Adam, `transforms` what the picture is put through by default.
    """

    leaves: tuple[Tensor, ...]
    picture: Callable[[], Tensor]
    rate: float = 0.05
    transforms: tuple[Transform, ...] = STANDARD


Maker = Callable[[Canvas], Parametrization]
_KNOWN: dict[str, Maker] = {}


def known_parametrizations() -> Mapping[str, Maker]:
    """Makers by name."""
    return dict(_KNOWN)


def parametrization(name: str, canvas: Canvas) -> Parametrization:
    """A fresh parametrisation by name.

    Raises:
        UnknownName: none is called so.
    """
    if name not in _KNOWN:
        raise UnknownName.among("parametrization", name, _KNOWN)
    return _KNOWN[name](canvas)


def _register(name: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        _KNOWN[name] = maker
        return maker

    return keep


def fourier_frequencies(height: int, width: int) -> Tensor:
    """Cycles per pixel of every coefficient of a real transform, (h, w // 2 + 1) float64."""
    down = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    along = torch.fft.rfftfreq(width, dtype=torch.float64)[None]
    return (down.square() + along.square()).sqrt()


def fourier_scale(height: int, width: int) -> Tensor:
    """1 / max(f, 1 / max(h, w)): natural pictures have amplitudes that fall with the frequency."""
    return 1 / fourier_frequencies(height, width).clamp(min=1 / max(height, width))


def natural_magnitudes(height: int, width: int) -> Tensor:
    """Magnitudes of natural pictures up to a factor, (3, h, w // 2 + 1), in decorrelated colours."""
    reach = fourier_scale(height, width)
    return torch.stack([k * reach**slope for k, slope in zip(NATURAL_STRENGTHS, NATURAL_SLOPES, strict=True)])


@_register("pixel")
def pixel(canvas: Canvas) -> Parametrization:
    """Decorrelated colours of every pixel; from a start picture the pixels themselves, not limited."""
    if canvas.start is not None:
        shape = (canvas.rows, 3, canvas.height, canvas.width)
        leaf = canvas.start.to(canvas.like).expand(shape).clone().requires_grad_()
        return Parametrization((leaf,), lambda: leaf, rate=0.01)
    noise = canvas.normal(canvas.rows, 3, canvas.height, canvas.width)
    leaf = (PIXEL_SPREAD * noise).requires_grad_()
    return Parametrization((leaf,), lambda: correlate(leaf).sigmoid())


@_register("fourier")
def fourier(canvas: Canvas) -> Parametrization:
    """Coefficients of a real Fourier transform, weighted as in natural pictures, in decorrelated colours."""
    height, width = canvas.height, canvas.width
    scale = fourier_scale(height, width).to(canvas.like)
    noise = canvas.normal(canvas.rows, 3, height, width // 2 + 1, 2)
    leaf = (FOURIER_SPREAD * noise).requires_grad_()
    ground = None if canvas.start is None else canvas.start.to(canvas.like).clamp(0.01, 0.99).logit()

    def picture() -> Tensor:
        spectrum = torch.view_as_complex(leaf) * scale
        plane = torch.fft.irfft2(spectrum, s=(height, width), norm="ortho") / FOURIER_DIVISOR
        coloured = correlate(plane)
        return (coloured if ground is None else coloured + ground).sigmoid()

    return Parametrization((leaf,), picture)


@_register("cppn")
def cppn(canvas: Canvas) -> Parametrization:
    """A small net from coordinates to colours (Stanley 2007): smooth shapes that scale to any size."""
    across = torch.linspace(-CPPN_REACH, CPPN_REACH, canvas.width)
    down = torch.linspace(-CPPN_REACH, CPPN_REACH, canvas.height)
    grid = torch.stack(torch.meshgrid(across, down, indexing="xy"))[None].to(canvas.like)
    widths = [2] + [2 * CPPN_WIDTH] * (CPPN_LAYERS - 1)
    leaves: list[Tensor] = []
    for before in widths:
        spread = math.sqrt(1 / before)
        leaves.append(spread * canvas.normal(canvas.rows, CPPN_WIDTH, before))
        leaves.append(torch.zeros_like(leaves[-1][..., 0]))
    leaves.append(torch.zeros((canvas.rows, 3, 2 * CPPN_WIDTH)).to(canvas.like))
    leaves.append(torch.zeros((canvas.rows, 3)).to(canvas.like))
    for leaf in leaves:
        leaf.requires_grad_()

    def picture() -> Tensor:
        x = grid.expand(canvas.rows, -1, -1, -1)
        for weight, bias in zip(leaves[:-2:2], leaves[1:-2:2], strict=True):
            angle = (torch.einsum("noi,nihw->nohw", weight, x) + bias[..., None, None]).atan()
            x = torch.cat([angle / CPPN_LINEAR, angle.square() / CPPN_SQUARE], 1)
        return (torch.einsum("noi,nihw->nohw", leaves[-2], x) + leaves[-1][..., None, None]).sigmoid()

    return Parametrization(tuple(leaves), picture, rate=0.005)


@_register("maco")
def maco(canvas: Canvas) -> Parametrization:
    """Phases alone, the magnitudes held at those of natural pictures (Fel 2023, MaCo).

    The published method takes the mean magnitudes of ImageNet, here they are a fit to a few photographs.
    Seen through random crops with noise.
    """
    height, width = canvas.height, canvas.width
    magnitude = natural_magnitudes(height, width).to(canvas.like)
    turn = 2 * math.pi * canvas.uniform(canvas.rows, 3, height, width // 2 + 1)
    leaf = (turn - math.pi).requires_grad_()

    def picture() -> Tensor:
        plane = torch.fft.irfft2(
            torch.polar(magnitude.expand_as(leaf), leaf), s=(height, width), norm="ortho"
        )
        mean = plane.mean((1, 2, 3), keepdim=True)
        spread = plane.std((1, 2, 3), keepdim=True)
        return correlate((plane - mean) / spread).sigmoid()

    return Parametrization((leaf,), picture, rate=0.1, transforms=MACO)
