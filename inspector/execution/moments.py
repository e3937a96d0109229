"""What numbers does a value hold? Range, mean, spread and zeros, in passes that read the array in place."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from inspector.errors import BadInput

__all__ = ["Moments", "measure"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Moments:
    """Statistics of one value. Moments are over finite elements, and None where there is none.

    `zeros` is the share of exact zeros among all elements, None where only the graph's own sums are known.
    """

    dtype: str
    shape: tuple[int, ...]
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    zeros: float | None
    nan: int | None
    inf: int | None

    @property
    def is_finite(self) -> bool:
        """Whether range, mean and spread are numbers: sums over NaN and infinity are not."""
        known = (self.minimum, self.maximum, self.mean, self.std)
        return all(number is not None and math.isfinite(number) for number in known)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"shape": list(self.shape)}


def measure(array: Array) -> Moments:
    """Statistics of an array of numbers or booleans.

    Raises:
        BadInput: the array holds text or objects.
    """
    if array.dtype.kind in "OUSMm":
        raise BadInput(f"a value of {array.dtype} has no statistics: it holds no numbers.")
    numbers = _as_floats(array)
    flat = numbers.reshape(-1)
    zeros = 1 - int(np.count_nonzero(flat)) / flat.size if flat.size else None
    nan = inf = 0
    if array.dtype.kind not in "iub":
        total = float(flat.sum(dtype=np.float64)) if flat.size else 0.0
        if not math.isfinite(total):
            nan, inf = int(np.isnan(flat).sum()), int(np.isinf(flat).sum())
            flat = flat[np.isfinite(flat)]
    described = (array.dtype.name, tuple(array.shape))
    if not flat.size:
        return Moments(*described, None, None, None, None, zeros, nan, inf)
    low, high = float(flat.min()), float(flat.max())
    mean = float(flat.mean(dtype=np.float64))
    return Moments(*described, low, high, mean, _spread(flat, mean), zeros, nan, inf)


_BLOCK = 1 << 18
"""Elements per step of the second pass: 2 MB of float64, which stays in cache."""


def _spread(flat: Array, mean: float) -> float:
    """Population standard deviation, second pass in float64 without a copy of the array."""
    total = 0.0
    for start in range(0, flat.size, _BLOCK):
        off = flat[start : start + _BLOCK] - np.float64(mean)
        total += float(np.dot(off, off))
    return math.sqrt(total / flat.size)


def _as_floats(array: Array) -> Array:
    if array.dtype.kind == "c":
        return np.abs(array)
    if array.dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        return array
    wide = array.dtype.kind in "iu" and array.dtype.itemsize > 2
    return array.astype(np.float64 if wide else np.float32)
