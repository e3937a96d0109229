"""Which element type is it? ONNX numbers, readable names, NumPy dtypes and bits, stated once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

__all__ = ["bits", "byte_count", "is_floating", "is_foreign", "is_packed", "name_of", "number_of", "numpy_of"]

_SPELLED = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT4E2M1": "float4_e2m1fn",
}
_NAMES: dict[int, str] = {
    number: _SPELLED.get(key, key.lower()) for key, number in onnx.TensorProto.DataType.items() if number
}
_NUMBERS: dict[str, int] = {name: number for number, name in _NAMES.items()}
_PACKED_BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}


def name_of(elem_type: int) -> str:
    """The readable name: 1 → "float32". Unknown numbers are spelled "type 99"."""
    return _NAMES.get(elem_type, f"type {elem_type}" if elem_type else "")


def number_of(name: str) -> int:
    """The ONNX number of a readable name."""
    return _NUMBERS[name]


def numpy_of(elem_type: int) -> np.dtype[Any]:
    """The NumPy dtype, from ml_dtypes where NumPy has none; sub-byte types take one byte an element."""
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(elem_type))


def is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether it is one of ml_dtypes' types (bfloat16, float8, int4, …), which NumPy itself lacks."""
    return dtype.isbuiltin == 2


def is_packed(elem_type: int) -> bool:
    """Whether several elements share a byte in ONNX storage."""
    return name_of(elem_type) in _PACKED_BITS


def is_floating(elem_type: int) -> bool:
    """Whether elements are real floating-point numbers of any width."""
    return "float" in name_of(elem_type)


def bits(elem_type: int) -> int:
    """Storage bits of one element; 0 for strings and unknown types."""
    name = name_of(elem_type)
    if name in _PACKED_BITS:
        return _PACKED_BITS[name]
    if name in ("", "string") or name.startswith("type "):
        return 0
    return numpy_of(elem_type).itemsize * 8


def byte_count(elem_type: int, elements: int) -> int:
    """Bytes that ONNX storage needs for so many elements."""
    return -(-elements * bits(elem_type) // 8)
