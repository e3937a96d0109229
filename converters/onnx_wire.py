"""Where in an .onnx file do the weights lie? A walk over the wire format that copies none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from converters.errors import BadFile
from converters.weight_file import INLINE_BYTES

__all__ = ["top_fields", "weightless"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 100
"""The nesting at which protobuf itself gives up."""


@dataclass(frozen=True)
class _Kind:
    """A message type: its name and the fields in which weights may lie."""

    name: str
    fields: dict[int, tuple[str, _Kind]]


_TENSOR = _Kind("TensorProto", {})
_SPARSE = _Kind("SparseTensorProto", {1: ("values", _TENSOR), 2: ("indices", _TENSOR)})
_GRAPH = _Kind("GraphProto", {})
_ATTRIBUTE = _Kind(
    "AttributeProto",
    {
        5: ("t", _TENSOR),
        6: ("g", _GRAPH),
        10: ("tensors", _TENSOR),
        11: ("graphs", _GRAPH),
        22: ("sparse_tensor", _SPARSE),
        23: ("sparse_tensors", _SPARSE),
    },
)
_NODE = _Kind("NodeProto", {5: ("attribute", _ATTRIBUTE)})
_GRAPH.fields.update({1: ("node", _NODE), 5: ("initializer", _TENSOR), 15: ("sparse_initializer", _SPARSE)})
_FUNCTION = _Kind("FunctionProto", {7: ("node", _NODE), 11: ("attribute_proto", _ATTRIBUTE)})
_MODEL = _Kind("ModelProto", {7: ("graph", _GRAPH), 25: ("functions", _FUNCTION)})

_RAW_DATA, _FLOAT_DATA, _DOUBLE_DATA, _DATA_TYPE = 9, 4, 10, 2
_TYPED_AS_RAW = {_FLOAT_DATA: (1, 14), _DOUBLE_DATA: (11, 15)}
"""Packed typed fields whose bytes equal raw_data, with the element types for which they do."""


@dataclass(frozen=True)
class _Field:
    number: int
    wire: int
    start: int  # of the tag
    body: int  # of the payload
    end: int
    value: int  # of a varint


class _Walk:
    """One pass over a file; `location` is what external data will call the file."""

    def __init__(self, data: memoryview, path: str, location: str) -> None:
        self.data = data
        self.path = path
        self.location = location.encode()

    def fields(self, start: int, end: int, where: str) -> Iterator[_Field]:
        at = start
        while at < end:
            tag, body = self.varint(at, end, where)
            number, wire = tag >> 3, tag & 7
            value = 0
            if wire == _VARINT:
                value, stop = self.varint(body, end, where)
            elif wire == _BYTES:
                length, body = self.varint(body, end, where)
                stop = body + length
            elif wire in (_FIXED64, _FIXED32):
                stop = body + (8 if wire == _FIXED64 else 4)
            else:
                raise BadFile(
                    f"{self.path}: not a valid ONNX file: byte {at} in {where} holds wire type {wire}, "
                    "which protobuf does not have. Get another copy of the file."
                )
            if stop > end or number == 0:
                raise BadFile(
                    f"{self.path}: truncated or damaged at byte {at} in {where}: field {number} needs "
                    f"{stop - body} bytes, {max(end - body, 0)} are left. Get another copy of the file."
                )
            yield _Field(number, wire, at, body, stop, value)
            at = stop

    def varint(self, at: int, end: int, where: str) -> tuple[int, int]:
        value = shift = 0
        for at in range(at, min(end, at + 10)):  # noqa: B020  # the position goes on from where it was
            byte = self.data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at + 1
            shift += 7
        raise BadFile(
            f"{self.path}: truncated or damaged near byte {at} of {len(self.data)} in {where}: "
            "a number has no end. Get another copy of the file."
        )

    def rewrite(self, kind: _Kind, start: int, end: int, where: str, depth: int) -> bytes | memoryview:
        """The message without large weights; the slice itself where it holds none."""
        if depth > _MAX_DEPTH:
            raise BadFile(
                f"{self.path}: graphs are nested deeper than {_MAX_DEPTH} messages at byte {start}; "
                "no ONNX reader accepts that."
            )
        if kind is _TENSOR:
            return self.rewrite_tensor(start, end, where)
        parts: list[bytes | memoryview] = []
        copied = start
        for count, field in enumerate(self.fields(start, end, where)):
            inner = kind.fields.get(field.number) if field.wire == _BYTES else None
            if inner is None or field.end - field.body < INLINE_BYTES:
                continue
            body = self.rewrite(inner[1], field.body, field.end, f"{where}.{inner[0]}[{count}]", depth + 1)
            if len(body) == field.end - field.body:
                continue
            parts += (self.data[copied : field.start], _tagged(field.number, body))
            copied = field.end
        if not parts:
            return self.data[start:end]
        return b"".join([*parts, self.data[copied:end]])

    def rewrite_tensor(self, start: int, end: int, where: str) -> bytes | memoryview:
        fields = list(self.fields(start, end, where)) if end - start >= INLINE_BYTES else []
        data_type = next((f.value for f in fields if f.number == _DATA_TYPE), 0)
        large = [
            f
            for f in fields
            if f.wire == _BYTES
            and f.end - f.body >= INLINE_BYTES
            and (f.number == _RAW_DATA or data_type in _TYPED_AS_RAW.get(f.number, ()))
        ]
        if len(large) != 1:  # none, or a spelling no writer uses: protobuf reads it as it is
            return self.data[start:end]
        data = large[0]
        entries = (
            (b"location", self.location),
            (b"offset", b"%d" % data.body),
            (b"length", b"%d" % (data.end - data.body)),
        )
        return b"".join(
            [
                self.data[start : data.start],
                self.data[data.end : end],
                *(_tagged(13, _tagged(1, key) + _tagged(2, value)) for key, value in entries),
                b"\x70\x01",  # data_location = EXTERNAL
            ]
        )


def weightless(data: memoryview, path: str, location: str) -> bytes:
    """The serialized `ModelProto` with every tensor of 1 KiB and more referring to its bytes in the file.

    Raises:
        BadFile: the wire format is broken; the message says at which byte and in which field.
    """
    return bytes(_Walk(data, path, location).rewrite(_MODEL, 0, len(data), "model", 0))


def top_fields(data: memoryview) -> Iterator[tuple[int, int]]:
    """Number and wire type of each top-level field; raises `BadFile` where the format breaks."""
    for field in _Walk(data, "file", "").fields(0, len(data), "model"):
        yield field.number, field.wire


def _tagged(number: int, body: bytes | memoryview) -> bytes:
    return b"".join((_varint(number << 3 | _BYTES), _varint(len(body)), body))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
