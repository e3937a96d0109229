"""Where do sliding windows lie? Pads, output sizes and strides of convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  the name everybody knows
from torch import Tensor

__all__ = ["Geometry", "convolution", "padded", "pool"]


class Geometry:
    """Windows over the spatial axes: all lists have one entry a spatial axis.

    `ends` is the padding that the file asks for; `fill` is the one that makes the last window fit exactly
    (longer with ceil_mode, shorter or negative where the last elements are not covered).
    """

    __slots__ = ("begins", "dilations", "ends", "fill", "kernel", "outs", "strides")

    def __init__(
        self,
        sizes: Sequence[int],
        kernel: Sequence[int],
        strides: Sequence[int] | None,
        dilations: Sequence[int] | None,
        pads: Sequence[int] | None,
        auto_pad: str,
        ceil: bool = False,
    ) -> None:
        rank = len(sizes)
        self.kernel = list(kernel)
        self.strides = list(strides or [1] * rank)
        self.dilations = list(dilations or [1] * rank)
        if len(self.kernel) != rank or len(self.strides) != rank or len(self.dilations) != rank:
            raise ValueError(f"kernel, strides and dilations need {rank} numbers, one a spatial axis")
        spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        self.begins, self.ends = _pads(auto_pad, pads, sizes, spans, self.strides)
        self.outs: list[int] = []
        self.fill: list[int] = []
        for size, span, stride, begin, end in zip(
            sizes, spans, self.strides, self.begins, self.ends, strict=True
        ):
            out = _windows(size, span, stride, begin, end, ceil)
            self.outs.append(out)
            self.fill.append((out - 1) * stride + span - size - begin)

    @property
    def symmetric(self) -> bool:
        """Whether torch's own one-number padding says the same."""
        return self.begins == self.ends and min(self.begins, default=0) >= 0


def _pads(
    auto_pad: str,
    pads: Sequence[int] | None,
    sizes: Sequence[int],
    spans: Sequence[int],
    strides: Sequence[int],
) -> tuple[list[int], list[int]]:
    rank = len(sizes)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        begins: list[int] = []
        ends: list[int] = []
        for size, span, stride in zip(sizes, spans, strides, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + span - size)
            small = total // 2
            begins.append(small if auto_pad == "SAME_UPPER" else total - small)
            ends.append(total - begins[-1])
        return begins, ends
    if auto_pad == "VALID" or pads is None:
        return [0] * rank, [0] * rank
    if len(pads) != 2 * rank:
        raise ValueError(f"pads has {len(pads)} numbers, {rank} spatial axes need {2 * rank}")
    return list(pads[:rank]), list(pads[rank:])


def _windows(size: int, span: int, stride: int, begin: int, end: int, ceil: bool) -> int:
    room = size + begin + end - span
    out = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (out - 1) * stride >= size + begin:
        out -= 1  # the last window has to start inside the input or its left padding
    return out


def padded(x: Tensor, begins: Sequence[int], ends: Sequence[int], value: float = 0.0) -> Tensor:
    """The spatial axes padded, or cropped where negative; torch wants the last axis first."""
    if not any(begins) and not any(ends):
        return x
    flat: list[int] = []
    for begin, end in zip(reversed(begins), reversed(ends), strict=True):
        flat += [begin, end]
    return F.pad(x, flat, value=value)


CONVOLUTIONS = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}


def convolution(x: Tensor, w: Tensor, b: Tensor | None, geometry: Geometry, group: int) -> Tensor:
    """The convolution whose windows the geometry describes."""
    rank = x.ndim - 2
    if rank not in CONVOLUTIONS:
        raise NotImplementedError(f"a convolution over {rank} spatial axes (torch has 1 to 3)")
    pads = geometry.begins
    if not geometry.symmetric:
        x, pads = padded(x, geometry.begins, geometry.ends), [0] * rank
    return CONVOLUTIONS[rank](x, w, b, geometry.strides, pads, geometry.dilations, group)


def pool(x: Tensor, geometry: Geometry) -> Tensor:
    """The sum over each window, zeros around the input."""
    channels = x.shape[1]
    ones = torch.ones((channels, 1, *geometry.kernel), dtype=x.dtype, device=x.device)
    exact = padded(x, geometry.begins, geometry.fill)
    rank = x.ndim - 2
    if rank not in CONVOLUTIONS:
        raise NotImplementedError(f"windows over {rank} spatial axes (1 to 3 are known)")
    return CONVOLUTIONS[rank](exact, ones, None, geometry.strides, 0, geometry.dilations, channels)
