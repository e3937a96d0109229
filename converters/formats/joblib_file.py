"""Arrays that `joblib.dump` wrote, plain or packed by LZ4, zlib, gzip, bzip2 or xz; nothing of it is run."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lz4.frame  # pyright: ignore[reportMissingTypeStubs]
import numpy as np

from converters.elements import by_numpy
from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, Storage, packed_strides
from converters.pickle_machine import Global, Machine
from converters.provenance import Origin
from converters.registry import Conversion, Options, format
from converters.stub_unpickler import Stub
from converters.torch_loading import convert_weights, run_weights
from converters.torch_oracle import Outputs, Samples
from converters.verify import register_oracle
from converters.weight_graph import NamedTensor

__all__ = ["convert_joblib"]

MAX_BYTES = 4 << 30
"""The largest content unpacked: a small file may claim to hold terabytes."""

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_NAMED = b"joblib.numpy_pickle"
"""Stands in the pickle in front of the first array."""

_START = 4096
_MAX_DEPTH = 64
_PACKERS: dict[bytes, Any] = {
    b"\x04\x22\x4d\x18": lz4.frame.open,
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x5d\x00\x00": lzma.open,
}
_ZLIB = b"\x78"
_FAULTS = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError)


def _recognises(head: bytes, path: Path) -> bool:
    try:
        return _NAMED in (head if head.startswith(b"\x80") else _unpacked(path, head, _START))
    except _FAULTS:
        return False


@format("joblib", suffixes=(".joblib", ".lz4"), gives=("weights",), recognises=_recognises)
def convert_joblib(path: Path, options: Options) -> Conversion:
    """NumPy arrays in what joblib dumped, packed or not."""
    named, said = _read(path)
    return convert_weights(path, named, options, Origin("joblib", "numpy", "", "", path.name), said)


@register_oracle("joblib")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    return run_weights(Path(source), _read(Path(source))[0], options, folder, samples)


def _read(path: Path) -> tuple[list[NamedTensor], list[str]]:
    """The arrays of numbers under their names, and what must be known of these."""
    with path.open("rb") as file:
        head = file.read(_START)
    try:
        data = path.read_bytes() if head.startswith(b"\x80") else _unpacked(path, head, MAX_BYTES + 1)
    except _FAULTS as cause:
        raise BadFile(
            f"{path}: cannot be unpacked ({cause}). The file is damaged; get another copy."
        ) from None
    if len(data) > MAX_BYTES:
        raise BadFile(f"{path}: more than {MAX_BYTES >> 30} GiB once unpacked; no such file is read.")
    host = _Arrays(memoryview(data), str(path))
    root = host.machine.run()
    if isinstance(root, list) and root and all(isinstance(item, LazyTensor) for item in root):
        said = "the file holds a list without names: each kernel begins a layer, arrays are numbered in it"
        return list(_by_layer(root)), [said]
    named = list(_inside(root))
    if not named:
        raise BadFile(f"{path}: holds no arrays of numbers.")
    return named, []


def _unpacked(path: Path, head: bytes, most: int) -> bytes:
    """At most so many bytes of the content."""
    if head.startswith(_ZLIB):
        with path.open("rb") as file:
            stream = zlib.decompressobj()
            found = stream.decompress(file.read(), most)
        if len(found) < most and not stream.eof:
            raise EOFError("the end is missing")
        return found
    opener = next((opener for magic, opener in _PACKERS.items() if head.startswith(magic)), None)
    if opener is None:
        return b""
    with closing(opener(path, "rb")) as file:
        return file.read(most)


class _Arrays:
    """The pickle's host: joblib's wrappers become the arrays whose bytes follow them, all else is inert."""

    def __init__(self, data: memoryview, where: str) -> None:
        self.machine = Machine(data, self)
        self._data, self._where = data, where

    def refer(self, name: Global) -> None:
        """A name; never looked up."""

    def call(self, function: object, args: object, kwargs: object, how: str) -> object:
        """A description of a dtype, or of an object that is not made."""
        given = args if isinstance(args, tuple) else (args,)
        path = function.path if isinstance(function, Global) else type(function).__name__
        if path == "numpy.dtype" and given and isinstance(given[0], str):
            return _Dtype(given[0])
        return Stub(path, given, kwargs, how)

    def build(self, value: object, state: object) -> object:
        """A dtype in its byte order, an array, or the stub with its state."""
        if isinstance(value, _Dtype):
            order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
            return _Dtype(value.spelled, order if order in ("<", ">") else "=")
        if isinstance(value, Stub):
            value.state = state
            return self._array(value) if value.path == _WRAPPER else value
        return value

    def append(self, value: object, items: list[object]) -> None:
        """Items of an object that is not made."""
        self._stub(value).items.extend(items)

    def store(self, value: object, items: list[object]) -> None:
        """Keys and values of an object that is not made."""
        self._stub(value).items.extend(items)

    def persistent(self, reference: object) -> object:
        """Refused: joblib writes none."""
        raise BadFile(f"{self._where}: refers to an object outside the file.")

    def _stub(self, value: object) -> Stub:
        if not isinstance(value, Stub):
            raise BadFile(f"{self._where}: the pickle adds items to a {type(value).__name__}.")
        return value

    def _array(self, wrapper: Stub) -> LazyTensor:
        found = wrapper.attributes
        shape, order, spelled = found.get("shape"), found.get("order", "C"), found.get("dtype")
        if not isinstance(shape, tuple) or any(type(n) is not int or not 0 <= n < 1 << 62 for n in shape):
            raise BadFile(f"{self._where}: the shape {str(shape)[:80]} is not a tuple of whole numbers.")
        dtype = spelled.dtype if isinstance(spelled, _Dtype) else None
        element = by_numpy(dtype) if dtype is not None else None
        if dtype is None or element is None or order not in ("C", "F"):
            kind = spelled.spelled if isinstance(spelled, _Dtype) else str(spelled)
            raise BadFile(f"{self._where}: an array of {kind[:40]}; only numbers are read.")
        if found.get("numpy_array_alignment_bytes") is not None:
            self.machine.take(self.machine.copy(1)[0])
        length = math.prod(shape) * element.bytes
        start = self.machine.take(length)
        storage = Storage(
            f"array at byte {start}", element, math.prod(shape),
            read=lambda: bytes(self._data[start : start + length]), big_endian=dtype.byteorder == ">",
        )  # fmt: skip
        return LazyTensor(storage, element, shape, packed_strides(shape, order))


@dataclass(frozen=True)
class _Dtype:
    spelled: str
    order: str = "="

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """NumPy's, or None where it has none of that name or it holds no numbers."""
        try:
            found = np.dtype(self.spelled)
        except TypeError:
            return None
        return found.newbyteorder("<" if self.order == "=" else self.order)  # pyright: ignore[reportArgumentType]


def _by_layer(tensors: list[LazyTensor]) -> Iterator[NamedTensor]:
    """Names for a list without any: a kernel with the vector behind it, then each further array alone."""
    layer = place = 0
    for tensor in tensors:
        if sum(size > 1 for size in tensor.shape) > 1 or layer == 0:
            layer, place = layer + 1, 0
        yield f"layer{layer}/{place}" if place < 2 else f"layer{layer}.{place}/0", tensor
        place += 1


def _inside(root: object) -> Iterator[NamedTensor]:
    """Every array below a value, named by keys, positions and attributes on the way to it."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), root)]
    seen: set[int] = set()
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, LazyTensor):
            yield "/".join(name) or "array", value
            continue
        inside: list[tuple[object, object]] = []
        if isinstance(value, dict):
            inside = list(value.items())
        elif isinstance(value, (list, tuple)):
            inside = list(enumerate(value))
        elif isinstance(value, Stub):
            inside = list(value.attributes.items())
        if not inside or id(value) in seen or len(name) >= _MAX_DEPTH:
            continue
        seen.add(id(value))
        waiting += [((*name, str(key)[:200]), item) for key, item in reversed(inside)]
