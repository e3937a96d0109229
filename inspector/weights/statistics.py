"""How are the values of a tensor distributed? One streaming pass in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.weights.chunks import chunks

__all__ = ["Statistics", "statistics_of"]


@dataclass(frozen=True)
class Statistics:
    """Over finite values: minimum, maximum, mean and standard deviation (population).

    `zeros` is the share of elements equal to 0; `nan` and `inf` are counts. All None (and 0) for text,
    for empty tensors and where no value is finite.
    """

    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    zeros: float
    nan: int
    inf: int


def statistics_of(array: np.ndarray[Any, Any]) -> Statistics:
    """Statistics of an array of any element type; complex numbers by their absolute value.

    Means and squared deviations of chunks are merged by the formula of Chan, Golub and LeVeque (1979),
    so that the result does not lose digits on large tensors.
    """
    if array.dtype.kind in "OSU" or array.size == 0:
        return Statistics(None, None, None, None, 0.0, 0, 0)
    low, high = math.inf, -math.inf
    count, mean, squares = 0, 0.0, 0.0
    zeros = nan = inf = 0
    for chunk in chunks(array):
        part = _as_float64(chunk)
        zeros += int(np.count_nonzero(part == 0))
        finite = part[np.isfinite(part)]
        if finite.size < part.size:
            nan += int(np.isnan(part).sum())
            inf += int(np.isinf(part).sum())
        if not finite.size:
            continue
        low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        part_mean = float(finite.mean())
        part_squares = float(np.square(finite - part_mean).sum())
        total = count + finite.size
        shift = part_mean - mean
        mean += shift * finite.size / total
        squares += part_squares + shift * shift * count * finite.size / total
        count = total
    if not count:
        return Statistics(None, None, None, None, zeros / array.size, nan, inf)
    return Statistics(low, high, mean, math.sqrt(squares / count), zeros / array.size, nan, inf)


def _as_float64(part: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return (np.abs(part) if part.dtype.kind == "c" else part).astype(np.float64)
