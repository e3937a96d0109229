"""Where does a weight lie, and what is in it? Tensors read in place, wherever the file keeps them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from converters.provenance import Source, read_sources
from inspector import dtypes
from inspector.errors import BadFile

__all__ = ["Weight", "check_stored", "external_place", "load_tensor", "tensor_bytes"]

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["initializer", "constant", "sparse", "filled"]


@dataclass(frozen=True, eq=False)
class Weight:
    """One constant tensor of the model.

    `key` is its value's key in the model; `kind` tells how the file stores it: as an initializer, in a
    `Constant` node, sparse, or as the fill of a `ConstantOfShape` node (`filled`, no bytes stored).
    `dtype` is the readable ONNX element type; `nbytes` counts ONNX storage, also for packed types.
    """

    key: str
    name: str
    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    tensor: onnx.TensorProto | onnx.SparseTensorProto
    folder: Path

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def sources(self) -> list[Source]:
        """The tensors of the source file that this weight holds, with the steps that restore them."""
        if isinstance(self.tensor, onnx.SparseTensorProto):
            return [Source(self.name)]
        return [Source(s.name or self.name, s.restore) for s in read_sources(self.tensor)]

    def array(self) -> Array:
        """The values with axes in ONNX order; read-only and memory-mapped where they lie in a file.

        Element types that NumPy lacks come from ml_dtypes; sub-byte types take one byte an element;
        strings come as an object array of bytes.

        Raises:
            BadFile: the stored bytes are missing, outside the folder, or not as many as the shape needs.
        """
        if isinstance(self.tensor, onnx.SparseTensorProto):
            return _densify(self.tensor, self.folder)
        array = load_tensor(self.tensor, self.folder)
        return (
            np.broadcast_to(array.reshape(-1)[:1].reshape(()), self.shape) if self.kind == "filled" else array
        )


def load_tensor(tensor: onnx.TensorProto, folder: Path) -> Array:
    """The values of any `TensorProto`, mapped in place when they are external data."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        _check_inline(tensor)
        array = onnx.numpy_helper.to_array(tensor)
        array.flags.writeable = False
        return array
    stored = tensor_bytes(tensor, folder)
    shape = tuple(tensor.dims)
    if dtypes.is_packed(tensor.data_type):
        inline = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=stored.tobytes())
        return onnx.numpy_helper.to_array(inline)
    return stored.view(dtypes.numpy_of(tensor.data_type)).reshape(shape)


def tensor_bytes(tensor: onnx.TensorProto, folder: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The raw little-endian bytes of an external tensor, memory-mapped and read-only."""
    path, offset, length = external_place(tensor, folder)
    if length == 0:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, "r", offset, (length,))


def external_place(tensor: onnx.TensorProto, folder: Path) -> tuple[Path, int, int]:
    """File, offset and length of external data, checked against the folder, the file and the shape.

    Raises:
        BadFile: the location leaves the folder (also through a link), the file is missing, or the place
            does not hold exactly the bytes that the shape needs.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    who = f"tensor {tensor.name!r}"
    location = entries.get("location", "")
    path = _inside(folder, location, who)
    needed = _byte_count(tensor)
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or needed)
        size = path.stat().st_size
    except ValueError:
        raise BadFile(
            f"{who}: offset {entries.get('offset')!r} or length {entries.get('length')!r} is no whole number."
        ) from None
    except OSError:
        raise BadFile(
            f"{who}: the file {location!r} is missing. It must lie beside the model, in {folder}."
        ) from None
    if offset < 0 or length < 0 or offset + length > size:
        raise BadFile(
            f"{who}: bytes {offset} to {offset + length} lie outside {location!r}, which has {size} bytes. "
            "The file is truncated or belongs to another model."
        )
    if length != needed:
        raise BadFile(
            f"{who}: {length} bytes are stored, shape {list(tensor.dims)} of "
            f"{dtypes.name_of(tensor.data_type)} needs {needed}."
        )
    return path, offset, length


def _inside(folder: Path, location: str, who: str) -> Path:
    path = folder / location
    if not location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise BadFile(f"{who}: the location {location!r} leaves the model's folder; it is not read.")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadFile(f"{who}: {location!r} is a link out of the model's folder; it is not read.")
    return path


def _byte_count(tensor: onnx.TensorProto) -> int:
    return dtypes.byte_count(tensor.data_type, _elements(tensor.dims, tensor.name))


def _elements(dims: Sequence[int], name: str) -> int:
    if any(d < 0 for d in dims):
        raise BadFile(f"tensor {name!r}: shape {list(dims)} has a negative size.")
    return math.prod(dims)


def check_stored(tensor: onnx.TensorProto, folder: Path) -> None:
    """Raise `BadFile` unless exactly the bytes that the shape needs are stored where the tensor says."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        external_place(tensor, folder)
    else:
        _check_inline(tensor)


_TYPED_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def _check_inline(tensor: onnx.TensorProto) -> None:
    """Refuse a shape that the stored bytes cannot fill, before anything is allocated for it."""
    elements = _elements(tensor.dims, tensor.name)
    if dtypes.name_of(tensor.data_type).startswith("type ") or not tensor.data_type:
        raise BadFile(f"tensor {tensor.name!r}: element type {tensor.data_type} does not exist in ONNX.")
    stored = sum(len(getattr(tensor, name)) for name in _TYPED_FIELDS)
    if tensor.raw_data or not stored:
        needed, found, unit = _byte_count(tensor), len(tensor.raw_data), "bytes"
    else:
        per = 2 if dtypes.name_of(tensor.data_type).startswith("complex") else 1
        packed = 8 // dtypes.bits(tensor.data_type) if dtypes.is_packed(tensor.data_type) else 1
        needed, found, unit = -(-elements // packed) * per, stored, "numbers"
    if needed != found:
        raise BadFile(
            f"tensor {tensor.name!r}: {found} {unit} are stored, shape {list(tensor.dims)} of "
            f"{dtypes.name_of(tensor.data_type)} needs {needed}."
        )


def _densify(sparse: onnx.SparseTensorProto, folder: Path) -> Array:
    values = load_tensor(sparse.values, folder)
    indices = load_tensor(sparse.indices, folder)
    shape = tuple(sparse.dims)
    elements = _elements(sparse.dims, sparse.values.name)
    flat = np.ravel_multi_index(tuple(indices.T), shape) if indices.ndim == 2 else indices
    if flat.size and (flat.min() < 0 or flat.max() >= elements):
        raise BadFile(f"sparse tensor {sparse.values.name!r}: an index lies outside shape {list(shape)}.")
    dense = np.zeros(elements, values.dtype)
    dense[flat] = values
    return dense.reshape(shape)
