"""Walk over an array of any size and stride in C order without ever holding much of it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["chunks"]

_CHUNK_BYTES = 1 << 22
_FORGET_BYTES = 1 << 26
"""After this many bytes the pages of a mapped file are given back to the system."""


def chunks(array: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Contiguous one-dimensional pieces whose concatenation is `array.ravel()`."""
    source = _mapping(array)
    seen = 0
    for piece in _pieces(array):
        yield piece
        seen += piece.nbytes
        if source is not None and seen >= _FORGET_BYTES:
            source.madvise(mmap.MADV_DONTNEED)
            seen = 0


def _pieces(array: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    if array.ndim == 0 or array.nbytes <= _CHUNK_BYTES:
        yield np.ascontiguousarray(array).reshape(-1)
        return
    if array.flags.c_contiguous:
        array = array.reshape(-1)
    row = array[:1].nbytes
    if row > _CHUNK_BYTES:
        for part in array:
            yield from _pieces(part)
        return
    step = _CHUNK_BYTES // row
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(array[start : start + step]).reshape(-1)


def _mapping(array: np.ndarray[Any, Any]) -> mmap.mmap | None:
    """The read-only file mapping behind an array, where pages can be given back."""
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base if hasattr(mmap, "MADV_DONTNEED") else None
