"""What is one element of a stored tensor? Element types as torch, safetensors, NumPy and ONNX call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx

__all__ = ["Element", "by_numpy", "by_safetensors", "by_storage_class", "by_torch"]


@dataclass(frozen=True)
class Element:
    """An element type; `note` says where the ONNX type `onnx` is not the whole truth."""

    name: str
    bytes: int
    onnx: int
    numpy: np.dtype[Any]
    parts: int = 1
    """Numbers in an element: 2 for complex, each swapped on its own in big-endian files."""
    note: str = ""


def _element(name: str, data_type: str, numpy: Any, parts: int = 1, note: str = "") -> Element:
    dtype = np.dtype(numpy)
    return Element(name, dtype.itemsize, getattr(onnx.TensorProto, data_type), dtype, parts, note)


_PACKED = "ONNX stores the packed bytes, {}"
_ELEMENTS = (
    _element("float64", "DOUBLE", np.float64),
    _element("float32", "FLOAT", np.float32),
    _element("float16", "FLOAT16", np.float16),
    _element("bfloat16", "BFLOAT16", ml_dtypes.bfloat16),
    _element("float8_e4m3fn", "FLOAT8E4M3FN", ml_dtypes.float8_e4m3fn),
    _element("float8_e4m3fnuz", "FLOAT8E4M3FNUZ", ml_dtypes.float8_e4m3fnuz),
    _element("float8_e5m2", "FLOAT8E5M2", ml_dtypes.float8_e5m2),
    _element("float8_e5m2fnuz", "FLOAT8E5M2FNUZ", ml_dtypes.float8_e5m2fnuz),
    _element("float8_e8m0fnu", "FLOAT8E8M0", ml_dtypes.float8_e8m0fnu),
    _element("float4_e2m1fn_x2", "UINT8", np.uint8, note=_PACKED.format("two 4-bit floats in each")),
    _element("complex64", "COMPLEX64", np.complex64, 2),
    _element("complex128", "COMPLEX128", np.complex128, 2),
    _element("bool", "BOOL", np.bool_),
    _element("uint8", "UINT8", np.uint8),
    _element("uint16", "UINT16", np.uint16),
    _element("uint32", "UINT32", np.uint32),
    _element("uint64", "UINT64", np.uint64),
    _element("int8", "INT8", np.int8),
    _element("int16", "INT16", np.int16),
    _element("int32", "INT32", np.int32),
    _element("int64", "INT64", np.int64),
    _element("quint8", "UINT8", np.uint8, note="quantised: the stored integers are kept"),
    _element("qint8", "INT8", np.int8, note="quantised: the stored integers are kept"),
    _element("qint32", "INT32", np.int32, note="quantised: the stored integers are kept"),
    _element("quint4x2", "UINT8", np.uint8, note=_PACKED.format("two 4-bit integers in each")),
    _element("quint2x4", "UINT8", np.uint8, note=_PACKED.format("four 2-bit integers in each")),
    _element("bits8", "UINT8", np.uint8, note="untyped bits"),
    _element("bits16", "UINT16", np.uint16, note="untyped bits"),
    _element("complex32", "UINT32", np.uint32, 2, "no ONNX type: two half floats share an integer"),
)
_BY_NAME = {element.name: element for element in _ELEMENTS}

_ALIASES = {
    "double": "float64",
    "float": "float32",
    "half": "float16",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "cfloat": "complex64",
    "cdouble": "complex128",
    "chalf": "complex32",
}
_SUB_BYTE = {f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)}

_STORAGE_CLASSES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QUInt8Storage": "quint8",
    "QInt8Storage": "qint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
    "UntypedStorage": "uint8",
    "_UntypedStorage": "uint8",
}

_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "BOOL": "bool",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
}


def by_torch(name: str) -> Element | None:
    """The element of a torch dtype: "float32", "torch.bfloat16"."""
    short = name.removeprefix("torch.")
    if short in _SUB_BYTE:
        return Element(short, 1, onnx.TensorProto.UINT8, np.dtype(np.uint8), 1, "ONNX stores the raw bytes")
    return _BY_NAME.get(_ALIASES.get(short, short))


def by_storage_class(path: str) -> Element | None:
    """The element of a torch storage class: "torch.FloatStorage", "torch.cuda.HalfStorage"."""
    module, _, name = path.rpartition(".")
    known = _STORAGE_CLASSES.get(name) if module.split(".")[0] == "torch" else None
    return _BY_NAME[known] if known else None


def by_safetensors(name: str) -> Element | None:
    """The element of a safetensors dtype: "F32", "BF16"."""
    known = _SAFETENSORS.get(name)
    return _BY_NAME[known] if known else None


def by_numpy(dtype: np.dtype[Any]) -> Element | None:
    """The element of a NumPy or ml_dtypes dtype, whatever its byte order; None for objects and texts."""
    plain = dtype.newbyteorder("=") if dtype.byteorder in "<>" else dtype
    return next((e for e in _ELEMENTS if e.numpy == plain and not e.note), None)
