"""What have a value's channels been so far? Moments, extremes, and a histogram that grows and merges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BINS", "ChannelCounts"]

Array = np.ndarray[Any, np.dtype[Any]]

BINS = 128
"""Cells of a histogram over -range … range, 1.6 % of it each; the range is a power of two and doubles."""

SMALLEST = -64
"""Power of two of the smallest range."""

Spread = tuple[int, Array, Array]
"""How many values a channel had, their means (c,), and their squared distances from it, summed (c,)."""


@dataclass
class ChannelCounts:
    """Running statistics of each of c channels; all arrays are (c,) or (c, BINS).

    Mean and M2 follow Chan, Golub and LeVeque's pairwise update, in float64. All else is exact, so that only
    `fold` depends on the order of the data.
    """

    count: int
    mean: Array
    m2: Array
    minimum: Array
    maximum: Array
    zeros: Array
    saturated: Array
    not_finite: Array
    histogram: Array
    exponent: int
    images: int

    @classmethod
    def empty(cls, channels: int) -> ChannelCounts:
        """Nothing counted yet."""
        zero = np.zeros(channels)
        return cls(
            0, zero.copy(), zero.copy(), np.full(channels, np.inf), np.full(channels, -np.inf), zero.copy(),
            zero.copy(), zero.copy(), np.zeros((channels, BINS), np.int64), SMALLEST, 0,
        )  # fmt: skip

    def add(self, values: Array, images: int, bounds: tuple[float, float] | None = None) -> Spread:
        """Count values (c, m), and give what was folded in. `bounds` are the limits of the activation; values
        within 1 % are saturated.
        """
        flat = values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64, copy=False)
        finite = np.isfinite(flat)
        if not finite.all():
            self.not_finite += flat.shape[1] - finite.sum(axis=1)
            flat = np.where(finite, flat, 0)
        size = flat.shape[1]
        if not size:
            return 0, np.zeros_like(self.mean), np.zeros_like(self.m2)
        mean = flat.mean(axis=1, dtype=np.float64)
        spread = np.square(flat - mean[:, None].astype(flat.dtype)).sum(axis=1, dtype=np.float64)
        self.fold(size, mean, spread)
        np.minimum(self.minimum, flat.min(axis=1), out=self.minimum)
        np.maximum(self.maximum, flat.max(axis=1), out=self.maximum)
        self.zeros += (flat == 0).sum(axis=1)
        if bounds is not None:
            low, high = bounds
            edge = (high - low) * 0.01
            self.saturated += ((flat <= low + edge) | (flat >= high - edge)).sum(axis=1)
        self._bin(flat)
        self.images += images
        return size, mean, spread

    def fold(self, size: int, mean: Array, spread: Array) -> None:
        """Bring mean and M2 up to date with `size` more values of each channel."""
        if not size:
            return
        total = self.count + size
        change = mean - self.mean
        self.mean = self.mean + change * (size / total)
        self.m2 = self.m2 + (spread + np.square(change) * (self.count * size / total))
        self.count = total

    @property
    def std(self) -> Array:
        """Population standard deviation (c,)."""
        return np.sqrt(self.m2 / max(1, self.count))

    @property
    def edges(self) -> Array:
        """Borders of the histogram's cells (BINS + 1,)."""
        return np.linspace(-(2.0**self.exponent), 2.0**self.exponent, BINS + 1)

    def join(self, other: ChannelCounts) -> None:
        """Add all that another pass counted but mean and M2."""
        self.images += other.images
        self.minimum = np.minimum(self.minimum, other.minimum)
        self.maximum = np.maximum(self.maximum, other.maximum)
        for name in ("zeros", "saturated", "not_finite"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        top = max(self.exponent, other.exponent)
        self._grow(top)
        theirs = other.histogram
        for _ in range(top - other.exponent):
            theirs = _halved(theirs)
        self.histogram = self.histogram + theirs

    def _bin(self, flat: Array) -> None:
        largest = float(np.abs(flat).max())
        needed = SMALLEST if largest == 0 else math.frexp(largest)[1]
        self._grow(max(needed, self.exponent))
        step = BINS / 2.0 ** (self.exponent + 1)
        # a power of two, so that the product is exact and a wider range gives the same cells joined
        places = np.clip(np.floor(flat * step), -BINS // 2, BINS // 2 - 1).astype(np.int64) + BINS // 2
        places += np.arange(flat.shape[0])[:, None] * BINS
        counted = np.bincount(places.reshape(-1), minlength=flat.shape[0] * BINS)
        self.histogram += counted.reshape(self.histogram.shape)

    def _grow(self, exponent: int) -> None:
        if not self.histogram.any():
            self.exponent = exponent
        while self.exponent < exponent:
            self.histogram = _halved(self.histogram)
            self.exponent += 1


def _halved(histogram: Array) -> Array:
    """The same counts over twice the range: neighbours join and move to the middle."""
    joined = histogram.reshape(histogram.shape[0], -1, 2).sum(axis=2)
    quarter = BINS // 4
    return np.pad(joined, ((0, 0), (quarter, quarter)))
