"""What is known about a Keras tensor while it is translated? Its ONNX value, axis order, mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

__all__ = [
    "Dim",
    "Tensor",
    "UnknownShape",
    "Value",
    "dtype_name",
    "element_type",
    "first_to_last",
    "last_to_first",
]

Dim = int | str | None
"""A size, the name of a dynamic dimension, or unknown."""


class UnknownShape(Exception):
    """A translation needs the rank of a tensor that an opaque layer made."""


@dataclass(frozen=True, eq=False)
class Value:
    """An ONNX value; `array` is set where it is a small constant."""

    name: str
    type: int
    shape: tuple[Dim, ...] | None
    array: np.ndarray[Any, Any] | None = None

    @property
    def rank(self) -> int:
        """Number of axes."""
        if self.shape is None:
            raise UnknownShape(f"the number of axes of {self.name!r} is not known")
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating point."""
        return self.type in _FLOATS


@dataclass(frozen=True, eq=False)
class Tensor:
    """A Keras tensor and how it lies in the graph.

    `moved` means that the ONNX value holds the last Keras axis at position 1 (channels first), while
    `shape` and every axis a layer names follow Keras' order.
    """

    value: Value
    moved: bool = False
    mask: Tensor | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The Keras shape."""
        shape = self.value.shape
        if shape is None:
            raise UnknownShape(f"the number of axes of {self.value.name!r} is not known")
        return (shape[0], *shape[2:], shape[1]) if self.moved else shape

    @property
    def rank(self) -> int:
        """Number of axes."""
        return self.value.rank

    @property
    def dtype(self) -> str:
        """Name of the element type as Keras spells it."""
        return dtype_name(self.value.type)

    def axis(self, axis: int) -> int:
        """Where a Keras axis lies in the ONNX value."""
        axis %= self.rank
        if not self.moved or axis == 0:
            return axis
        return 1 if axis == self.rank - 1 else axis + 1

    def like(self, value: Value) -> Tensor:
        """Another value in the same axis order, without mask."""
        return Tensor(value, self.moved)

    def masked(self, mask: Tensor | None) -> Tensor:
        """The same tensor with another mask."""
        return replace(self, mask=mask)


def last_to_first(rank: int) -> list[int]:
    """Permutation that puts the last axis at position 1."""
    return [0, rank - 1, *range(1, rank - 1)]


def first_to_last(rank: int) -> list[int]:
    """Permutation that puts axis 1 last."""
    return [0, *range(2, rank), 1]


_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16})

_NAMES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "bfloat16": TensorProto.BFLOAT16,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
    "complex64": TensorProto.COMPLEX64,
    "float8_e4m3fn": TensorProto.FLOAT8E4M3FN,
    "float8_e5m2": TensorProto.FLOAT8E5M2,
}
_KINDS: dict[int, str] = {number: name for name, number in _NAMES.items()}


def element_type(name: str) -> int:
    """ONNX element type of a Keras dtype name.

    Raises:
        KeyError: Keras has no such dtype.
    """
    return _NAMES[name]


def dtype_name(number: int) -> str:
    """Keras dtype name of an ONNX element type."""
    return _KINDS.get(number) or onnx.TensorProto.DataType.Name(number).lower()
