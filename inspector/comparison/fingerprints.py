"""Which weights of two models are the same? Sums find candidates, sorted values or rows verify them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from inspector.comparison.alignment import CanonicalGraph
from inspector.comparison.sequence import ordered

__all__ = ["anchors"]

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]

_ROWS = 16
_ENOUGH = 0.6
"""Mean absolute row cosine from which two weights count as one; unrelated rows stay far below."""
_LEAST = 8
"""Elements below which equal values prove nothing."""
_CLASS = 1024
"""Members of a shape class that are compared pairwise."""
_NEAR = 1e-4
"""Relative difference of sums up to which two weights are candidates."""


def anchors(a: CanonicalGraph, b: CanonicalGraph) -> dict[str, str]:
    """Atoms of `a` whose weight is that of an atom of `b`, one to one, verified."""
    classes_a, classes_b = _classes(a), _classes(b)
    found: dict[str, str] = {}
    for shape, left in classes_a.items():
        right = classes_b.get(shape, {})
        if right:
            found |= _matched(left, right)
    return found


def _classes(graph: CanonicalGraph) -> dict[Shape, dict[str, Array]]:
    """Weights by what their shapes have in common in every layout."""
    found: dict[Shape, dict[str, Array]] = {}
    for key in ordered(graph):
        weight = graph.arrays.get(key, {}).get("weight")
        if weight is not None and weight.size >= _LEAST and np.ptp(weight) > 0:
            shape = tuple(sorted(size for size in weight.shape if size > 1))
            found.setdefault(shape, {})[key] = weight
    return found


def _matched(left: dict[str, Array], right: dict[str, Array]) -> dict[str, str]:
    """Partners in one class; weights that occur several times pair in order if they do so on both sides."""
    sums = sorted(((*_sums(weight), n) for n, weight in enumerate(right.values())))
    places = [entry[0] for entry in sums]
    names = list(right)
    equal: dict[tuple[int, ...], list[str]] = {}
    for key, weight in left.items():
        first, second = _sums(weight)
        near = sums[bisect_left(places, first * (1 - _NEAR)) : bisect_right(places, first * (1 + _NEAR))]
        fit = [n for _, square, n in near if abs(square - second) <= _NEAR * second]
        same = tuple(sorted(n for n in fit if _same_values(weight, right[names[n]])))
        if same:
            equal.setdefault(same, []).append(key)
    found: dict[str, str] = {}
    for places_b, keys in equal.items():
        if len(keys) == len(places_b):
            found |= {key: names[n] for key, n in zip(keys, places_b, strict=True)}
    used = {*(names[n] for group in equal for n in group)}
    free = {name: weight for name, weight in right.items() if name not in used}
    told = {key for keys in equal.values() for key in keys}
    rest = {key: weight for key, weight in left.items() if key not in told}
    if rest and free and max(len(rest), len(free)) <= _CLASS:
        found |= _assigned(rest, free)
    return found


def _sums(weight: Array) -> tuple[float, float]:
    """Sum of absolute values and of squares: the same in every layout and channel order."""
    flat = np.asarray(weight).reshape(-1)
    if flat.dtype != np.float64:
        flat = flat.astype(np.float32)
    return float(np.abs(flat).sum(dtype=np.float64)), float(np.dot(flat, flat))


def _same_values(x: Array, y: Array) -> bool:
    if x.shape == y.shape and np.array_equal(x, y):
        return True
    x, y = np.sort(x, axis=None), np.sort(y, axis=None)
    scale = float(np.abs(x).max(initial=0.0)) or 1.0
    return bool(np.allclose(x, y, rtol=1e-3, atol=1e-4 * scale))


def _assigned(left: dict[str, Array], right: dict[str, Array]) -> dict[str, str]:
    """One-to-one partners by direction of sampled output rows: rounding, noise and scale survive."""
    groups: dict[Shape, tuple[list[str], list[str]]] = {}
    for side, weights in enumerate((left, right)):
        for key, weight in weights.items():
            if weight.ndim > 1 and weight.size // weight.shape[0] >= _LEAST:
                groups.setdefault(weight.shape, ([], []))[side].append(key)
    found: dict[str, str] = {}
    for mine, theirs in groups.values():
        if mine and theirs:
            score = _likeness([left[key] for key in mine], [right[key] for key in theirs])
            pairs = zip(*linear_sum_assignment(-score), strict=True)
            least = _least(left[mine[0]])
            found |= {mine[i]: theirs[j] for i, j in pairs if score[i, j] >= least}
    return found


def _least(weight: Array) -> float:
    """Row cosine that proves something: six deviations above what chance gives rows this few and short."""
    length, rows = weight.size // weight.shape[0], min(_ROWS, weight.shape[0])
    return max(_ENOUGH, 0.8 / length**0.5 + 3.6 / (length * rows) ** 0.5)


def _likeness(left: list[Array], right: list[Array]) -> Array:
    """Mean absolute cosine of rows, of every weight on the left with every one on the right."""
    first, second = np.stack([_rows(w) for w in left]), np.stack([_rows(w) for w in right])
    products = [np.abs(first[:, row] @ second[:, row].T) for row in range(first.shape[1])]
    return np.mean(products, axis=0)


def _rows(weight: Array) -> Array:
    flat = weight.reshape(weight.shape[0], -1)
    picked = np.linspace(0, len(flat) - 1, min(_ROWS, len(flat))).astype(int)
    rows = flat[picked].astype(np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)
