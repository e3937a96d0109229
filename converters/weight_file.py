"""Where do converted weights live? One aligned file beside the graph, written as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx

from converters.provenance import Source, write_sources

__all__ = ["INLINE_BYTES", "WeightFile", "reference", "spill"]

INLINE_BYTES = 1024
"""Tensors below this size stay in the graph: shape inference reads them, and mapping them gains nothing."""

_ALIGNMENT = 64
"""Start of each tensor in the file: a cache line, and enough for every vector instruction."""


class WeightFile:
    """Appends tensors to `folder/name` and returns the `TensorProto`s that refer to them.

    Use it as a context manager; a failure inside removes the file.
    """

    def __init__(self, folder: Path, name: str = "weights.bin") -> None:
        self.folder = folder
        self.name = name
        self._file: BinaryIO | None = None

    def __enter__(self) -> WeightFile:
        self._file = (self.folder / self.name).open("xb")
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        if self._file is not None:
            self._file.close()
        if kind is not None:
            (self.folder / self.name).unlink(missing_ok=True)

    def add(
        self, name: str, array: np.ndarray[Any, Any], sources: Sequence[Source] | None = None
    ) -> onnx.TensorProto:
        """Store one array (any NumPy or ml_dtypes dtype) and return its initializer."""
        data_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        if array.nbytes < INLINE_BYTES or data_type in _PACKED or data_type == onnx.TensorProto.STRING:
            tensor = onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)
        else:
            tensor = self.add_bytes(
                name, data_type, array.shape, [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data]
            )
        tensor.name = name
        if sources is not None:
            write_sources(tensor, sources)
        return tensor

    def add_bytes(
        self, name: str, data_type: int, shape: Sequence[int], chunks: Iterable[bytes | memoryview]
    ) -> onnx.TensorProto:
        """Store raw little-endian bytes given in pieces."""
        if self._file is None:
            raise RuntimeError("WeightFile is used outside its with block")
        start = -(-self._file.tell() // _ALIGNMENT) * _ALIGNMENT
        self._file.write(b"\0" * (start - self._file.tell()))
        for chunk in chunks:
            self._file.write(chunk)
        tensor = onnx.TensorProto(name=name, data_type=data_type, dims=shape)
        reference(tensor, self.name, start, self._file.tell() - start)
        return tensor


_PACKED = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ("INT4", "UINT4", "INT2", "UINT2", "FLOAT4E2M1")
    if hasattr(onnx.TensorProto, name)
)


def reference(tensor: onnx.TensorProto, location: str, offset: int, length: int) -> None:
    """Make a tensor refer to bytes of a file instead of holding them."""
    tensor.ClearField("raw_data")
    tensor.ClearField("external_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value=str(offset))
    tensor.external_data.add(key="length", value=str(length))


def spill(tensor: onnx.TensorProto, file: WeightFile) -> None:
    """Move the bytes of a large inline tensor to the file, in place."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.data_type == onnx.TensorProto.STRING:
        return
    raw = tensor.raw_data
    if not raw:
        typed = onnx.numpy_helper.to_array(tensor)
        if typed.nbytes < INLINE_BYTES:
            return
        raw = onnx.numpy_helper.from_array(typed).raw_data
    if len(raw) < INLINE_BYTES:
        return
    stored = file.add_bytes(tensor.name, tensor.data_type, list(tensor.dims), [raw])
    for field in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
        tensor.ClearField(field)
    where = {entry.key: entry.value for entry in stored.external_data}
    reference(tensor, where["location"], int(where["offset"]), int(where["length"]))
