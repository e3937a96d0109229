"""Which values do the largest share of a stream start at? Exact quantiles that can be merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["TailSketch"]

Array = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 8192
"""Values of a unit that wait at least before they are sorted in."""


@dataclass(frozen=True)
class TailSketch:
    """The `kept` largest values of every unit, enough for an exact upper quantile; sketches can be merged.

    `values` is (units, ≤ kept), unordered; `waiting` those that may belong to them and are not yet sorted in.
    """

    kept: int
    values: npt.NDArray[np.float32]
    waiting: tuple[npt.NDArray[np.float32], ...] = ()

    @classmethod
    def empty(cls, kept: int, units: int) -> TailSketch:
        """No value seen yet."""
        return cls(kept, np.empty((units, 0), np.float32))

    def merged(self, rows: Array) -> TailSketch:
        """After more values (units, m), of a map or of another sketch; what is no number is passed over."""
        found = np.flatnonzero(rows > self.floor[:, None])
        if not len(found):
            return self
        unit = found // rows.shape[1]
        counts = np.bincount(unit, minlength=len(rows))
        slot = np.arange(len(unit)) - np.repeat(np.cumsum(counts) - counts, counts)
        packed = np.full((len(rows), int(counts.max())), -np.inf, np.float32)
        packed[unit, slot] = rows.ravel()[found]
        sketch = TailSketch(self.kept, self.values, (*self.waiting, packed))
        enough = sum(one.shape[1] for one in sketch.waiting) >= max(self.kept, AT_ONCE)
        return sketch.settled() if enough or self.values.shape[1] < self.kept else sketch

    @property
    def floor(self) -> npt.NDArray[np.float32]:
        """(units,): no threshold can be below, whatever follows."""
        if self.values.shape[1] < self.kept:
            return np.full(len(self.values), -np.inf, np.float32)
        return self.values.min(1)

    def settled(self) -> TailSketch:
        """With nothing waiting."""
        if not self.waiting:
            return self
        joined = np.concatenate([self.values, *self.waiting], 1)
        joined.sort(axis=1)
        return TailSketch(self.kept, np.ascontiguousarray(joined[:, -self.kept :]))

    @property
    def thresholds(self) -> npt.NDArray[np.float32]:
        """(units,): with `kept` = ⌊q · n⌋ + 1 at most the share q of n values lies strictly above."""
        return self.settled().values.min(1)
