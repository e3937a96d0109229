"""How do numbers that NumPy has no type for (bfloat16, float8, int4, …) enter and leave ONNX Runtime?

Its arrays cannot hold them, its own values can: their bytes are read and written in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from inspector import dtypes

__all__ = ["is_narrow", "read_value", "write_value"]

Array = np.ndarray[Any, np.dtype[Any]]

_NAMES = frozenset(
    f"tensor({name.lower()})"
    for name, number in onnx.TensorProto.DataType.items()
    if number and dtypes.is_foreign(dtypes.numpy_of(number))
)


def is_narrow(kind: str) -> bool:
    """Whether ONNX Runtime's name of a type, such as "tensor(bfloat16)", means one that NumPy lacks."""
    return kind in _NAMES


def read_value(value: Any) -> Array:
    """The elements of a value in the host's memory, in ml_dtypes' type; a copy."""
    tensor = onnx.TensorProto(data_type=value.element_type(), dims=value.shape())
    tensor.raw_data = _memory(value).tobytes()
    return onnx.numpy_helper.to_array(tensor)


def write_value(array: Array) -> Any:
    """An array of one of ml_dtypes' types as a value in the host's memory; a copy."""
    tensor = onnx.numpy_helper.from_array(array)
    value = ort.OrtValue.ortvalue_from_shape_and_type(list(array.shape), tensor.data_type, "cpu")
    _memory(value)[:] = np.frombuffer(tensor.raw_data, np.uint8)
    return value


class _Bytes:
    """What NumPy needs to see a value's memory, and to keep it alive."""

    def __init__(self, value: Any) -> None:
        self.value = value
        size = value.tensor_size_in_bytes()
        self.__array_interface__ = {
            "data": (value.data_ptr(), False), "shape": (size,), "typestr": "|u1", "version": 3,
        }  # fmt: skip


def _memory(value: Any) -> Array:
    return np.asarray(_Bytes(value))
