"""How does each ONNX element type live in torch? As a tensor, or as `Narrow` where torch has none.

Floats, integers, bool, complex and the four float8 types are torch tensors. Integers of 2 and 4 bits, floats
of 4 and 6 bits and float8e8m0 have no usable torch dtype: a `Narrow` holds one byte an element. Strings are
numpy object arrays. Sequences (lists) and absent optionals (None) are not this module's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

__all__ = [
    "INTEGER_RANGES",
    "NARROW_TYPES",
    "TORCH_TYPES",
    "Narrow",
    "Strings",
    "Value",
    "carried",
    "element_type",
    "pack",
    "to_array",
    "to_value",
    "widen",
]

Strings = np.ndarray[Any, np.dtype[np.object_]]
"""A string tensor: an object array of `str`."""

TORCH_TYPES: Mapping[int, torch.dtype] = MappingProxyType(
    {
        TensorProto.FLOAT: torch.float32,
        TensorProto.UINT8: torch.uint8,
        TensorProto.INT8: torch.int8,
        TensorProto.UINT16: torch.uint16,
        TensorProto.INT16: torch.int16,
        TensorProto.INT32: torch.int32,
        TensorProto.INT64: torch.int64,
        TensorProto.BOOL: torch.bool,
        TensorProto.FLOAT16: torch.float16,
        TensorProto.DOUBLE: torch.float64,
        TensorProto.UINT32: torch.uint32,
        TensorProto.UINT64: torch.uint64,
        TensorProto.COMPLEX64: torch.complex64,
        TensorProto.COMPLEX128: torch.complex128,
        TensorProto.BFLOAT16: torch.bfloat16,
        TensorProto.FLOAT8E4M3FN: torch.float8_e4m3fn,
        TensorProto.FLOAT8E4M3FNUZ: torch.float8_e4m3fnuz,
        TensorProto.FLOAT8E5M2: torch.float8_e5m2,
        TensorProto.FLOAT8E5M2FNUZ: torch.float8_e5m2fnuz,
    }
)
"""ONNX element type → torch dtype, for the types that torch computes or stores itself."""

_ELEMENT_TYPES = {dtype: kind for kind, dtype in TORCH_TYPES.items()}

_BORROWED: Mapping[torch.dtype, tuple[Any, torch.dtype]] = MappingProxyType(
    {
        torch.bfloat16: (ml_dtypes.bfloat16, torch.int16),
        torch.float8_e4m3fn: (ml_dtypes.float8_e4m3fn, torch.uint8),
        torch.float8_e4m3fnuz: (ml_dtypes.float8_e4m3fnuz, torch.uint8),
        torch.float8_e5m2: (ml_dtypes.float8_e5m2, torch.uint8),
        torch.float8_e5m2fnuz: (ml_dtypes.float8_e5m2fnuz, torch.uint8),
    }
)
"""torch dtypes that numpy knows only by ml_dtypes, with the integer dtype that carries their bits across."""

_FROM_NUMPY = {np.dtype(kind): (dtype, carrier) for dtype, (kind, carrier) in _BORROWED.items()}

NARROW_TYPES: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {
        TensorProto.UINT4: np.dtype(ml_dtypes.uint4),
        TensorProto.INT4: np.dtype(ml_dtypes.int4),
        TensorProto.UINT2: np.dtype(ml_dtypes.uint2),
        TensorProto.INT2: np.dtype(ml_dtypes.int2),
        TensorProto.FLOAT4E2M1: np.dtype(ml_dtypes.float4_e2m1fn),
        TensorProto.FLOAT8E8M0: np.dtype(ml_dtypes.float8_e8m0fnu),
        **{
            number: np.dtype(kind)
            for name, kind in (
                ("FLOAT6E2M3", ml_dtypes.float6_e2m3fn),
                ("FLOAT6E3M2", ml_dtypes.float6_e3m2fn),
            )
            if (number := dict(TensorProto.DataType.items()).get(name)) is not None
        },
    }
)
"""ONNX element type → ml_dtypes type, for the types that live in a `Narrow`."""

_FROM_NARROW = {kind: number for number, kind in NARROW_TYPES.items()}

INTEGER_RANGES: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        TensorProto.UINT2: (0, 3),
        TensorProto.INT2: (-2, 1),
        TensorProto.UINT4: (0, 15),
        TensorProto.INT4: (-8, 7),
        TensorProto.UINT8: (0, 255),
        TensorProto.INT8: (-128, 127),
        TensorProto.UINT16: (0, 65535),
        TensorProto.INT16: (-32768, 32767),
        TensorProto.UINT32: (0, 2**32 - 1),
        TensorProto.INT32: (-(2**31), 2**31 - 1),
        TensorProto.UINT64: (0, 2**64 - 1),
        TensorProto.INT64: (-(2**63), 2**63 - 1),
    }
)
"""ONNX integer type → its smallest and largest value."""

_SIGNED_STORAGE = frozenset({TensorProto.INT4, TensorProto.INT2})
_UNSIGNED_STORAGE = frozenset({TensorProto.UINT4, TensorProto.UINT2})


@dataclass(frozen=True, eq=False)
class Narrow:
    """A tensor of an element type that torch cannot hold.

    `storage` has one byte an element: the value itself for integers (int8 or uint8), the bit pattern for
    floats (uint8). `element_type` is the ONNX number.
    """

    storage: Tensor
    element_type: int

    @property
    def shape(self) -> torch.Size:
        """Axis lengths, in elements."""
        return self.storage.shape

    @property
    def ndim(self) -> int:
        """The rank."""
        return self.storage.ndim

    @property
    def device(self) -> torch.device:
        """Where the storage lies."""
        return self.storage.device

    @property
    def is_integer(self) -> bool:
        """Whether the elements are integers (then `storage` holds their values)."""
        return self.element_type in INTEGER_RANGES

    def with_storage(self, storage: Tensor) -> Narrow:
        """The same type around other bytes: what a reshape, a transpose or a gather leaves."""
        return Narrow(storage, self.element_type)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Narrow:
        """The same values on another device."""
        return self.with_storage(self.storage.to(device, non_blocking=non_blocking))


Value = Tensor | Narrow | Strings
"""One ONNX tensor value at run time."""


def element_type(value: Value) -> int:
    """The ONNX element type number of a value."""
    if isinstance(value, Narrow):
        return value.element_type
    if isinstance(value, np.ndarray):
        return TensorProto.STRING
    return _ELEMENT_TYPES[value.dtype]


def to_value(array: np.ndarray[Any, Any] | np.generic) -> Value:
    """The value for a numpy array; memory is shared where the array is writable and torch knows its dtype."""
    array = np.asarray(array)
    if array.dtype.kind in "OUS":
        texts = [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel().tolist()]
        strings = np.empty(len(texts), dtype=object)
        strings[:] = texts
        return strings.reshape(array.shape)
    if array.dtype in _FROM_NARROW:
        kind = _FROM_NARROW[array.dtype]
        if kind in _SIGNED_STORAGE:
            return Narrow(torch.from_numpy(array.astype(np.int8)), kind)
        if kind in _UNSIGNED_STORAGE:
            return Narrow(torch.from_numpy(array.astype(np.uint8)), kind)
        return Narrow(torch.from_numpy(array.copy().view(np.uint8)), kind)
    if not array.flags.writeable or not array.flags.c_contiguous or not array.dtype.isnative:
        array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    if array.dtype in _FROM_NUMPY:
        dtype, carrier = _FROM_NUMPY[array.dtype]
        bits = np.int16 if carrier == torch.int16 else np.uint8
        return torch.from_numpy(array.view(bits)).view(dtype)
    return torch.from_numpy(array)


def to_array(value: Value) -> np.ndarray[Any, Any]:
    """The numpy array of a value (ml_dtypes types where numpy has none); detached, on the CPU."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Narrow):
        stored = value.storage.cpu().numpy()
        kind = NARROW_TYPES[value.element_type]
        return stored.astype(kind) if value.is_integer else np.array(stored, order="C").view(kind)
    tensor = value.detach().cpu()
    if tensor.dtype in _BORROWED:
        kind, carrier = _BORROWED[tensor.dtype]
        return tensor.contiguous().view(carrier).numpy().view(kind)
    return tensor.resolve_conj().resolve_neg().numpy()


