"""Where is a map above a limit once it is enlarged to the picture? Computed around its active cells alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["count_active", "enlarged"]

Array = np.ndarray[Any, np.dtype[Any]]
Indices = npt.NDArray[np.intp]

PIXELS_AT_ONCE = 2**20
"""Interpolated pixels that are held together."""


@dataclass(frozen=True)
class _Axis:
    """How `cells` are drawn out to pixels: pixel p lies between `low[p]` and `high[p]`, at `weight[p]`.

    There are cells + 1 gaps: before the first cell, between two, behind the last. `sides` (gaps, 2) are the
    cells around a gap, `pixels` (gaps, most) the pixels in it, `weights` their places, `real` which of the
    list are not padding.
    """

    low: Indices
    high: Indices
    weight: npt.NDArray[np.float32]
    sides: Indices
    pixels: Indices
    weights: npt.NDArray[np.float32]
    real: npt.NDArray[np.bool_]


@lru_cache(maxsize=64)
def _axis(cells: int, pixels: int) -> _Axis:
    middle = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    gap = np.minimum(np.floor(middle).astype(np.intp) + 1, cells)
    sides = np.arange(cells + 1)[:, None] + [-1, 0]
    sides = sides.clip(0, cells - 1)
    low, high = sides[gap].T
    weight = (np.maximum(middle, 0) - low).astype(np.float32)
    counts = np.bincount(gap, minlength=cells + 1)
    starts = np.cumsum(counts) - counts
    real = np.arange(counts.max()) < counts[:, None]
    inside = np.where(real, starts[:, None] + np.arange(counts.max()), 0)
    return _Axis(low, high, weight, sides, inside, weight[inside], real)


def enlarged(maps: Array, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Maps (units, h, w) at a size (units, *size), bilinearly, with the middles of corner pixels aligned
    as `align_corners=False` has it. A value between two equal ones is that value exactly.
    """
    down, along = _axis(maps.shape[1], size[0]), _axis(maps.shape[2], size[1])
    values = maps.astype(np.float32, copy=False)
    wide = _between(values[:, :, along.low], values[:, :, along.high], along.weight)
    return _between(wide[:, down.low], wide[:, down.high], down.weight[:, None])


def count_active(maps: Array, limits: Array, kinds: Array, count: int) -> npt.NDArray[np.int64]:
    """How many pixels of every kind a unit is above its limit at, (units, count).

    `maps` (units, h, w) are enlarged to the size of `kinds`, which has a number below `count` for every
    pixel; `limits` is (units,). A pixel lies between four cells and cannot be above the limit where none of
    them is, so only the pixels between such cells are computed; they are those of `enlarged` bit for bit.
    """
    units, height, width = maps.shape
    down, along = _axis(height, kinds.shape[0]), _axis(width, kinds.shape[1])
    values = np.ascontiguousarray(maps, np.float32)
    above = values > limits[:, None, None]
    near = np.zeros((units, height + 1, width + 1), np.bool_)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            near[:, rows, columns] |= above
    gaps = np.flatnonzero(near)
    blocks = _blocks(kinds, count, down, along)
    sums = np.zeros(units * (count + 1), np.int64)
    step = max(1, PIXELS_AT_ONCE // blocks[0, 0].size)
    for start in range(0, len(gaps), step):
        unit, place = np.divmod(gaps[start : start + step], (height + 1) * (width + 1))
        row, column = np.divmod(place, width + 1)
        corners = [
            values.take((unit * height + down.sides[row, i]) * width + along.sides[column, j])[:, None]
            for i in (0, 1)
            for j in (0, 1)
        ]
        across = along.weights[column]
        upper, lower = _between(corners[0], corners[1], across), _between(corners[2], corners[3], across)
        found = _between(upper[:, None], lower[:, None], down.weights[row][:, :, None])
        active = found > limits[unit][:, None, None]
        key = np.repeat(unit * (count + 1), active.sum((1, 2)))
        key += blocks[row, column][active]
        sums += np.bincount(key, minlength=len(sums))
    return sums.reshape(units, count + 1)[:, :count]


def _blocks(kinds: Array, padding: int, down: _Axis, along: _Axis) -> Array:
    """The kinds of the pixels in every gap, (gaps down, gaps along, most down, most along)."""
    rows = kinds.astype(np.min_scalar_type(padding), copy=False)[down.pixels]
    blocks = np.moveaxis(rows[:, :, along.pixels], 1, 2).copy()
    blocks[~(down.real[:, None, :, None] & along.real[None, :, None, :])] = padding
    return blocks


def _between(first: Array, second: Array, weight: Array) -> npt.NDArray[np.float32]:
    return first + weight * (second - first)
