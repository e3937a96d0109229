"""Where is a map above a limit once it is enlarged to the picture? Computed around its active cells alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Gaps", "count_active", "enlarged", "gaps_above"]

Array = np.ndarray[Any, np.dtype[Any]]
Indices = npt.NDArray[np.intp]

PIXELS_AT_ONCE = 2**20
"""Interpolated pixels that are held together."""


@dataclass(frozen=True)
class _Axis:
    """How `cells` are drawn out to pixels: pixel p lies between `low[p]` and `high[p]`, at `weight[p]`.

    There are cells + 1 gaps: before the first cell, between two, behind the last. `pixels` (gaps, most) are
    the pixels in each, `weights` their places, `real` which of the list are not padding.
    """

    low: Indices
    high: Indices
    weight: npt.NDArray[np.float32]
    pixels: Indices
    weights: npt.NDArray[np.float32]
    real: npt.NDArray[np.bool_]


@lru_cache(maxsize=64)
def _axis(cells: int, pixels: int) -> _Axis:
    middle = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    gap = np.minimum(np.floor(middle).astype(np.intp) + 1, cells)
    low, high = np.maximum(gap - 1, 0), np.minimum(gap, cells - 1)
    weight = (np.maximum(middle, 0) - low).astype(np.float32)
    counts = np.bincount(gap, minlength=cells + 1)
    starts = np.cumsum(counts) - counts
    real = np.arange(counts.max()) < counts[:, None]
    inside = np.where(real, starts[:, None] + np.arange(counts.max()), 0)
    return _Axis(low, high, weight, inside, weight[inside], real)


def enlarged(maps: Array, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Maps (units, h, w) at a size (units, *size), bilinearly, with the middles of corner pixels aligned
    as `align_corners=False` has it. A value between two equal ones is that value exactly.
    """
    down, along = _axis(maps.shape[1], size[0]), _axis(maps.shape[2], size[1])
    values = maps.astype(np.float32, copy=False)
    wide = _between(values[:, :, along.low], values[:, :, along.high], along.weight)
    return _between(wide[:, down.low], wide[:, down.high], down.weight[:, None])


@dataclass(frozen=True)
class Gaps:
    """Places between four cells of maps of `shape` (units, h, w), by `index` in (units, h + 1, w + 1), with
    the values of those cells, `corners` (4, gaps): above left, above right, below left, below right.
    """

    shape: tuple[int, int, int]
    index: Indices
    corners: npt.NDArray[np.float32]


def gaps_above(maps: Array, limits: Array) -> Gaps:
    """The gaps of maps (units, h, w) in which a value can be above the unit's limit (units,): a value lies
    between those of the four cells around it, and cannot be above where none of them is.
    """
    units, height, width = maps.shape
    values = np.ascontiguousarray(maps, np.float32)
    cells = np.flatnonzero(values > limits[:, None, None])
    unit, place = np.divmod(cells, height * width)
    first = unit * ((height + 1) * (width + 1)) + place + place // width  # the gap before the cell
    near = np.zeros(units * (height + 1) * (width + 1), np.bool_)
    for behind in (0, 1, width + 1, width + 2):
        near[first + behind] = True
    index = np.flatnonzero(near)
    unit, row, column = _parted(index, maps.shape)
    down = [(unit * height + (row + side).clip(0, height - 1)) * width for side in (-1, 0)]
    along = [(column + side).clip(0, width - 1) for side in (-1, 0)]
    return Gaps((units, height, width), index, np.stack([values.take(i + j) for i in down for j in along]))


def count_active(gaps: Gaps, limits: Array, kinds: Array, count: int) -> npt.NDArray[np.int64]:
    """How many pixels of every kind are above the unit's limit (units,), as (units, count).

    The maps are enlarged to the size of `kinds`, which has a number below `count` for every pixel; what is
    computed are values of `enlarged` bit for bit. No limit may be below that by which the gaps were chosen.
    """
    units, height, width = gaps.shape
    down, along = _axis(height, kinds.shape[0]), _axis(width, kinds.shape[1])
    inside = _pixels(gaps.shape[1:], (kinds.shape[0], kinds.shape[1]))
    blocks = np.append(kinds.ravel(), count).astype(np.min_scalar_type(count)).take(inside)
    sums = np.zeros(units * (count + 1), np.int64)
    left = np.flatnonzero(gaps.corners.max(0) > limits[gaps.index // ((height + 1) * (width + 1))])
    step = max(1, PIXELS_AT_ONCE // blocks[0, 0].size)
    for start in range(0, len(left), step):
        some = left[start : start + step]
        u, i, j = _parted(gaps.index[some], gaps.shape)
        corners, across = gaps.corners[:, some, None], along.weights[j]
        upper, lower = _between(corners[0], corners[1], across), _between(corners[2], corners[3], across)
        found = _between(upper[:, None], lower[:, None], down.weights[i][:, :, None])
        active = found > limits[u][:, None, None]
        key = np.repeat(u * (count + 1), active.sum((1, 2)))
        key += blocks[i, j][active]
        sums += np.bincount(key, minlength=len(sums))
    return sums.reshape(units, count + 1)[:, :count]


def _parted(index: Indices, shape: tuple[int, ...]) -> tuple[Indices, Indices, Indices]:
    """Unit, row and column of gaps."""
    unit, place = np.divmod(index, (shape[1] + 1) * (shape[2] + 1))
    return unit, *np.divmod(place, shape[2] + 1)


@lru_cache(maxsize=8)
def _pixels(cells: tuple[int, int], size: tuple[int, int]) -> Indices:
    """Flat pixels in every gap, (gaps down, gaps along, most down, most along), padded with their count."""
    down, along = _axis(cells[0], size[0]), _axis(cells[1], size[1])
    inside = down.pixels[:, None, :, None] * size[1] + along.pixels[None, :, None, :]
    return np.where(down.real[:, None, :, None] & along.real[None, :, None, :], inside, size[0] * size[1])


def _between(first: Array, second: Array, weight: Array) -> npt.NDArray[np.float32]:
    return first + weight * (second - first)