def carried(function: Callable[[Tensor], Tensor], value: Tensor | Narrow) -> Tensor | Narrow:
    """Apply a function that only moves elements, to a tensor or to the storage of a `Narrow`."""
    if isinstance(value, Narrow):
        return value.with_storage(function(value.storage))
    return function(value)


@cache
def _decoded(kind: int) -> Tensor:
    """float32 value of every byte of a narrow float type."""
    codes = np.arange(256, dtype=np.uint8)
    bits = ml_dtypes.finfo(NARROW_TYPES[kind]).bits
    return torch.from_numpy((codes & ((1 << bits) - 1)).view(NARROW_TYPES[kind]).astype(np.float32))


def widen(value: Tensor | Narrow) -> Tensor:
    """A tensor torch can compute with: float32 for floats under 16 bits, (u)int8 for narrow integers."""
    if isinstance(value, Narrow):
        if value.is_integer:
            return value.storage
        return _decoded(value.element_type).to(value.device)[value.storage.long()]
    return value.float() if value.dtype.itemsize == 1 and value.dtype.is_floating_point else value


def pack(tensor: Tensor, kind: int) -> Tensor | Narrow:
    """Round a tensor to an element type: floats to nearest even, integers by keeping the low bits.

    Overflow follows the type (infinity, NaN or the largest value); callers that saturate clamp first.
    """
    if kind in TORCH_TYPES and TORCH_TYPES[kind] not in _BORROWED:
        return tensor.to(TORCH_TYPES[kind])
    if kind == TensorProto.BFLOAT16:
        return tensor.to(torch.bfloat16)
    if kind in _SIGNED_STORAGE | _UNSIGNED_STORAGE:
        bits = 4 if kind in (TensorProto.INT4, TensorProto.UINT4) else 2
        low = tensor.to(torch.int64) & ((1 << bits) - 1)
        if kind in _UNSIGNED_STORAGE:
            return Narrow(low.to(torch.uint8), kind)
        return Narrow(torch.where(low >= 1 << (bits - 1), low - (1 << bits), low).to(torch.int8), kind)
    codes = _codes(tensor, kind)
    return Narrow(codes, kind) if kind in NARROW_TYPES else codes.view(TORCH_TYPES[kind])


