"""How does a bag of stored tensors become ONNX? Initializers that refer to the user's own file in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor
from converters.provenance import Origin, Source, write_model, write_sources
from converters.registry import Conversion
from converters.weight_file import INLINE_BYTES, WeightFile, reference

__all__ = ["NamedTensor", "initializers", "weight_conversion"]

NamedTensor = tuple[str, LazyTensor]

LOOSE_BYTES = 64 << 20
"""Rearranged or unpacked tensors that may ride inside the graph beside large ones that stay in place."""

COPY_FACTOR = 8
COPY_BYTES = 1 << 30
"""Copies may be this many times the file, or this many bytes: more is a memory bomb of overlapping views."""

_CHUNK = 16 << 20
_IR_VERSION = 10
_OPSET = 20


def weight_conversion(
    path: Path, named: Sequence[NamedTensor], origin: Origin, notes: Sequence[str]
) -> Conversion:
    """A graph that holds the tensors under their names, and no nodes."""
    graph = onnx.GraphProto(name=path.stem)
    folder, keep = initializers(path, named, graph)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    said = [*notes, *element_notes(named)]
    write_model(model, origin, said)
    return Conversion(model, origin, tuple(said), folder, keep)


def initializers(
    path: Path, named: Sequence[NamedTensor], graph: onnx.GraphProto
) -> tuple[Path, TemporaryDirectory[str] | None]:
    """Add the tensors to a graph; returns the folder below which their bytes lie, and what to keep of it."""
    folder = path.resolve().parent
    loose = [t for _, t in named if t.nbytes >= INLINE_BYTES and not _lies_in(t, folder)]
    copied = sum(t.nbytes for t in loose)
    if copied > max(COPY_BYTES, COPY_FACTOR * path.stat().st_size):
        raise BadFile(
            f"{path}: {len(loose)} tensors are views that would take {copied:,} bytes written out, "
            f"from a file of {path.stat().st_size:,} (memory bomb). Refused."
        )
    names = _unique(name for name, _ in named)
    if copied <= LOOSE_BYTES:
        for (source, tensor), name in zip(named, names, strict=True):
            graph.initializer.append(_placed(source, name, tensor, folder))
        return folder, None
    keep: TemporaryDirectory[str] = TemporaryDirectory(prefix="inspector-", ignore_cleanup_errors=True)
    with WeightFile(Path(keep.name)) as file:
        for (source, tensor), name in zip(named, names, strict=True):
            graph.initializer.append(_copied(source, name, tensor, file))
    return Path(keep.name), keep


def element_notes(named: Iterable[NamedTensor]) -> list[str]:
    """What ONNX's element types do not say about the tensors, a sentence a kind."""
    found: dict[str, list[str]] = {}
    for name, tensor in named:
        if tensor.element.note:
            found.setdefault(f"{tensor.element.name} ({tensor.element.note})", []).append(name)
    return [
        f"{len(names)} of type {kind}: {', '.join(names[:3])}{' …' * (len(names) > 3)}"
        for kind, names in found.items()
    ]


def _lies_in(tensor: LazyTensor, folder: Path) -> bool:
    place = tensor.place
    return place is not None and place.path.parent == folder


def _placed(source: str, name: str, tensor: LazyTensor, folder: Path) -> onnx.TensorProto:
    made = onnx.TensorProto(name=name, data_type=tensor.element.onnx, dims=tensor.shape)
    place = tensor.place
    if place is not None and tensor.nbytes >= INLINE_BYTES and place.path.parent == folder:
        reference(made, place.path.name, place.offset, place.length)
    else:
        made.raw_data = np.ascontiguousarray(tensor.array()).tobytes()
    return _sourced(made, source)


def _copied(source: str, name: str, tensor: LazyTensor, file: WeightFile) -> onnx.TensorProto:
    if tensor.nbytes < INLINE_BYTES:
        return _placed(source, name, tensor, Path())
    return _sourced(file.add_bytes(name, tensor.element.onnx, tensor.shape, _chunks(tensor)), source)


def _chunks(tensor: LazyTensor) -> Iterator[bytes]:
    """The bytes in order, some rows at a time, so that no whole copy is in memory."""
    array = tensor.array()
    if array.ndim == 0 or array.nbytes <= _CHUNK:
        yield np.ascontiguousarray(array).tobytes()
        return
    rows = max(1, _CHUNK // max(1, array[0].nbytes))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).tobytes()


def _sourced(made: onnx.TensorProto, source: str) -> onnx.TensorProto:
    if made.name != source:
        write_sources(made, [Source(source)])
    return made


def _unique(names: Iterable[str]) -> list[str]:
    """The names, made distinct and non-empty: ONNX addresses values by them."""
    seen: set[str] = set()
    made: list[str] = []
    for name in names:
        candidate, number = name or "tensor", 2
        while candidate in seen:
            candidate, number = f"{name or 'tensor'}#{number}", number + 1
        seen.add(candidate)
        made.append(candidate)
    return made
