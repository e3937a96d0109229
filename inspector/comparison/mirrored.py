"""Does one model see its pictures with height and width exchanged? Its kernels tell, its feeds follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from inspector.comparison.alignment import Alignment, Pair
from inspector.comparison.probing import Probe, source_order
from inspector.comparison.weight_changes import WeightChange
from inspector.model import Value

__all__ = ["MIRRORED", "mirrored", "turned"]

Array = np.ndarray[Any, np.dtype[Any]]

MIRRORED = (
    "B holds A's kernels with height and width swapped: it works on turned pictures, and was fed the "
    "same numbers turned."
)
_SWAPPED = (0, 1, 3, 2)


def mirrored(alignment: Alignment, weights: Iterable[WeightChange]) -> bool:
    """Whether every kernel that has a height and a width is that of A with the two swapped."""
    layers = [pair for pair in alignment.pairs if _is_convolution(alignment, pair)]
    kernels = [change for change in weights if len(change.order) == len(_SWAPPED)]
    swapped = sum(change.state == "layout" and change.order == _SWAPPED for change in kernels)
    return bool(layers) and swapped == len(layers)


def _is_convolution(alignment: Alignment, pair: Pair) -> bool:
    """Whether both hold kernels that look different once turned."""
    weight = alignment.a.arrays.get(pair.a.key, {}).get("weight")
    wide = weight is not None and weight.ndim == len(_SWAPPED) and max(weight.shape[2:]) > 1
    return wide and "Conv" in pair.a.op and pair.b.op == pair.a.op


def turned(alignment: Alignment, probe: Probe) -> Probe:
    """The probe with the pictures of B turned, where its inputs take that shape."""
    known = {value.key: value for value in alignment.b.model.inputs}
    feeds = {name: _turned(alignment, array, known.get(name)) for name, array in probe.b.items()}
    return replace(probe, b=feeds, notes=(*probe.notes, MIRRORED))


def _turned(alignment: Alignment, array: Array, value: Value | None) -> Array:
    if value is None or array.ndim != len(_SWAPPED) or array.dtype.kind != "f":
        return array
    order = source_order(alignment.b, value.key) or tuple(range(array.ndim))
    found = array.swapaxes(order[2], order[3])
    fixed = value.shape is not None and any(
        isinstance(want, int) and want != size for want, size in zip(value.shape, found.shape, strict=False)
    )
    return array if fixed else np.ascontiguousarray(found)
