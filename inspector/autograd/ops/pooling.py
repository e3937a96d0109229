"""Pooling: the largest, the mean or the norm of each window or region."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name everybody knows
from torch import Tensor

from inspector.autograd.registry import Context, operator
from inspector.autograd.windows import Geometry, padded, pool

__all__: list[str] = []

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@operator("MaxPool", since=1)
def max_pool_1(
    x: Tensor,
    *,
    auto_pad: str,
    kernel_shape: list[int],
    pads: list[int] | None,
    strides: list[int] | None,
    context: Context,
) -> Tensor | tuple[Tensor, Tensor]:
    geometry = Geometry(x.shape[2:], kernel_shape, strides, None, pads, auto_pad)
    return _max_pool(x, geometry, False, 0)


@operator("MaxPool", since=8)
def max_pool_8(
    x: Tensor,
    *,
    auto_pad: str,
    kernel_shape: list[int],
    pads: list[int] | None,
    storage_order: int,
    strides: list[int] | None,
    context: Context,
) -> Tensor | tuple[Tensor, Tensor]:
    geometry = Geometry(x.shape[2:], kernel_shape, strides, None, pads, auto_pad)
    return _max_pool(x, geometry, _wanted(context, 1), storage_order)


@operator("MaxPool", since=10)
@operator("MaxPool", since=12)
@operator("MaxPool", since=22)
def max_pool(
    x: Tensor,
    *,
    auto_pad: str,
    ceil_mode: int,
    dilations: list[int] | None,
    kernel_shape: list[int],
    pads: list[int] | None,
    storage_order: int,
    strides: list[int] | None,
    context: Context,
) -> Tensor | tuple[Tensor, Tensor]:
    geometry = Geometry(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, bool(ceil_mode))
    return _max_pool(x, geometry, _wanted(context, 1), storage_order)


def _wanted(context: Context, position: int) -> bool:
    return len(context.outputs) > position and bool(context.outputs[position])


def _max_pool(x: Tensor, g: Geometry, indices: bool, storage_order: int) -> Tensor | tuple[Tensor, Tensor]:
    rank, dtype = x.ndim - 2, x.dtype
    if rank not in MAX:
        raise NotImplementedError(f"MaxPool over {rank} spatial axes (1 to 3 are known)")
    sizes = x.shape[2:]
    work = x if dtype.is_floating_point else x.to(torch.float32 if dtype.itemsize == 1 else torch.float64)
    pads = g.begins
    plain = g.symmetric and all(2 * p <= k for p, k in zip(pads, g.kernel, strict=True)) and _floor_fits(g)
    if not plain:
        work, pads = padded(work, g.begins, g.fill, -math.inf), [0] * rank
    found: Any = MAX[rank](work, g.kernel, g.strides, pads, g.dilations, False, indices)
    if not indices:
        return found.to(dtype)
    values, places = found
    return values.to(dtype), _flat_places(places, sizes, work.shape[2:], g, plain, storage_order)


def _floor_fits(g: Geometry) -> bool:
    return all(fill <= end for fill, end in zip(g.fill, g.ends, strict=True))


def _flat_places(
    places: Tensor, sizes: torch.Size, work: torch.Size, g: Geometry, plain: bool, storage_order: int
) -> Tensor:
    """Positions in one plane of the (padded) input -> positions in the whole flat input."""
    coordinates: list[Tensor] = []
    rest = places
    for size in reversed(sizes if plain else work):
        coordinates.insert(0, rest % size)
        rest = rest // size
    if not plain:
        coordinates = [c - b for c, b in zip(coordinates, g.begins, strict=True)]
    order = range(len(sizes)) if storage_order == 0 else range(len(sizes) - 1, -1, -1)
    flat = torch.zeros_like(places)
    for axis in order:
        flat = flat * sizes[axis] + coordinates[axis]
    planes = torch.arange(places.shape[0] * places.shape[1], device=places.device)
    return flat + planes.reshape(*places.shape[:2], *([1] * len(sizes))) * math.prod(sizes)


@operator("MaxUnpool", since=9, host=(2,))
@operator("MaxUnpool", since=11, host=(2,))
@operator("MaxUnpool", since=22, host=(2,))
def max_unpool(
    x: Tensor,
    indices: Tensor,
    output_shape: Tensor | None = None,
    *,
    kernel_shape: list[int],
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    rank = x.ndim - 2
    steps, around = strides or [1] * rank, pads or [0] * 2 * rank
    sizes = [
        (n - 1) * s + k - around[i] - around[i + rank]
        for i, (n, s, k) in enumerate(zip(x.shape[2:], steps, kernel_shape, strict=True))
    ]
    shape = [*x.shape[:2], *sizes]
    flat = torch.zeros(math.prod(shape), dtype=x.dtype, device=x.device)
    y = flat.scatter(0, indices.reshape(-1), x.reshape(-1)).reshape(shape)
    if output_shape is None:
        return y
    wanted = output_shape.tolist()[2:]
    return padded(y, [0] * rank, [w - n for w, n in zip(wanted, sizes, strict=True)])


@operator("AveragePool", since=1)
def average_pool_1(
    x: Tensor, *, auto_pad: str, kernel_shape: list[int], pads: list[int] | None, strides: list[int] | None
) -> Tensor:
    return _average(x, Geometry(x.shape[2:], kernel_shape, strides, None, pads, auto_pad), 0)


@operator("AveragePool", since=7)
def average_pool_7(
    x: Tensor,
    *,
    auto_pad: str,
    count_include_pad: int,
    kernel_shape: list[int],
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    return _average(x, Geometry(x.shape[2:], kernel_shape, strides, None, pads, auto_pad), count_include_pad)


@operator("AveragePool", since=10)
@operator("AveragePool", since=11)
def average_pool_10(
    x: Tensor,
    *,
    auto_pad: str,
    ceil_mode: int,
    count_include_pad: int,
    kernel_shape: list[int],
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    geometry = Geometry(x.shape[2:], kernel_shape, strides, None, pads, auto_pad, bool(ceil_mode))
    return _average(x, geometry, count_include_pad)


@operator("AveragePool", since=19)
@operator("AveragePool", since=22)
def average_pool(
    x: Tensor,
    *,
    auto_pad: str,
    ceil_mode: int,
    count_include_pad: int,
    dilations: list[int] | None,
    kernel_shape: list[int],
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    geometry = Geometry(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, bool(ceil_mode))
    return _average(x, geometry, count_include_pad)


def _average(x: Tensor, g: Geometry, count_include_pad: int) -> Tensor:
    rank = x.ndim - 2
    if rank in AVERAGE and not any(g.begins) and not any(g.ends) and max(g.dilations) == 1 and _floor_fits(g):
        return AVERAGE[rank](x, g.kernel, g.strides)
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    if count_include_pad:
        # explicit padding counts, the overhang that ceil_mode adds does not
        ones = padded(ones, g.begins, g.ends, 1.0)
        inner = Geometry(x.shape[2:], g.kernel, g.strides, g.dilations, None, "NOTSET")
        inner.begins, inner.fill = [0] * rank, [f - e for f, e in zip(g.fill, g.ends, strict=True)]
        return pool(x, g) / pool(ones, inner)
    return pool(x, g) / pool(ones, g)


@operator("LpPool", since=1)
@operator("LpPool", since=2)
@operator("LpPool", since=11)
def lp_pool_1(
    x: Tensor,
    *,
    auto_pad: str,
    kernel_shape: list[int],
    p: float,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    return _lp(x, Geometry(x.shape[2:], kernel_shape, strides, None, pads, auto_pad), p)


@operator("LpPool", since=18)
@operator("LpPool", since=22)
def lp_pool(
    x: Tensor,
    *,
    auto_pad: str,
    ceil_mode: int,
    dilations: list[int] | None,
    kernel_shape: list[int],
    p: int,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Tensor:
    return _lp(x, Geometry(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, bool(ceil_mode)), p)


def _lp(x: Tensor, g: Geometry, p: float) -> Tensor:
    return _root(pool(x.abs() ** p, g), p)


def _root(total: Tensor, p: float) -> Tensor:
    """The p-th root; its slope at 0, which is infinite, is taken as 0."""
    if p == 1:
        return total
    zero = total <= 0
    return torch.where(
        zero, torch.zeros_like(total), torch.where(zero, torch.ones_like(total), total) ** (1 / p)
    )


@operator("GlobalAveragePool", since=1)
@operator("GlobalAveragePool", since=22)
def global_average_pool(x: Tensor) -> Tensor:
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool", since=1)
@operator("GlobalMaxPool", since=22)
def global_max_pool(x: Tensor) -> Tensor:
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalLpPool", since=1)
@operator("GlobalLpPool", since=2)
@operator("GlobalLpPool", since=22)
def global_lp_pool(x: Tensor, *, p: float) -> Tensor:
    return _root((x.abs() ** p).sum(tuple(range(2, x.ndim)), keepdim=True), p)
