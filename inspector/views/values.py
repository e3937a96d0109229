"""What numbers does an array hold? Range, moments, and how many are not finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput

__all__ = ["Array", "Facts", "as_floats", "expect_axes", "facts_of", "is_numeric"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Facts:
    """Counts of all cells, moments of the finite ones (NaN where there is none)."""

    size: int
    nan: int
    inf: int
    zero: int
    low: float
    high: float
    mean: float
    std: float

    @property
    def finite(self) -> int:
        """How many cells hold a number."""
        return self.size - self.nan - self.inf


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of this type can be drawn: numbers and truth values, also bfloat16 and its kin."""
    return dtype.kind not in "OSUTMm" and dtype.type is not np.void


def as_floats(array: npt.ArrayLike) -> Array:
    """The array as float32 or float64; complex values by their magnitude, BadInput for text and objects."""
    values = np.asarray(array)
    if values.dtype.kind == "c":
        return np.abs(values)
    if not is_numeric(values.dtype):
        raise BadInput(f"an array of {values.dtype} holds no numbers to draw. Expected a numeric array.")
    if values.dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        return values
    wide = values.dtype.kind in "iu" and values.dtype.itemsize > 2
    return values.astype(np.float64 if wide or values.dtype.itemsize > 4 else np.float32)


def expect_axes(array: npt.ArrayLike, axes: str, what: str) -> Array:
    """The array as floats, when it has as many axes as `axes` names ('c h w'); else BadInput."""
    values = as_floats(array)
    names = axes.split()
    if values.ndim != len(names):
        raise BadInput(
            f"{what}: expected an array ({', '.join(names)}), got shape {tuple(values.shape)}."
            " Index or reshape it first, or let picture_of choose."
        )
    return values


def facts_of(array: npt.ArrayLike) -> Facts:
    """Count and measure, in float64 and without overflow."""
    values = as_floats(array)
    nan, inf = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    finite = (values[np.isfinite(values)] if nan or inf else values.reshape(-1)).astype(np.float64)
    if finite.size == 0:
        return Facts(values.size, nan, inf, 0, np.nan, np.nan, np.nan, np.nan)
    low, high = float(finite.min()), float(finite.max())
    unit = max(abs(low), abs(high), np.finfo(np.float64).tiny)  # squares of huge values would overflow
    mean = float(np.mean(finite / unit)) * unit
    std = float(np.std(finite / unit)) * unit
    return Facts(values.size, nan, inf, int((finite == 0).sum()), low, high, mean, std)
