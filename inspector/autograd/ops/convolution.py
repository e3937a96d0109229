"""Convolutions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inspector.autograd.registry import operator
from inspector.autograd.windows import Geometry, convolution, padded

__all__: list[str] = []

TRANSPOSED = {1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d}


@operator("Conv", since=1)
@operator("Conv", since=11)
@operator("Conv", since=22)
def conv(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    auto_pad: str,
    dilations: list[int] | None,
    group: int,
    kernel_shape: list[int] | None,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    geometry = Geometry(x.shape[2:], kernel_shape or w.shape[2:], strides, dilations, pads, auto_pad)
    return convolution(x, w, b, geometry, group)


@operator("ConvTranspose", since=1)
@operator("ConvTranspose", since=11)
@operator("ConvTranspose", since=22)
def conv_transpose(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    auto_pad: str,
    dilations: list[int] | None,
    group: int,
    kernel_shape: list[int] | None,
    output_padding: list[int] | None,
    output_shape: list[int] | None,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    rank = x.ndim - 2
    steps = strides or [1] * rank
    spread = dilations or [1] * rank
    extra = output_padding or [0] * rank
    spans = [(k - 1) * d + 1 for k, d in zip(kernel_shape or w.shape[2:], spread, strict=True)]
    full = [(n - 1) * s + span for n, s, span in zip(x.shape[2:], steps, spans, strict=True)]
    wanted = output_shape[-rank:] if output_shape else None
    if wanted is None and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(x.shape[2:], steps, strict=True)]
    if wanted is None:
        listed = pads or [0] * 2 * rank
        begins, ends = list(listed[:rank]), [e - o for e, o in zip(listed[rank:], extra, strict=True)]
    else:
        begins, ends = _cropped(full, wanted, extra, auto_pad)
    if begins == ends and min(begins) >= 0:
        return TRANSPOSED[rank](x, w, b, steps, begins, [0] * rank, group, spread)
    y = TRANSPOSED[rank](x, w, None, steps, [0] * rank, [0] * rank, group, spread)
    y = padded(y, [-n for n in begins], [-n for n in ends])
    return y if b is None else y + b.reshape(-1, *([1] * rank))


def _cropped(
    full: list[int], wanted: list[int], extra: list[int], auto_pad: str
) -> tuple[list[int], list[int]]:
    """How much to cut off each side so that the wanted size is left (output_padding lengthens the end)."""
    begins: list[int] = []
    ends: list[int] = []
    for have, want, more in zip(full, wanted, extra, strict=True):
        total = max(have + more - want, 0)  # nothing is put in front of the first element
        half = total // 2
        begins.append(half if auto_pad == "SAME_UPPER" else total - half)
        ends.append(have - want - begins[-1])
    return begins, ends


@operator("DeformConv", since=19)
@operator("DeformConv", since=22)
def deform_conv(
    x: Tensor,
    w: Tensor,
    offset: Tensor,
    b: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    dilations: list[int] | None,
    group: int,
    kernel_shape: list[int] | None,
    offset_group: int,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    if x.ndim != 4:
        raise NotImplementedError(f"a deformable convolution over {x.ndim - 2} spatial axes")
    geometry = Geometry(x.shape[2:], kernel_shape or w.shape[2:], strides, dilations, pads, "NOTSET")
    n, channels = x.shape[:2]
    (kh, kw), (oh, ow) = geometry.kernel, geometry.outs
    shifts = offset.reshape(n, offset_group, kh * kw, 2, oh, ow)
    rows = _grid(geometry, 0).reshape(kh, 1, oh, 1).expand(kh, kw, oh, ow).reshape(kh * kw, oh, ow)
    columns = _grid(geometry, 1).reshape(1, kw, 1, ow).expand(kh, kw, oh, ow).reshape(kh * kw, oh, ow)
    y = shifts[:, :, :, 0] + rows.to(x)
    z = shifts[:, :, :, 1] + columns.to(x)
    groups = x.reshape(n, offset_group, channels // offset_group, *x.shape[2:])
    sampled = _bilinear(groups, y, z)
    if mask is not None:
        sampled = sampled * mask.reshape(n, offset_group, 1, kh * kw, oh, ow)
    sampled = sampled.reshape(n, group, channels // group, kh * kw, oh, ow)
    kernels = w.reshape(group, w.shape[0] // group, w.shape[1], kh * kw)
    out = torch.einsum("ngckhw,gock->ngohw", sampled, kernels).reshape(n, -1, oh, ow)
    return out if b is None else out + b.reshape(-1, 1, 1)


def _grid(geometry: Geometry, axis: int) -> Tensor:
    """Input coordinates (kernel position, output position) along one axis."""
    taps = torch.arange(geometry.kernel[axis]) * geometry.dilations[axis] - geometry.begins[axis]
    starts = torch.arange(geometry.outs[axis]) * geometry.strides[axis]
    return taps[:, None] + starts


def _bilinear(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """(n, g, c, H, W) at rows y and columns z (n, g, k, h, w) -> (n, g, c, k, h, w); zero outside."""
    height, width = x.shape[-2:]
    flat = x.flatten(-2)
    y0, z0 = torch.floor(y.detach()), torch.floor(z.detach())
    total: Tensor | None = None
    down, right = y - y0, z - z0
    corners = (
        (y0, z0, (1 - down) * (1 - right)),
        (y0, z0 + 1, (1 - down) * right),
        (y0 + 1, z0, down * (1 - right)),
        (y0 + 1, z0 + 1, down * right),
    )
    for row, column, weight in corners:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
        index = index.flatten(2)[:, :, None].expand(-1, -1, x.shape[2], -1)
        values = torch.gather(flat, 3, index).reshape(*x.shape[:3], *y.shape[2:])
        part = values * torch.where(inside, weight, torch.zeros_like(weight))[:, :, None]
        total = part if total is None else total + part
    assert total is not None
    return total


@operator("Col2Im", since=18, host=(1, 2))
def col2im(
    x: Tensor,
    image_shape: Tensor,
    block_shape: Tensor,
    *,
    dilations: list[int] | None,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    sizes, block = image_shape.tolist(), block_shape.tolist()
    geometry = Geometry(sizes, block, strides, dilations, pads, "NOTSET")
    around = [n + b + e for n, b, e in zip(sizes, geometry.begins, geometry.ends, strict=True)]
    index = torch.zeros((1, 1), dtype=torch.int64)
    for axis, length in enumerate(around):
        taps = torch.arange(block[axis]) * geometry.dilations[axis]
        places = taps[:, None] + torch.arange(geometry.outs[axis]) * geometry.strides[axis]
        index = index[:, None, :, None] * length + places[None, :, None, :]
        index = index.reshape(index.shape[0] * index.shape[1], -1)
    n, columns = x.shape[0], math.prod(block)
    channels = x.shape[1] // columns
    image = torch.zeros((n, channels, math.prod(around)), dtype=x.dtype, device=x.device)
    image = image.index_add(2, index.reshape(-1).to(x.device, non_blocking=True), x.reshape(n, channels, -1))
    image = image.reshape(n, channels, *around)
    return padded(image, [-p for p in geometry.begins], [-p for p in geometry.ends])
