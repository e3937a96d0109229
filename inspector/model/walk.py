"""Which nodes, bodies and constant tensors does a graph hold? One walk, with keys unique in the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import onnx
from onnx import helper

from converters.provenance import node_class, node_scope
from inspector.model.weight import Kind

__all__ = ["Node", "all_tensors", "bodies", "constants", "keyed_bodies", "tensors", "walk"]

Stored = onnx.TensorProto | onnx.SparseTensorProto


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the graph or of a body.

    `key` is unique in the model: the node's name where that is unique, else operator and position;
    inside a body it starts with the owner's key (`If_3.then_branch/Conv_0`). `inputs` and `outputs` are
    value keys, outer-scope values resolved; "" stands for an absent optional.
    """

    key: str
    proto: onnx.NodeProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    body: str
    index: int

    @property
    def op(self) -> str:
        """Operator type, without its domain."""
        return self.proto.op_type

    @property
    def domain(self) -> str:
        """Operator domain, "" for ai.onnx."""
        return "" if self.proto.domain == "ai.onnx" else self.proto.domain

    @property
    def scope(self) -> str:
        """Recorded path of the source layer, `/`-separated, or ""."""
        return node_scope(self.proto)

    @property
    def source_class(self) -> str:
        """Class of the source layer, or ""."""
        return node_class(self.proto)

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """The node's own attributes as Python values (tensors and graphs stay protos)."""
        return MappingProxyType(
            {a.name: helper.get_attribute_value(a) for a in self.proto.attribute if not a.ref_attr_name}
        )


def walk(graph: onnx.GraphProto, body: str = "", outer: Mapping[str, str] | None = None) -> Iterator[Node]:
    """Every node in graph order, each followed by the nodes of its bodies.

    `body` is the key prefix of this graph, `outer` maps the names visible from outside to their keys.
    """
    visible = dict(outer or {})
    own = [i.name for i in graph.input] + [t.name for t in graph.initializer]
    own += [s.values.name for s in graph.sparse_initializer]
    own += [name for node in graph.node for name in node.output if name]
    visible.update((name, body + name) for name in own)
    for index, (label, proto) in enumerate(zip(_labels(graph), graph.node, strict=True)):
        key = body + label
        yield Node(
            key,
            proto,
            tuple(visible.get(name, body + name) if name else "" for name in proto.input),
            tuple(body + name if name else "" for name in proto.output),
            body,
            index,
        )
        for attribute, inner in bodies(proto):
            yield from walk(inner, f"{key}.{attribute}/", visible)


def _labels(graph: onnx.GraphProto) -> Iterator[str]:
    counts = Counter(node.name for node in graph.node)
    for index, node in enumerate(graph.node):
        if node.name and counts[node.name] == 1:
            yield node.name
        else:
            label = f"{node.op_type}_{index}"
            yield f"{label}#{index}" if label in counts else label


def bodies(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """The graphs that a node holds, with the attribute they stand in."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for index, inner in enumerate(attribute.graphs):
            yield f"{attribute.name}[{index}]", inner


def keyed_bodies(graph: onnx.GraphProto, body: str = "") -> Iterator[tuple[str, onnx.GraphProto]]:
    """All bodies below a graph, at any depth, with their key prefix."""
    for label, node in zip(_labels(graph), graph.node, strict=True):
        for attribute, inner in bodies(node):
            key = f"{body}{label}.{attribute}/"
            yield key, inner
            yield from keyed_bodies(inner, key)


def tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, str, Kind, Stored]]:
    """Key, name, kind and proto of every stored constant of a graph and its bodies."""
    for body, inner in [("", graph), *keyed_bodies(graph)]:
        for tensor in inner.initializer:
            yield body + tensor.name, tensor.name, "initializer", tensor
        for sparse in inner.sparse_initializer:
            yield body + sparse.values.name, sparse.values.name, "sparse", sparse
        for name, kind, tensor in constants(inner.node):
            yield body + name, name, kind, tensor


def constants(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[str, Kind, Stored]]:
    """What the `Constant` nodes among some nodes hold, by output name."""
    for node in nodes:
        if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or not node.output:
            continue
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.HasField("t"):
                yield node.output[0], "constant", attribute.t
            elif attribute.name == "sparse_value":
                yield node.output[0], "sparse", attribute.sparse_tensor
            elif attribute.name in _SCALAR_TYPES and not attribute.ref_attr_name:
                yield node.output[0], "constant", _scalar_constant(node.output[0], attribute)


_SCALAR_TYPES = {
    "value_float": onnx.TensorProto.FLOAT,
    "value_floats": onnx.TensorProto.FLOAT,
    "value_int": onnx.TensorProto.INT64,
    "value_ints": onnx.TensorProto.INT64,
    "value_string": onnx.TensorProto.STRING,
    "value_strings": onnx.TensorProto.STRING,
}


def _scalar_constant(name: str, attribute: onnx.AttributeProto) -> onnx.TensorProto:
    value = helper.get_attribute_value(attribute)
    many = attribute.name.endswith("s")
    dims, values = ([len(value)], list(value)) if many else ([], [value])
    return helper.make_tensor(name, _SCALAR_TYPES[attribute.name], dims, values)


def all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every `TensorProto` of a model, in graphs, bodies, functions, attributes and sparse tensors."""
    for _, graph in [("", model.graph), *keyed_bodies(model.graph)]:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        yield from _attribute_tensors(graph.node)
    for function in model.functions:
        yield from _attribute_tensors(function.node)
        for node in function.node:
            for _, graph in bodies(node):
                for _, inner in [("", graph), *keyed_bodies(graph)]:
                    yield from inner.initializer
                    yield from _attribute_tensors(inner.node)


def _attribute_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in [attribute.sparse_tensor, *attribute.sparse_tensors]:
                if sparse.ByteSize():
                    yield from (sparse.values, sparse.indices)
