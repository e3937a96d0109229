"""Which weights of two models are the same? Moments find candidates, sorted values or rows verify them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from inspector.comparison.alignment import CanonicalGraph

__all__ = ["anchors"]

Array = np.ndarray[Any, np.dtype[Any]]

_ROWS = 16
_ENOUGH = 0.6
"""Mean absolute row cosine from which two weights count as one; unrelated rows stay far below."""
_LEAST = 8
"""Elements below which equal values prove nothing."""
_CLASS = 256
"""Members of a shape class that are compared pairwise."""


def anchors(a: CanonicalGraph, b: CanonicalGraph) -> dict[str, str]:
    """Atoms of `a` whose weight is that of an atom of `b`, one to one, verified."""
    classes_a, classes_b = _classes(a), _classes(b)
    found: dict[str, str] = {}
    for shape, left in classes_a.items():
        right = classes_b.get(shape, [])
        if right:
            found |= _matched(a, b, left, right)
    return found


def _classes(graph: CanonicalGraph) -> dict[tuple[int, ...], list[str]]:
    found: dict[tuple[int, ...], list[str]] = {}
    for key, arrays in graph.arrays.items():
        if "weight" in arrays and arrays["weight"].size >= _LEAST and np.ptp(arrays["weight"]) > 0:
            shape = tuple(sorted(size for size in arrays["weight"].shape if size > 1))
            found.setdefault(shape, []).append(key)
    return found


def _matched(a: CanonicalGraph, b: CanonicalGraph, left: list[str], right: list[str]) -> dict[str, str]:
    first = [_moments(a.arrays[key]["weight"]) for key in left]
    second = [_moments(b.arrays[key]["weight"]) for key in right]
    found: dict[str, str] = {}
    free = dict.fromkeys(range(len(right)))
    for i, key in enumerate(left):
        near = [j for j in free if np.allclose(first[i], second[j], rtol=1e-4)]
        j = next((j for j in near if _same_values(a, b, key, right[j])), None)
        if j is not None:
            found[key] = right[j]
            del free[j]
    rest = [key for key in left if key not in found]
    others = [right[j] for j in free]
    if rest and others and max(len(rest), len(others)) <= _CLASS:
        found |= _assigned(a, b, rest, others)
    return found


def _moments(weight: Array) -> Array:
    flat = np.asarray(weight).reshape(-1)
    return np.array([float(np.abs(flat).sum(dtype=np.float64)), float(np.square(flat).sum(dtype=np.float64))])


def _same_values(a: CanonicalGraph, b: CanonicalGraph, left: str, right: str) -> bool:
    x, y = a.arrays[left]["weight"], b.arrays[right]["weight"]
    if x.shape == y.shape and np.array_equal(x, y):
        return True
    x, y = np.sort(x, axis=None), np.sort(y, axis=None)
    scale = float(np.abs(x).max(initial=0.0)) or 1.0
    return bool(np.allclose(x, y, rtol=1e-3, atol=1e-4 * scale))


def _assigned(a: CanonicalGraph, b: CanonicalGraph, left: list[str], right: list[str]) -> dict[str, str]:
    rows_a = [_rows(a.arrays[key]["weight"]) for key in left]
    rows_b = [_rows(b.arrays[key]["weight"]) for key in right]
    score = np.zeros((len(left), len(right)))
    for i, x in enumerate(rows_a):
        for j, y in enumerate(rows_b):
            if x.shape == y.shape and x.shape[1] > 1:
                score[i, j] = float(np.abs((x * y).sum(axis=1)).mean())
    pairs = zip(*linear_sum_assignment(-score), strict=True)
    return {left[i]: right[j] for i, j in pairs if score[i, j] >= _ENOUGH and rows_a[i].shape[1] >= 8}


def _rows(weight: Array) -> Array:
    flat = weight.reshape(weight.shape[0], -1)
    picked = np.linspace(0, len(flat) - 1, min(_ROWS, len(flat))).astype(int)
    rows = flat[picked].astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)
