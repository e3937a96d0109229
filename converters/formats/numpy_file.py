"""Arrays in `.npy` and `.npz` files; arrays of Python objects are not decoded."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from converters.elements import Element, by_numpy
from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, Place, Storage, packed_strides
from converters.provenance import Origin
from converters.registry import Conversion, Options, format
from converters.torch_loading import convert_weights, run_weights
from converters.torch_oracle import Outputs, Samples
from converters.verify import register_oracle
from converters.weight_graph import NamedTensor, weight_conversion
from converters.zip_archive import Archive, open_archive
from converters.zip_kind import zip_kind

__all__ = ["convert_npy", "convert_npz"]

_MAGIC = b"\x93NUMPY"
MAX_HEADER = 64 << 10
"""Bytes of an array's header, which is one short dictionary."""


BytesOf = Callable[[int, int, Element], Storage]
"""The storage of so many bytes behind so many others."""


@format("npy", suffixes=(".npy",), gives=("weights",), recognises=lambda head, path: head.startswith(_MAGIC))
def convert_npy(path: Path, options: Options) -> Conversion:
    """One NumPy array."""
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)

    def bytes_of(skip: int, length: int, element: Element) -> Storage:
        return Storage(path.name, element, length // element.bytes, Place(path.resolve(), skip, length))

    tensor = _array(head, str(path), path.stat().st_size, bytes_of)
    if tensor is None:
        raise BadFile(f"{path}: an array of Python objects, texts or records; only numbers are read.")
    return weight_conversion(path, [(path.stem, tensor)], Origin("npy", "numpy", "", "", path.name), [])


def _is_npz(head: bytes, path: Path) -> bool:
    return zip_kind(head, path) == "numpy"


@format(
    "npz",
    suffixes=(".npz",),
    gives=("weights",),
    recognises=_is_npz,
)
def convert_npz(path: Path, options: Options) -> Conversion:
    """Named NumPy arrays, packed or not."""
    named, said = _read_npz(path)
    return convert_weights(path, named, options, Origin("npz", "numpy", "", "", path.name), said)


@register_oracle("npz")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    return run_weights(Path(source), _read_npz(Path(source))[0], options, folder, samples)


def _read_npz(path: Path) -> tuple[list[NamedTensor], list[str]]:
    """The arrays of numbers, and a sentence about the others."""
    archive = open_archive(path.resolve())
    read = {name.removesuffix(".npy"): _member(archive, name) for name in archive.entries}
    named = [(name, tensor) for name, tensor in read.items() if tensor is not None]
    others = [name for name, tensor in read.items() if tensor is None]
    said = [f"not shown, since not numbers: {', '.join(others[:20])}"] if others else []
    if not named:
        raise BadFile(f"{path}: holds no arrays of numbers. {' '.join(said)}")
    return named, said


def _member(archive: Archive, name: str) -> LazyTensor | None:
    entry = archive.entry(name)
    head = b""
    for piece in archive.chunks(name):
        head += piece
        if len(head) >= min(MAX_HEADER, entry.size):
            break

    def bytes_of(skip: int, length: int, element: Element) -> Storage:
        count = length // element.bytes
        if entry.stored:
            return Storage(name, element, count, Place(archive.path, entry.offset + skip, length))
        return Storage(name, element, count, read=lambda: archive.read(name)[skip : skip + length])

    return _array(head, f"{archive.path}: {name}", entry.size, bytes_of)


def _array(head: bytes, where: str, size: int, bytes_of: BytesOf) -> LazyTensor | None:
    """The array that a `.npy` header describes; None if its elements are not numbers."""
    fields, skip = _header(head, where)
    shape, order = fields.get("shape"), "F" if fields.get("fortran_order") else "C"
    if not isinstance(shape, tuple) or any(type(n) is not int or not 0 <= n < 1 << 62 for n in shape):
        raise BadFile(f"{where}: the shape {str(shape)[:80]} is not a tuple of whole numbers.")
    try:
        dtype = np.dtype(fields["descr"]) if isinstance(fields.get("descr"), str) else None
    except TypeError:
        raise BadFile(f"{where}: the dtype {str(fields['descr'])[:40]!r} does not exist.") from None
    element = by_numpy(dtype) if dtype is not None else None
    if dtype is None or element is None:
        return None
    length = math.prod(shape) * element.bytes
    if skip + length != size:
        raise BadFile(
            f"{where}: shape {list(shape)} of {element.name} needs {length:,} bytes, {size - skip:,} follow: "
            "cut off, or the file lies about its size."
        )
    storage = bytes_of(skip, length, element)
    storage.big_endian = dtype.byteorder == ">"
    return LazyTensor(storage, element, shape, packed_strides(shape, order))


def _header(head: bytes, where: str) -> tuple[dict[str, Any], int]:
    """The fields of the header and how many bytes it takes."""
    wide = head[6:7] != b"\x01"
    start = 12 if wide else 10
    length = int.from_bytes(head[8:start], "little")
    if not head.startswith(_MAGIC) or start + length > len(head):
        raise BadFile(f"{where}: the NumPy header is damaged or longer than {MAX_HEADER:,} bytes.")
    try:
        fields = ast.literal_eval(head[start : start + length].decode("utf-8" if wide else "latin-1"))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        fields = None
    if not isinstance(fields, dict):
        raise BadFile(f"{where}: the header of the NumPy array is not a dictionary. Get another copy.")
    return fields, start + length
