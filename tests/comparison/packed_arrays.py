"""How are the arrays of a joblib file packed with LZ4 read? Both formats, as far as MTCNN needs them."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_packed"]

_MAGIC = 0x184D2204
_SIZE, _CHECKED, _DICTIONARY = 8, 16, 1
"""Bits of the frame's flags: content size, checksum of blocks, dictionary."""


def read_packed(path: Path) -> list[np.ndarray]:
    """The list of arrays in a file that `joblib.dump(arrays, "x.lz4")` wrote."""
    return _Arrays(io.BytesIO(_unpacked(path.read_bytes()))).load()


def _unpacked(data: bytes) -> bytes:
    magic, flags = struct.unpack_from("<IB", data)
    assert magic == _MAGIC
    at = 7 + (8 if flags & _SIZE else 0) + (4 if flags & _DICTIONARY else 0)
    found = bytearray()
    while (length := struct.unpack_from("<I", data, at)[0]) != 0:
        stored, length, at = length >> 31, length & 0x7FFFFFFF, at + 4
        block = data[at : at + length]
        found += block if stored else b""
        if not stored:
            _expand(block, found)
        at += length + (4 if flags & _CHECKED else 0)
    return bytes(found)


def _expand(block: bytes, found: bytearray) -> None:
    """Sequences of literals and of a stretch repeated from further up."""
    at = 0
    while at < len(block):
        token = block[at]
        literals, at = _length(block, at + 1, token >> 4)
        found += block[at : at + literals]
        at += literals
        if at >= len(block):
            return
        back = block[at] | block[at + 1] << 8
        repeated, at = _length(block, at + 2, token & 15)
        start = len(found) - back
        for i in range(repeated + 4):
            found.append(found[start + i])


def _length(block: bytes, at: int, first: int) -> tuple[int, int]:
    total = first
    while first == 15 or first == 255:
        first = block[at]
        total, at = total + first, at + 1
    return total, at


class _Wrapper:
    """What joblib leaves in the pickle where the bytes of an array follow."""

    shape: tuple[int, ...]
    order: str
    dtype: np.dtype[Any]


class _Arrays(pickle._Unpickler):
    """Reads the bytes behind each wrapper; knows three names and no other."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        known = {"NumpyArrayWrapper": _Wrapper, "ndarray": np.ndarray, "dtype": np.dtype}
        assert module in ("joblib.numpy_pickle", "numpy")
        return known[name]

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], _Wrapper):
            wrapper = self.stack.pop()
            self.file.seek(self.file.read(1)[0], io.SEEK_CUR)
            size = int(np.prod(wrapper.shape)) * wrapper.dtype.itemsize
            flat = np.frombuffer(self.file.read(size), wrapper.dtype)
            self.stack.append(flat.reshape(wrapper.shape, order=wrapper.order))

    dispatch[pickle.BUILD[0]] = load_build