def _codes(tensor: Tensor, kind: int) -> Tensor:
    """The byte of every element, rounded to the nearest of a type's values, half to even."""
    grid = _grid(kind)
    size = tensor.detach().double()
    middles = grid.middles.to(size.device, non_blocking=True)
    low, high = (torch.bucketize(size.abs(), middles, right=side) for side in (False, True))
    code = torch.where(low % 2 == 0, low, high)  # they differ in the middle between two values only
    code = torch.where(code == len(middles), grid.beyond, code)
    code = torch.where(size.isnan(), grid.missing, code)
    signed = torch.signbit(size) & (code != grid.unsigned) & (code < grid.sign)
    return torch.where(signed, code + grid.sign, code).to(torch.uint8)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The codes of a float type: the middles between its values from 0 on, and the bytes of what is none.

    `beyond` stands for what is larger than any value, `missing` for NaN, `sign` is the bit of the sign and
    `unsigned` the code that takes none (-1: there is no such one).
    """

    middles: Tensor
    beyond: int
    missing: int
    sign: int
    unsigned: int


@cache
def _grid(kind: int) -> _Grid:
    target = NARROW_TYPES[kind] if kind in NARROW_TYPES else np.dtype(_BORROWED[TORCH_TYPES[kind]][0])
    sign = 1 << (ml_dtypes.finfo(target).bits - 1)
    values = np.arange(sign, dtype=np.uint8).view(target).astype(np.float64)
    values = values[np.isfinite(values)]
    after = np.append(values[1:], 2 * values[-1] - values[-2])
    with np.errstate(all="ignore"):
        special = np.array([np.inf, np.nan, -0.0]).astype(target).view(np.uint8)
    beyond, missing, zero = (int(code) for code in special)
    return _Grid(torch.from_numpy((values + after) / 2), beyond, missing, sign, 0 if zero == 0 else -1)
