"""Which bytes of which file are this tensor? Views on stored bytes, checked before anything is read."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from converters.elements import Element
from converters.errors import BadFile

__all__ = ["Composite", "LazyTensor", "Order", "Place", "Storage", "dense", "mapped", "packed_strides"]

Order = Literal["C", "F"]

MAX_AXES = 64
EXPANSION_BYTES = 64 << 20
"""How much larger than its storage a tensor may become when its overlapping elements are written out."""


@dataclass(frozen=True)
class Place:
    """Bytes of a file."""

    path: Path
    offset: int
    length: int


@dataclass
class Storage:
    """A flat run of elements; its bytes lie at `place`, which legacy files tell late, or come from `read`."""

    key: str
    element: Element
    count: int
    place: Place | None = None
    read: Callable[[], bytes] | None = None
    big_endian: bool = False

    @property
    def nbytes(self) -> int:
        """Declared size in bytes."""
        return self.count * self.element.bytes

    def buffer(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The bytes, memory-mapped where they lie in a file."""
        if self.count == 0:
            return np.zeros(0, np.uint8)
        if self.place is not None:
            return np.memmap(self.place.path, np.uint8, "r", self.place.offset, (self.nbytes,))
        if self.read is None:
            raise BadFile(f"the bytes of storage {self.key!r} are not in the file. Get another copy.")
        found = np.frombuffer(self.read(), np.uint8)
        if found.size < self.nbytes:
            raise BadFile(f"storage {self.key!r} declares {self.nbytes:,} bytes and has {found.size:,}.")
        return found[: self.nbytes]


@dataclass(frozen=True, eq=False)
class LazyTensor:
    """A strided view on a storage; `storage` is None for tensors that carry no data (device "meta")."""

    storage: Storage | None
    element: Element
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    is_parameter: bool = False
    requires_grad: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)
    """Anything more the file says: quantiser, `conj` and `neg` bits, subclass."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements written out one after the other."""
        return self.size * self.element.bytes

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie one after the other, last axis fastest."""
        expected = 1
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if length != 1 and stride != expected:
                return self.size == 0
            expected *= length
        return True

    @property
    def place(self) -> Place | None:
        """Where exactly this tensor lies in its file, or None if it must be unpacked or rearranged."""
        at = None if self.storage is None or self.storage.big_endian else self.storage.place
        if at is None or not self.is_contiguous or self._flipped:
            return None
        return Place(at.path, at.offset + self.offset * self.element.bytes, self.nbytes)

    @property
    def _flipped(self) -> bool:
        return bool(self.extra.get("conj") or self.extra.get("neg"))

    def check(self) -> None:
        """Hold shape, strides and offset against the storage.

        Raises:
            BadFile: the view reaches outside, is no view, or would grow beyond all measure.
        """
        numbers = (*self.shape, *self.strides, self.offset)
        if len(self.shape) != len(self.strides) or len(self.shape) > MAX_AXES:
            raise BadFile(f"a tensor has {len(self.shape)} sizes and {len(self.strides)} strides.")
        if any(type(n) is not int or n < 0 or n >= 1 << 62 for n in numbers):
            raise BadFile(f"a tensor has impossible sizes, strides or offset: {numbers}.")
        if self.storage is None or self.size == 0:
            return
        reach = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + 1
        available = self.storage.nbytes // self.element.bytes
        if reach > available:
            raise BadFile(
                f"a tensor of shape {list(self.shape)}, strides {list(self.strides)} needs {reach:,} "
                f"elements of storage {self.storage.key!r} with {available:,}: the file lies about its sizes."
            )
        if self.nbytes > self.storage.nbytes + EXPANSION_BYTES:
            raise BadFile(
                f"a tensor of shape {list(self.shape)} repeats {self.storage.nbytes:,} stored bytes until "
                f"they are {self.nbytes:,}: refused as a memory bomb."
            )

    def array(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The values with axes as in the file; read-only and memory-mapped where they lie in place."""
        if self.storage is None:
            raise BadFile("a tensor on the device 'meta' has no values in the file.")
        self.check()
        stored = self.storage.buffer()
        whole = stored.size // self.element.bytes * self.element.bytes
        flat = _native(stored[:whole], self.element, self.storage.big_endian)
        steps = tuple(stride * self.element.bytes for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :] if self.size else flat[:0], self.shape, steps
        )
        view = np.conjugate(view) if self.extra.get("conj") else view
        return np.negative(view) if self.extra.get("neg") else view


@dataclass(frozen=True, eq=False)
class Composite:
    """A tensor made of several stored ones: sparse, nested, or a subclass with inner tensors."""

    kind: str
    parts: Mapping[str, object]
    shape: tuple[int, ...] = ()


def mapped(path: Path) -> memoryview:
    """A whole file as read-only memory that is not loaded."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _native(stored: np.ndarray[Any, Any], element: Element, big_endian: bool) -> np.ndarray[Any, Any]:
    if big_endian and element.bytes > element.parts:
        stored = stored.view(f"u{element.bytes // element.parts}").byteswap()
    return stored.view(element.numpy)


def dense(
    name: str, element: Element, shape: tuple[int, ...], place: Place, order: Order = "C"
) -> LazyTensor:
    """A tensor whose elements fill a place, last axis fastest ("C") or first axis fastest ("F")."""
    storage = Storage(name, element, place.length // element.bytes, place)
    return LazyTensor(storage, element, shape, packed_strides(shape))


def packed_strides(shape: tuple[int, ...], order: Order = "C") -> tuple[int, ...]:
    """Strides in elements of a tensor without gaps, last ("C") or first axis ("F") fastest."""
    steps: list[int] = []
    step = 1
    for length in shape if order == "F" else reversed(shape):
        steps.append(step)
        step *= length
    return tuple(steps if order == "F" else reversed(steps))
