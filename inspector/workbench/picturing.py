"""Which part of a tensor is pictured? Its first maps, or its strongest."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.errors import BadInput

__all__ = ["pictured", "usual_order"]

Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 512
"""Rows and columns of one map."""

_ELEMENTS = 1 << 23
"""Elements of all pictured maps together."""

_POINTS = 1 << 12
"""A vector shows evenly spaced elements beyond."""


def pictured(array: Array, most: int, ranked_by: Array | None = None) -> tuple[Array, tuple[int, ...]]:
    """Up to `most` maps (maps, h, w) of the last two axes, at most 512 × 512 of each, and their numbers.

    Maps are counted along the axes before the last two. With `ranked_by`, which has the same shape, those
    come first that are strongest there, by their mean square. A vector, whatever axes of 1 stand around it,
    is one map of one row, of evenly spaced elements where it has more than 4,096.

    Raises:
        BadInput: the tensor has no numbers.
    """
    if array.dtype.kind in "OSU":
        raise BadInput(f"a tensor of {array.dtype} has no pictures.")
    if _is_vector(array):
        step = max(1, -(-array.size // _POINTS))
        return array.reshape(1, 1, -1)[..., ::step], (0,)
    lead, (height, width) = array.shape[:-2], array.shape[-2:]
    total = int(np.prod(lead))
    room = max(1, _ELEMENTS // max(1, min(height, SIDE) * min(width, SIDE)))
    count = min(most, total, room)
    numbers = range(count) if ranked_by is None else _strongest(ranked_by)[:count].tolist()
    maps = [array[np.unravel_index(n, lead) if lead else ()][:SIDE, :SIDE] for n in numbers]
    made = np.stack(maps) if maps else np.zeros((0, height, width), array.dtype)
    return made, tuple(numbers)


def usual_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """All axes, those of 1 first where rows or columns would be one of them and two others are longer."""
    axes = tuple(range(len(shape)))
    long = tuple(axis for axis in axes if shape[axis] != 1)
    if len(long) < 2 or all(axis in long for axis in axes[-2:]):
        return axes
    return (*(axis for axis in axes if axis not in long), *long)


def _is_vector(array: Array) -> bool:
    """Whether at most one axis has more than one element."""
    return array.ndim < 2 or max(array.shape) == array.size > 0


def _strongest(array: Array) -> Array:
    """Numbers of the maps by falling mean square; those that hold NaN last."""
    narrow = array.dtype.isbuiltin != 1
    values = np.abs(array) if array.dtype.kind == "c" else array.astype(np.float32) if narrow else array
    power = np.einsum("...ij,...ij->...", values, values, dtype=np.float64, casting="unsafe")
    return np.argsort(-power.reshape(-1), kind="stable")
