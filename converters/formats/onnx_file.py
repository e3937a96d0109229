"""ONNX itself: binary files mapped in place, text and JSON forms, and protos in memory."""

from __future__ import annotations

import mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from google.protobuf import json_format, text_format
from google.protobuf.message import DecodeError

from converters.errors import BadFile, MissingOption
from converters.onnx_wire import top_fields, weightless
from converters.provenance import Origin, read_notes, read_origin
from converters.registry import Conversion, Options, format, live
from converters.weight_file import WeightFile, spill

__all__ = ["convert_onnx", "convert_onnx_text", "convert_proto"]

_WIRE_TYPES = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_IR_VERSION, _GRAPH = 1, 7


def _recognises_binary(head: bytes, path: Path) -> bool:
    """All top-level fields are those of ModelProto and a graph is among them, as far as the file goes."""
    if not head or path.is_dir():
        return False
    seen: set[int] = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        try:
            for number, wire in top_fields(view):
                if _WIRE_TYPES.get(number, wire if 26 < number < 64 else None) != wire:
                    return False
                seen.add(number)
        except BadFile:
            return head[0] == _IR_VERSION << 3 and len(head) > 1 and 0 < head[1] < 64
        finally:
            view.release()
    return _GRAPH in seen


@format("onnx", suffixes=(".onnx",), gives=("model", "structure", "weights"), recognises=_recognises_binary)
def convert_onnx(path: Path, options: Options) -> Conversion:
    """ONNX file, any IR version and opset, weights inside or beside it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        try:
            body = weightless(view, str(path), path.name)
        finally:
            view.release()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(body)
    except DecodeError as cause:
        raise BadFile(
            f"{path}: not a valid ONNX file: protobuf cannot decode it ({cause}). Get another copy."
        ) from None
    return _opened(model, path.resolve().parent, path.name)


def _recognises_text(head: bytes, path: Path) -> bool:
    start = head.lstrip()
    named = b'"irVersion"' in head or b'"ir_version"' in head
    return start.startswith(b"ir_version:") or (start.startswith(b"{") and named)


@format(
    "onnx-text",
    suffixes=(".textproto", ".prototxt", ".onnxtxt", ".onnxjson", ".json"),
    gives=("model", "structure", "weights"),
    recognises=_recognises_text,
)
def convert_onnx_text(path: Path, options: Options) -> Conversion:
    """ONNX in protobuf's text or JSON form."""
    text = path.read_bytes()
    model = onnx.ModelProto()
    try:
        if text.lstrip().startswith(b"{"):
            json_format.Parse(text, model)
        else:
            text_format.Parse(text, model)
    except (json_format.ParseError, text_format.ParseError, UnicodeDecodeError) as cause:
        raise BadFile(f"{path}: looks like ONNX in text form but does not parse: {cause}") from None
    return _spilled(model, path.name)


@live("onnx.onnx_ml_pb2.ModelProto")
def convert_proto(model: onnx.ModelProto, options: Options) -> Conversion:
    """An `onnx.ModelProto` in memory; the caller's object is not changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    folder = options.extra.get("folder")
    if folder is not None:
        return _opened(copy, Path(folder).resolve(), "")
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in copy.graph.initializer):
        raise MissingOption(
            "this ModelProto refers to external data, but not to the folder it lies in. "
            "Pass the file's path instead, or extra={'folder': …}."
        )
    return _spilled(copy, "")


def _spilled(model: onnx.ModelProto, name: str) -> Conversion:
    keep: TemporaryDirectory[str] = TemporaryDirectory(prefix="inspector-", ignore_cleanup_errors=True)
    folder = Path(keep.name)
    with WeightFile(folder) as weights:
        for tensor in _tensors(model.graph):
            spill(tensor, weights)
        for function in model.functions:
            for tensor in _node_tensors(function.node):
                spill(tensor, weights)
    opened = _opened(model, folder, name)
    return Conversion(opened.model, opened.origin, opened.notes, folder, keep)


def _opened(model: onnx.ModelProto, folder: Path, name: str) -> Conversion:
    if not model.HasField("graph"):
        raise BadFile(f"{name or 'the ModelProto'} holds no graph: this is not an ONNX model.")
    origin = read_origin(model) or Origin(
        format="onnx", framework=model.producer_name, version=model.producer_version, file=name
    )
    return Conversion(model, origin, read_notes(model), folder)


def _tensors(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    sparse = [t for s in graph.sparse_initializer for t in (s.values, s.indices)]
    return [*graph.initializer, *sparse, *_node_tensors(graph.node)]


def _node_tensors(nodes: Any) -> list[onnx.TensorProto]:
    found: list[onnx.TensorProto] = []
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                found.append(attribute.t)
            found += attribute.tensors
            for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                found += _tensors(graph)
    return found
