"""What is in a tensor, as a page can show it? Statistics, a histogram, and parts of it as raw bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.errors import BadInput, TooLarge
from inspector.weights import statistics_of

__all__ = ["Reading", "read_tensor", "summary_of"]

Array = np.ndarray[Any, np.dtype[Any]]

MAX_BYTES = 64 << 20
"""One answer holds no more; the page asks for a part of larger tensors."""

_BINS = 64
_SAMPLE = 1 << 22
"""A histogram of a larger tensor counts evenly spaced elements, and says so."""

_NATIVE = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
"""Little-endian types that a browser has arrays for."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A part of a tensor: little-endian bytes of `dtype`, axes as in the part, and the tensor's own type."""

    data: bytes
    dtype: str
    shape: tuple[int, ...]
    stored: str


def summary_of(array: Array) -> dict[str, Any]:
    """Shape, type, statistics over finite values, and counts in 64 equal bins from min to max.

    The bins end beyond max where min and max are equal, or too close for 64 different float64 between.
    """
    found = statistics_of(array)
    record: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)} | vars(found)
    if found.min is None or found.max is None:
        return record | {"counts": [], "sampled": 1}
    flat = array.reshape(-1)
    step = max(1, -(-flat.size // _SAMPLE))
    part = np.abs(flat[::step]) if array.dtype.kind == "c" else flat[::step]
    numbers = part.astype(np.float64)
    finite = numbers[np.isfinite(numbers)] if found.nan or found.inf else numbers
    least = _BINS * 2 * float(np.spacing(max(abs(found.min), abs(found.max))))
    high = max(found.max, found.min + (least if found.max > found.min else max(1.0, least)))
    with np.errstate(over="ignore"):
        wide = np.isfinite(high - found.min)
    counts = np.histogram(finite, bins=_BINS, range=(found.min, high))[0] if wide else np.zeros(0, int)
    return record | {"counts": counts.tolist(), "sampled": step}


def read_tensor(array: Array, index: str = "") -> Reading:
    """A part of a tensor by NumPy's basic indexing, as in `0,:,3:7` ("" for all of it).

    Raises:
        BadInput: the index is not made of integers and ranges, or leaves the shape.
        TooLarge: the part has more than 64 MiB.
    """
    part = array[_parsed(index, array.shape)]
    stored = str(array.dtype)
    if part.dtype.kind in "OSU":
        raise BadInput(f"a tensor of {stored} has no numbers to send.")
    if part.dtype.kind == "c":
        part = np.abs(part)
    if part.dtype.kind == "b":
        part = part.astype(np.uint8)
    if part.dtype.newbyteorder("<").str[1:] not in _NATIVE or part.dtype.kind == "V":
        part = part.astype(np.float32)
    if part.nbytes > MAX_BYTES:
        raise TooLarge(
            f"the part has {part.nbytes:,} bytes, one answer holds {MAX_BYTES:,}. Ask for a slice, as in "
            f"0{',:' * (array.ndim - 1)}."
        )
    plain = np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<"), copy=False)
    return Reading(plain.tobytes(), plain.dtype.name, part.shape, stored)


def _parsed(index: str, shape: tuple[int, ...]) -> tuple[int | slice, ...]:
    if not index:
        return ()
    parts = [part.strip() for part in index.split(",")]
    if len(parts) > len(shape):
        raise BadInput(f"index {index!r} has {len(parts)} parts, the tensor has {len(shape)} axes.")
    return tuple(_one(part, size, index) for part, size in zip(parts, shape, strict=False))


def _one(part: str, size: int, index: str) -> int | slice:
    try:
        if ":" in part:
            bounds = [int(bound) if bound else None for bound in part.split(":")]
            if len(bounds) > 3 or (len(bounds) == 3 and bounds[2] == 0):
                raise BadInput(f"index {index!r}: {part!r} is no range.")
            return slice(*bounds)
        number = int(part)
    except ValueError:
        raise BadInput(
            f"index {index!r}: {part!r} is neither an integer nor a range, as in 0,:,3:7."
        ) from None
    if not -size <= number < size:
        raise BadInput(f"index {index!r}: {number} lies outside an axis of {size}.")
    return number
