"""Where is a map above a limit once it is enlarged to the picture? Computed around its active cells alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["active_pixels", "enlarged"]

Array = np.ndarray[Any, np.dtype[Any]]
Indices = npt.NDArray[np.intp]

PIXELS_AT_ONCE = 2**20
"""Interpolated pixels that are held together."""


@dataclass(frozen=True)
class _Axis:
    """How `cells` are drawn out to pixels: pixel p lies between `low[p]` and `high[p]`, at `weight[p]`.

    `pixels` (cells, most) lists the pixels behind each cell, `weights` their places, `real` which of the
    list are not padding; `after` is the cell on the other side.
    """

    low: Indices
    high: Indices
    weight: npt.NDArray[np.float32]
    pixels: Indices
    weights: npt.NDArray[np.float32]
    real: npt.NDArray[np.bool_]
    after: Indices


@lru_cache(maxsize=64)
def _axis(cells: int, pixels: int) -> _Axis:
    middle = np.maximum((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0)
    low = np.minimum(middle.astype(np.intp), cells - 1)
    after = np.minimum(np.arange(cells) + 1, cells - 1)
    weight = (middle - low).astype(np.float32)
    counts = np.bincount(low, minlength=cells)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    real = np.arange(counts.max()) < counts[:, None]
    behind = np.where(real, starts[:, None] + np.arange(counts.max()), 0)
    return _Axis(low, after[low], weight, behind, weight[behind], real, after)


def enlarged(maps: Array, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Maps (units, h, w) at a size (units, *size), bilinearly, with the middles of corner pixels aligned
    as `align_corners=False` has it. A value between two equal ones is that value exactly.
    """
    down, along = _axis(maps.shape[1], size[0]), _axis(maps.shape[2], size[1])
    values = maps.astype(np.float32, copy=False)
    wide = _between(values[:, :, along.low], values[:, :, along.high], along.weight)
    return _between(wide[:, down.low], wide[:, down.high], down.weight[:, None])


def active_pixels(maps: Array, limits: Array, size: tuple[int, int]) -> Iterator[tuple[Indices, Indices]]:
    """The pixels of `enlarged(maps, size)` above each unit's limit (units,): units and flat places, in parts.

    A pixel lies between four cells and cannot be above the limit where none of them is, so only the pixels
    between such cells are computed; they are those of `enlarged` bit for bit.
    """
    down, along = _axis(maps.shape[1], size[0]), _axis(maps.shape[2], size[1])
    values = maps.astype(np.float32, copy=False)
    above = values > limits[:, None, None]
    above |= above[:, down.after]
    above |= above[:, :, along.after]
    unit, row, column = np.nonzero(above)
    step = max(1, PIXELS_AT_ONCE // (down.pixels.shape[1] * along.pixels.shape[1]))
    for start in range(0, len(unit), step):
        u, i, j = (one[start : start + step] for one in (unit, row, column))
        i2, j2 = down.after[i], along.after[j]
        across = along.weights[j]
        upper = _between(values[u, i, j][:, None], values[u, i, j2][:, None], across)
        lower = _between(values[u, i2, j][:, None], values[u, i2, j2][:, None], across)
        found = _between(upper[:, None], lower[:, None], down.weights[i][:, :, None])
        found = found > limits[u][:, None, None]
        found &= down.real[i][:, :, None] & along.real[j][:, None]
        quad, y, x = np.nonzero(found)
        yield u[quad], down.pixels[i[quad], y] * size[1] + along.pixels[j[quad], x]


def _between(first: Array, second: Array, weight: Array) -> npt.NDArray[np.float32]:
    return first + weight * (second - first)
