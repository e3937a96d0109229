"""What type and shape has every value? ONNX shape inference, symbolic sizes kept, bodies included."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

from inspector import dtypes
from inspector.model.folding import folded
from inspector.model.walk import keyed_bodies

__all__ = ["Value", "bound", "format_shape", "infer", "value_of"]

Dim = int | str | None
"""A size, the name of a dynamic size, or None where nothing is known."""


@dataclass(frozen=True)
class Value:
    """The type of one value. `shape` is None when even the rank is unknown.

    `kind` is "tensor" for dense tensors, else "sequence", "optional", "map", "sparse" or "unknown".
    """

    key: str
    name: str
    dtype: str
    shape: tuple[Dim, ...] | None
    kind: str = "tensor"

    @property
    def size(self) -> int | None:
        """Number of elements, or None while any size is open."""
        if self.shape is None or not all(isinstance(d, int) for d in self.shape):
            return None
        return math.prod(d for d in self.shape if isinstance(d, int))

    @property
    def nbytes(self) -> int | None:
        """Bytes of a dense tensor of this type, or None while any size is open."""
        size = self.size
        if size is None or not self.dtype:
            return None
        return dtypes.byte_count(dtypes.number_of(self.dtype), size)

    def __str__(self) -> str:
        """`float32 batch×3×224×224`, with `?` for what is unknown."""
        return f"{self.dtype or self.kind} {format_shape(self.shape)}".strip()


def format_shape(shape: tuple[Dim, ...] | None) -> str:
    """`batch×3×224×224`; `?` for an unknown size or rank, `scalar` for no axes."""
    if shape is None:
        return "?"
    return "×".join("?" if d is None else str(d) for d in shape) or "scalar"


def value_of(key: str, info: onnx.ValueInfoProto) -> Value:
    """The value that a ValueInfoProto describes."""
    kind = info.type.WhichOneof("value") or ""
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return Value(key, info.name, "", None, kind.removesuffix("_type") or "unknown")
    tensor = info.type.tensor_type if kind == "tensor_type" else info.type.sparse_tensor_type
    shape = tuple(map(_dim, tensor.shape.dim)) if tensor.HasField("shape") else None
    dtype = dtypes.name_of(tensor.elem_type)
    return Value(
        key,
        info.name,
        "" if dtype.startswith("type ") else dtype,
        shape,
        kind.removesuffix("_type").replace("sparse_tensor", "sparse"),
    )


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    which = dim.WhichOneof("value")
    if which == "dim_value":
        return dim.dim_value if dim.dim_value >= 0 else None
    name = dim.dim_param if which == "dim_param" else ""
    return None if not name or name.startswith("unk__") else name


def infer(proto: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model with inferred value types, and a note when inference had to give up.

    Where all inputs have fixed sizes, shape arithmetic is evaluated too.
    """
    why = ""
    if _is_static(proto.graph):
        try:
            return folded(proto), ""
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            pass  # the plain way below says what is wrong
    for propagate in (True, False):
        try:
            return onnx.shape_inference.infer_shapes(proto, data_prop=propagate), ""
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as cause:
            why = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return proto, f"Shapes could not be inferred: {why}"


def _is_static(graph: onnx.GraphProto) -> bool:
    """Whether inputs are all of fixed size, and sizes are computed at all."""
    dims = [d for i in graph.input for d in i.type.tensor_type.shape.dim]
    return all(isinstance(_dim(d), int) for d in dims) and any(
        node.op_type == "Shape" for _, inner in [("", graph), *keyed_bodies(graph)] for node in inner.node
    )


def bound(proto: onnx.ModelProto, sizes: Mapping[str, int]) -> onnx.ModelProto:
    """A copy with named dynamic sizes of the inputs fixed; types inside the graph are inferred anew."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for info in copy.graph.input:
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
    _forget(copy.graph)
    return copy


def _forget(graph: onnx.GraphProto) -> None:
    graph.ClearField("value_info")
    for info in graph.output:
        if info.type.HasField("tensor_type"):
            info.type.tensor_type.ClearField("shape")
    for body in _bodies(graph):
        _forget(body)


def _bodies(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs
