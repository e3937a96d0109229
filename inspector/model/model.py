"""What is an opened model? A graph without weights, weights in files, and lookups over both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from rich.table import Table

from converters.provenance import Origin
from inspector import dtypes
from inspector.cards import card
from inspector.errors import UnknownName
from inspector.model.shapes import Value, bound, infer, value_of
from inspector.model.walk import Node, all_tensors, constants, keyed_bodies, tensors, walk
from inspector.model.weight import Kind, Weight, load_tensor

__all__ = ["Model"]

STANDARD_DOMAINS = frozenset(
    ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft")
)


@dataclass(frozen=True, eq=False)
class Model:
    """An opened model. `proto` holds no tensor of 1 KiB or more: those lie in files below `folder`.

    To run a variant of it, change a copy of `proto` and give ONNX Runtime its bytes together with the
    session option `session.model_external_initializers_file_folder_path` set to `folder`.
    """

    proto: onnx.ModelProto
    folder: Path
    origin: Origin
    notes: tuple[str, ...] = ()
    keep: TemporaryDirectory[str] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """Name, format and counts."""
        counts = f"{len(self.nodes)} nodes, {len(self.weights)} weights"
        return f"<Model {self.name!r} from {self.origin.format}: {counts}>"

    def _repr_html_(self) -> str:
        table = Table.grid()
        made = f"{self.proto.producer_name} {self.proto.producer_version}".strip()
        opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in self.opsets.items())
        size = sum(weight.nbytes for weight in self.weights.values())
        table.add_row("model", self.name)
        table.add_row("format", f"{self.origin.format} {made}, opset {opsets}")
        for word, values in (("input", self.inputs), ("output", self.outputs)):
            for value in values:
                table.add_row(word, f"{value.name}: {value}")
        table.add_row("nodes", f"{len(self.nodes):,}")
        table.add_row("weights", f"{len(self.weights):,} with {size / 1e6:,.1f} MB")
        for word, lines in (("not runnable", self.obstacles), ("note", self.notes)):
            for line in lines:
                table.add_row(word, line)
        return card(table)

    @property
    def name(self) -> str:
        """File name without folder, or the graph's name."""
        return self.origin.file or self.proto.graph.name or "model"

    @cached_property
    def opsets(self) -> Mapping[str, int]:
        """Operator set version by domain ("" is ai.onnx)."""
        found = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.proto.opset_import}
        return MappingProxyType(found or {"": 1})

    @property
    def opset(self) -> int:
        """Version of the standard operator set; 1 where the file names none."""
        return self.opsets.get("", 1)

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """Every node by key, bodies of `If`, `Loop` and `Scan` included, in graph order."""
        return MappingProxyType({node.key: node for node in walk(self.proto.graph)})

    @cached_property
    def inferred(self) -> onnx.ModelProto:
        """The graph with inferred types on every value."""
        return self._inference[0]

    @cached_property
    def _inference(self) -> tuple[onnx.ModelProto, str]:
        return infer(self.proto)

    @property
    def inference_note(self) -> str:
        """Why shapes are incomplete, or ""."""
        return self._inference[1]

    @cached_property
    def values(self) -> Mapping[str, Value]:
        """Type and shape of every value by key: inputs, weights, and all node outputs."""
        found = _values(self.inferred.graph)
        for node in self.nodes.values():
            for key in node.outputs:
                if key and key not in found:
                    found[key] = Value(key, key.rpartition("/")[2] if node.body else key, "", None, "unknown")
        for weight in self.weights.values():
            known = found.get(weight.key)
            if known is None or known.shape is None or not known.dtype:
                found[weight.key] = Value(weight.key, weight.name, weight.dtype, weight.shape)
        return MappingProxyType(found)

    def value(self, key: str) -> Value:
        """One value.

        Raises:
            UnknownName: no value has this key; near ones are listed.
        """
        try:
            return self.values[key]
        except KeyError:
            raise UnknownName.among("value", key, self.values) from None

    def bind(self, **sizes: int) -> Model:
        """The same model with named dynamic sizes fixed: `model.bind(batch=1, height=224)`."""
        return Model(bound(self.proto, sizes), self.folder, self.origin, self.notes, self.keep)

    @cached_property
    def inputs(self) -> tuple[Value, ...]:
        """What a caller must feed: graph inputs that are not initializers, in order."""
        stored = {t.name for t in self.proto.graph.initializer}
        stored |= {s.values.name for s in self.proto.graph.sparse_initializer}
        return tuple(value_of(i.name, i) for i in self.proto.graph.input if i.name not in stored)

    @cached_property
    def outputs(self) -> tuple[Value, ...]:
        """What the model returns, in order, with inferred shapes where the file leaves them open."""
        return tuple(self.values.get(o.name, value_of(o.name, o)) for o in self.proto.graph.output)

    @cached_property
    def weights(self) -> Mapping[str, Weight]:
        """Every stored constant by its value's key, bodies and functions included; see `Weight.kind`."""
        found: dict[str, Weight] = {}
        for key, name, kind, tensor in tensors(self.proto.graph):
            found[key] = self._weight(key, name, kind, tensor)
        for function in self.proto.functions:
            body = f"{function.domain}.{function.name}/"
            for name, kind, tensor in constants(function.node):
                found[body + name] = self._weight(body + name, name, kind, tensor)
        for node in self.nodes.values():
            if node.op == "ConstantOfShape" and node.outputs:
                filled = self._filled(node, found)
                if filled is not None:
                    found[filled.key] = filled
        return MappingProxyType(found)

    def weight(self, key: str) -> Weight:
        """The weight behind a value, looked up through `Identity` nodes.

        Raises:
            UnknownName: the value is not a stored constant.
        """
        found = self.weight_behind(key)
        if found is None:
            raise UnknownName.among("weight", key, self.weights)
        return found

    def weight_behind(self, key: str) -> Weight | None:
        """Like `weight`, but None when the value is computed."""
        seen: set[str] = set()
        while key not in self.weights and key not in seen:
            seen.add(key)
            producer = self.producers.get(key)
            if producer is None or producer.op != "Identity" or producer.domain:
                return None
            key = producer.inputs[0]
        return self.weights.get(key)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that makes each value, by value key."""
        return MappingProxyType({v: n for n in self.nodes.values() for v in n.outputs if v})

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value, by value key, in graph order."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes.values():
            for key in dict.fromkeys(node.inputs):
                if key:
                    found.setdefault(key, []).append(node)
        return MappingProxyType({key: tuple(nodes) for key, nodes in found.items()})

    def load(self, tensor: onnx.TensorProto) -> np.ndarray[Any, np.dtype[Any]]:
        """The values of any tensor of `proto`, memory-mapped where they lie in a file."""
        return load_tensor(tensor, self.folder)

    @cached_property
    def obstacles(self) -> tuple[str, ...]:
        """Why the model cannot be executed; empty when it can."""
        local = {(f.domain, f.name) for f in self.proto.functions}
        opaque = [
            n
            for n in self.nodes.values()
            if n.domain not in STANDARD_DOMAINS and (n.domain, n.op) not in local
        ]
        found = [
            f"{n.op} {n.key!r} of domain {n.domain!r} has no definition ONNX Runtime knows"
            for n in opaque[:5]
        ]
        if len(opaque) > 5:
            found.append(f"and {len(opaque) - 5} more such nodes")
        if not self.nodes and not self.proto.graph.output:
            found.append(
                "it holds weights only, no architecture: name the function that builds it with "
                "--factory package.module:function (factory= in Python)"
            )
        return tuple(found)

    @property
    def runnable(self) -> bool:
        """Whether nothing is known that stops ONNX Runtime."""
        return not self.obstacles

    @cached_property
    def digest(self) -> str:
        """SHA-256 over graph and weights, independent of file name and place."""
        total = hashlib.sha256()
        graph = onnx.ModelProto()
        graph.CopyFrom(self.proto)
        graph.ClearField("metadata_props")
        for tensor in all_tensors(graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                array = np.ascontiguousarray(load_tensor(tensor, self.folder))
                total.update(array.reshape(-1).view(np.uint8).data)
                tensor.ClearField("external_data")
        total.update(graph.SerializeToString(deterministic=True))
        return total.hexdigest()

    def _weight(
        self, key: str, name: str, kind: Kind, tensor: onnx.TensorProto | onnx.SparseTensorProto
    ) -> Weight:
        stored = tensor.values if isinstance(tensor, onnx.SparseTensorProto) else tensor
        count = int(np.prod([max(d, 0) for d in stored.dims], dtype=object)) if stored.dims else 1
        nbytes = (
            sum(map(len, stored.string_data))
            if stored.data_type == onnx.TensorProto.STRING
            else dtypes.byte_count(stored.data_type, count)
        )
        return Weight(
            key, name, kind, dtypes.name_of(stored.data_type), tuple(tensor.dims), nbytes, tensor, self.folder
        )

    def _filled(self, node: Node, known: Mapping[str, Weight]) -> Weight | None:
        shape = known.get(node.inputs[0]) if node.inputs else None
        if shape is None or shape.dtype != "int64" or len(shape.shape) != 1:
            return None
        tensor = next((a.t for a in node.proto.attribute if a.name == "value"), None)
        if tensor is None:
            tensor = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[1], float_data=[0.0])
        dims = tuple(int(d) for d in shape.array())
        name = node.proto.output[0]
        return Weight(
            node.outputs[0], name, "filled", dtypes.name_of(tensor.data_type), dims, 0, tensor, self.folder
        )


def _values(graph: onnx.GraphProto) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for body, inner in [("", graph), *keyed_bodies(graph)]:
        for info in (*inner.input, *inner.value_info, *inner.output):
            if info.name:
                found[body + info.name] = value_of(body + info.name, info)
    return found
