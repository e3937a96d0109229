"""How far apart are two arrays? Largest and relative error, cosine and signal-to-noise in one pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Difference", "aligned", "difference", "layouts"]

Array = np.ndarray[Any, np.dtype[Any]]

_CHUNK = 1 << 15
"""Elements measured at once: both pieces and their difference stay in the nearest cache."""

_RANK = 6
"""Arrays of more axes are compared in their stored order only."""


_CLEARLY = 0.5
"""An order of axes other than the first must leave at most this part of the difference."""


@dataclass(frozen=True)
class Difference:
    """How b differs from a, over `size` elements.

    `relative` is ‖a − b‖ / ‖a‖ (L2, of ‖b‖ where a is zero), `cosine` that of the flattened arrays, `snr` is
    10·log10(‖a‖² / ‖a − b‖²) in dB, infinite for equal arrays. `unlike` counts elements of which only one is
    finite, or both are infinite or NaN in another way; they are in no other figure.
    """

    size: int
    max_abs: float
    relative: float
    cosine: float
    snr: float
    unlike: int = 0

    @property
    def equal(self) -> bool:
        """Whether every element has the same value."""
        return self.max_abs == 0 and self.unlike == 0

    def to_dict(self) -> dict[str, Any]:
        """The figures; an infinite ratio is null."""
        return {
            "size": self.size,
            "max_abs": self.max_abs,
            "relative_l2": self.relative,
            "cosine": self.cosine,
            "snr_db": self.snr if math.isfinite(self.snr) else None,
            "unlike": self.unlike,
        }


def difference(a: Array, b: Array) -> Difference:
    """Measure two arrays of one shape; sums are kept in double precision from piece to piece."""
    if a.shape != b.shape:
        raise ValueError(f"arrays of shape {a.shape} and {b.shape} have no element-wise difference")
    if b.flags.c_contiguous or not a.flags.f_contiguous:
        first, second = _flat(a), _flat(b)
    else:
        first, second = a.reshape(-1, order="F"), b.reshape(-1, order="F")
    work = np.empty(min(_CHUNK, first.size), np.result_type(first, second))
    sums = np.zeros(4)  # a·a, b·b, a·b, d·d
    most, unlike = 0.0, 0
    for start in range(0, first.size, _CHUNK):
        x, y = first[start : start + _CHUNK], second[start : start + _CHUNK]
        with np.errstate(invalid="ignore", over="ignore"):
            found = _measure(x, y, work[: x.size])
        if not math.isfinite(math.fsum(found)):
            x, y, odd = _finite(x, y)
            unlike += odd
            found = _measure(x, y, np.empty(x.size))
        most = max(most, found[4])
        sums += found[:4]
    return _figures(first.size, most, sums, unlike)


def _measure(x: Array, y: Array, d: Array) -> tuple[float, float, float, float, float]:
    np.subtract(x, y, out=d)
    largest = max(float(d.max()), -float(d.min())) if d.size else 0.0
    return float(x @ x), float(y @ y), float(x @ y), float(d @ d), largest


def _finite(x: Array, y: Array) -> tuple[Array, Array, int]:
    """The pieces in double precision with what is not finite set to zero, and how many of those disagree."""
    one, other = x.astype(np.float64), y.astype(np.float64)
    odd = ~(np.isfinite(one) & np.isfinite(other))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    unlike = int((odd & ~same).sum())
    one[odd] = 0
    other[odd] = 0
    return one, other, unlike


def _figures(size: int, most: float, sums: Array, unlike: int) -> Difference:
    aa, bb, ab, dd = (float(s) for s in sums)
    if most == 0:
        return Difference(size, 0.0, 0.0, 1.0, math.inf, unlike)
    norm = aa or bb
    cosine = ab / math.sqrt(aa * bb) if aa and bb else 0.0
    relative = math.sqrt(dd / norm) if norm else math.inf
    snr = 10 * math.log10(aa / dd) if aa and dd else (math.inf if not dd else -math.inf)
    return Difference(size, most, relative, min(1.0, max(-1.0, cosine)), snr, unlike)


def _flat(array: Array) -> Array:
    kind = np.float32 if array.dtype == np.float32 else np.float64
    return np.ascontiguousarray(array, kind).reshape(-1)


def layouts(a: tuple[int, ...], b: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Orders of the axes of a that give the shape of b: unchanged, channels moved, then all others."""
    rank = len(a)
    if rank != len(b) or rank > _RANK or sorted(a) != sorted(b):
        return
    usual = [tuple(range(rank))]
    if rank > 2:
        usual += [(0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))]
    for order in dict.fromkeys([*usual, *itertools.permutations(range(rank))]):
        if tuple(a[axis] for axis in order) == b:
            yield order


def aligned(a: Array, b: Array, enough: float) -> tuple[Difference, tuple[int, ...]] | None:
    """The difference after the order of a's axes that fits b best, and that order; None where none fits.

    The search ends at the first order that is within `enough` (relative L2). Short of that, a later order
    must halve the difference: for unrelated arrays some order is always best by chance. Axes of size 1 are
    dropped where the ranks differ; arrays whose sizes only multiply to the same number are compared flat.
    """
    if a.size != b.size:
        return None
    if a.ndim != b.ndim:
        a, b = a.squeeze(), b.squeeze()
        if a.ndim != b.ndim:
            a, b = a.reshape(-1), b.reshape(-1)
    best: tuple[Difference, tuple[int, ...]] | None = None
    for order in layouts(a.shape, b.shape):
        found = difference(a.transpose(order), b)
        if best is None or found.relative < _CLEARLY * best[0].relative:
            best = (found, order)
        if found.relative <= enough and not found.unlike:
            break
    return best
