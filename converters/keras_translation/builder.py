"""How are nodes, constants and weights put into an ONNX graph, with every type known at once?"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from converters.keras_translation.tensor import Dim, Value, dtype_name
from converters.keras_translation.variables import Variable
from converters.provenance import Source, Step, describe_node
from converters.weight_file import WeightFile

__all__ = ["OPAQUE_DOMAIN", "Builder"]

OPAQUE_DOMAIN = "keras"
"""Domain of the nodes that show a layer which cannot be translated."""

_SMALL = 4096
"""Constants up to this many elements are shown to shape inference."""


@dataclass
class _Shared:
    """What a graph and the bodies inside it have in common."""

    opset: int
    file: WeightFile
    initializers: list[TensorProto] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    weights: dict[Any, Value] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    scope: str = ""
    source_class: str = ""
    notes: list[str] = field(default_factory=list)


class Builder:
    """Emits nodes into one graph (or body); `op` returns values with inferred type and shape."""

    def __init__(self, file: WeightFile, opset: int, shared: _Shared | None = None) -> None:
        self._shared = shared or _Shared(opset, file)
        self.nodes: list[onnx.NodeProto] = []
        self._transposed: dict[tuple[str, tuple[int, ...]], Value] = {}

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        return self._shared.opset

    @property
    def initializers(self) -> list[TensorProto]:
        """All constants and weights so far."""
        return self._shared.initializers

    @property
    def notes(self) -> list[str]:
        """What the user must know about this conversion."""
        return self._shared.notes

    @property
    def used_keys(self) -> set[str]:
        """Keys of the source variables that are in the graph."""
        return self._shared.used

    @property
    def scope(self) -> str:
        """Path of the layer being translated."""
        return self._shared.scope

    @property
    def source_class(self) -> str:
        """Full class name of the layer being translated."""
        return self._shared.source_class

    def type_name(self, value: Value) -> str:
        """Element type of a value as Keras spells it."""
        return dtype_name(value.type)

    @contextmanager
    def layer(self, scope: str, source_class: str) -> Generator[None]:
        """Everything emitted inside belongs to this layer."""
        before = self._shared.scope, self._shared.source_class
        self._shared.scope, self._shared.source_class = scope, source_class
        yield
        self._shared.scope, self._shared.source_class = before

    def body(self) -> Builder:
        """A builder for the body of a Scan, Loop or If, which may refer to values outside."""
        return Builder(self._shared.file, self.opset, self._shared)

    def unique(self, wanted: str) -> str:
        """A name that no value or node has yet."""
        name, count = wanted, 0
        while name in self._shared.names:
            count += 1
            name = f"{wanted}_{count}"
        self._shared.names.add(name)
        return name

    def input(self, name: str, type: int, shape: Sequence[Dim]) -> Value:
        """A graph or body input."""
        return Value(self.unique(name), type, tuple(shape))

    def op(
        self,
        kind: str,
        *inputs: Value | None,
        shape: Sequence[Dim] | None = None,
        type: int | None = None,
        **attributes: Any,
    ) -> Value:
        """Emit a node with one output; `shape` and `type` override what inference finds."""
        value = self.ops(kind, *inputs, outputs=1, **attributes)[0]
        if shape is None and type is None:
            return value
        return Value(
            value.name,
            value.type if type is None else type,
            value.shape if shape is None else tuple(shape),
        )

    def ops(
        self,
        kind: str,
        *inputs: Value | None,
        outputs: int,
        domain: str = "",
        infer: bool = True,
        **attributes: Any,
    ) -> list[Value]:
        """Emit a node with several outputs."""
        base = f"{self.scope}/{kind}" if self.scope else kind
        name = self.unique(base)
        names = [self.unique(f"{name}_output" + (f"_{i}" if i else "")) for i in range(outputs)]
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        node = helper.make_node(
            kind,
            [v.name if v is not None else "" for v in inputs],
            names,
            name=name,
            domain=domain,
            **{k: v for k, v in attributes.items() if v is not None},
        )
        describe_node(node, self.scope, self._shared.source_class)
        self.nodes.append(node)
        types = self._infer(node, [v for v in inputs if v is not None]) if infer and not domain else {}
        return [_value(n, types.get(n)) for n in names]

    def _infer(self, node: onnx.NodeProto, inputs: Sequence[Value]) -> Mapping[str, onnx.TypeProto]:
        schema = onnx.defs.get_schema(node.op_type, self.opset, node.domain)
        types = {v.name: helper.make_tensor_type_proto(v.type, v.shape) for v in inputs}
        data = {
            v.name: numpy_helper.from_array(v.array, v.name)
            for v in inputs
            if v.array is not None and v.array.size <= _SMALL
        }
        return shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10
        )

    def const(self, array: Any, dtype: Any = None, hint: str = "const") -> Value:
        """A constant that is no weight of the source; equal ones of a layer are stored once."""
        value = np.asarray(array, dtype=dtype)
        key = ("const", value.dtype.str, value.shape, value.tobytes())
        if value.size <= _SMALL and key in self._shared.weights:
            return self._shared.weights[key]
        name = self.unique(f"{self.scope}/{hint}" if self.scope else hint)
        tensor = self._shared.file.add(name, value, sources=[])
        self.initializers.append(tensor)
        made = Value(name, tensor.data_type, value.shape, value)
        if value.size <= _SMALL:
            self._shared.weights[key] = made
        return made

    def ints(self, *numbers: int) -> Value:
        """A vector of int64."""
        return self.const(np.array(numbers, dtype=np.int64), hint="ints")

    def scalar(self, number: float, like: Value) -> Value:
        """A scalar of another value's element type."""
        return self.const(np.asarray(number, helper.tensor_dtype_to_np_dtype(like.type)), hint="scalar")

    def weight(
        self,
        name: str,
        variable: Variable,
        *,
        transpose: Sequence[int] | None = None,
        reshape: Sequence[int] | None = None,
    ) -> Value:
        """An initializer holding one source tensor, permuted and reshaped reversibly."""
        key = (variable.key, tuple(transpose or ()), None if reshape is None else tuple(reshape))
        if key in self._shared.weights:
            return self._shared.weights[key]
        array = variable.read()
        steps: list[Step] = []
        if transpose is not None and list(transpose) != list(range(array.ndim)):
            array = array.transpose(transpose)
            steps.insert(0, ["transpose", [int(i) for i in np.argsort(transpose)]])
        if reshape is not None and tuple(reshape) != array.shape:
            steps.insert(0, ["reshape", list(array.shape)])
            array = array.reshape(reshape)
        return self._remember(key, name, array, {variable.key: Source(name, steps)})

    def packed(self, name: str, array: np.ndarray[Any, Any], parts: Mapping[Variable, Source]) -> Value:
        """An initializer holding several source tensors; each says how it is restored."""
        key = ("packed", name)
        if key in self._shared.weights:
            return self._shared.weights[key]
        return self._remember(key, name, array, {v.key: s for v, s in parts.items()})

    def _remember(
        self, key: Any, name: str, array: np.ndarray[Any, Any], parts: Mapping[str, Source]
    ) -> Value:
        self._shared.used.update(parts)
        tensor = self._shared.file.add(self.unique(name), array, list(parts.values()))
        self.initializers.append(tensor)
        small = array if array.size <= _SMALL else None
        value = Value(tensor.name, tensor.data_type, array.shape, small)
        self._shared.weights[key] = value
        return value

    def transposed(self, value: Value, order: Sequence[int]) -> Value:
        """A Transpose, made once per value and order."""
        key = (value.name, tuple(order))
        if key not in self._transposed:
            self._transposed[key] = self.op("Transpose", value, perm=list(order))
        return self._transposed[key]

    def drop_since(self, start: int) -> None:
        """Take back the nodes emitted at and after a position."""
        gone = {name for node in self.nodes[start:] for name in node.output}
        del self.nodes[start:]
        self._transposed = {k: v for k, v in self._transposed.items() if v.name not in gone}

    def rename(self, value: Value, wanted: str, since: int) -> Value:
        """Give a value produced by a node at or after position `since` a better name, if it is free."""
        if wanted in self._shared.names or not any(value.name in n.output for n in self.nodes[since:]):
            return value
        self._shared.names.add(wanted)
        for node in self.nodes[since:]:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == value.name:
                        names[index] = wanted
        renamed = Value(wanted, value.type, value.shape, value.array)
        for key, made in self._transposed.items():
            if made.name == value.name:
                self._transposed[key] = renamed
        return renamed


def _value(name: str, type: onnx.TypeProto | None) -> Value:
    if type is None or not type.HasField("tensor_type"):
        return Value(name, TensorProto.FLOAT, None)
    tensor = type.tensor_type
    if not tensor.HasField("shape"):
        return Value(name, tensor.elem_type, None)
    return Value(name, tensor.elem_type, tuple(_dim(d) for d in tensor.shape.dim))


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    kind = dim.WhichOneof("value")
    if kind == "dim_value":
        return dim.dim_value
    return dim.dim_param or None if kind == "dim_param" else None
