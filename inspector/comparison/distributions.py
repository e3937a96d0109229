"""How are the values of two weights spread? Counts over bins that both share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Distributions", "Histogram", "change_histogram", "counted", "distributions"]

Array = np.ndarray[Any, np.dtype[Any]]
Histogram = tuple[tuple[int, ...], tuple[float, ...]]
"""Counts, and the edges of their bins, one more."""


@dataclass(frozen=True)
class Distributions:
    """Counts of the finite values of a and of b between neighbouring `edges` (one more than counts)."""

    edges: tuple[float, ...]
    a: tuple[int, ...]
    b: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Edges and counts as lists."""
        return {"edges": list(self.edges), "a": list(self.a), "b": list(self.b)}


def distributions(a: Array, b: Array, bins: int) -> Distributions | None:
    """Both over equal bins from the smallest to the largest value of either; None where all are equal."""
    one, other = _finite(a), _finite(b)
    parts = [part for part in (one, other) if part.size]
    if not parts:
        return None
    low, high = min(float(p.min()) for p in parts), max(float(p.max()) for p in parts)
    if not high > low:
        return None
    edges = np.linspace(low, high, bins + 1)
    return Distributions(
        tuple(map(float, edges)), counted(one, low, high, bins), counted(other, low, high, bins)
    )


def change_histogram(a: Array, b: Array, bins: int = 31) -> Histogram | None:
    """How the finite values of b − a are spread over equal bins; None where all are one number."""
    change = b.astype(np.float64) - a.astype(np.float64)
    change = change[np.isfinite(change)]
    if not change.size or np.ptp(change) <= bins * np.spacing(np.abs(change).max()):
        return None
    low, high = float(change.min()), float(change.max())
    return counted(change, low, high, bins), tuple(map(float, np.linspace(low, high, bins + 1)))


def counted(values: Array, low: float, high: float, bins: int) -> tuple[int, ...]:
    """How many values lie in each of equal bins; the last bin holds its upper edge."""
    place = ((values - low) * (bins / (high - low))).astype(np.intp)
    np.clip(place, 0, bins - 1, out=place)
    return tuple(map(int, np.bincount(place.reshape(-1), minlength=bins)))


def _finite(array: Array) -> Array:
    flat = array.astype(np.float64).reshape(-1)
    return flat if np.isfinite(flat).all() else flat[np.isfinite(flat)]
