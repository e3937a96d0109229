"""Is the file sound? Every fault in one linear pass, without executing or allocating anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from inspector import dtypes
from inspector.errors import BadFile
from inspector.model.model import Model
from inspector.model.walk import all_tensors, bodies, keyed_bodies
from inspector.model.weight import check_stored

__all__ = ["Fault", "find_faults", "schema_faults"]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a file. A fatal one makes reading on meaningless."""

    where: str
    what: str
    fatal: bool = True


def find_faults(model: Model) -> list[Fault]:
    """All faults of names, links, order and stored tensors, in file order."""
    proto = model.proto
    faults = [*_text_faults(proto)]
    if faults:
        return faults
    faults += _tensor_faults(model)
    faults += _graph_faults(proto.graph, "graph", set())
    for function in proto.functions:
        faults += _order_faults(
            function.node, set(function.input), f"function {function.domain}.{function.name}"
        )
    return faults


def _text_faults(proto: onnx.ModelProto) -> Iterator[Fault]:
    """Names that are not UTF-8, which protobuf hands over as bytes."""
    graphs = [proto.graph, *(body for _, body in keyed_bodies(proto.graph))]
    for graph in graphs:
        infos = (*graph.input, *graph.output, *graph.value_info)
        dims = (d.dim_param for i in infos for d in i.type.tensor_type.shape.dim)
        texts = [graph.name, *(i.name for i in infos), *dims]
        texts += [t for node in graph.node for t in _texts(node)]
        yield from _not_utf8(texts, graph.name)
    for function in proto.functions:
        texts = [function.name, function.domain, *function.input, *function.output]
        yield from _not_utf8(texts + [t for node in function.node for t in _texts(node)], function.name)
    for tensor in all_tensors(proto):
        yield from _not_utf8(
            [tensor.name, *(t for e in tensor.external_data for t in (e.key, e.value))], "tensor"
        )
    props = [t for e in proto.metadata_props for t in (e.key, e.value)]
    opsets = [o.domain for o in proto.opset_import]
    yield from _not_utf8([proto.producer_name, proto.producer_version, *props, *opsets], "header")


def _texts(node: onnx.NodeProto) -> Iterator[str]:
    yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
    for attribute in node.attribute:
        yield attribute.name
    for entry in node.metadata_props:
        yield from (entry.key, entry.value)


def _not_utf8(texts: list[str], where: str) -> Iterator[Fault]:
    for text in texts:
        if isinstance(text, bytes):
            yield Fault(str(where), f"{text!r} is not UTF-8 text: the file is damaged")


def _tensor_faults(model: Model) -> Iterator[Fault]:
    for tensor in all_tensors(model.proto):
        try:
            check_stored(tensor, model.folder)
        except BadFile as fault:
            yield Fault("weights", str(fault).rstrip("."))


def _graph_faults(graph: onnx.GraphProto, where: str, outer: set[str]) -> Iterator[Fault]:
    stored = [t.name for t in graph.initializer] + [s.values.name for s in graph.sparse_initializer]
    inputs = [i.name for i in graph.input]
    for kind, names in (("initializer", stored), ("input", inputs)):
        for name in _repeated(names):
            yield Fault(where, f"{kind} {name!r} is defined twice")
    for info in (*graph.input, *graph.output):
        yield from _type_faults(info, where)
    known = outer | set(stored) | set(inputs)
    yield from _order_faults(graph.node, known, where)
    made = known | {name for node in graph.node for name in node.output}
    for info in graph.output:
        if info.name not in made:
            yield Fault(where, f"output {info.name!r} is made by no node")
    for node in graph.node:
        for attribute, body in bodies(node):
            yield from _graph_faults(body, f"{where} / {node.op_type} {node.name!r} {attribute}", made)


def _order_faults(nodes: object, known: set[str], where: str) -> Iterator[Fault]:
    listed: list[onnx.NodeProto] = list(nodes)  # pyright: ignore[reportArgumentType]  # a protobuf container
    outputs = [name for node in listed for name in node.output if name]
    for name in _repeated(outputs):
        yield Fault(where, f"value {name!r} is made by two nodes")
    for name in sorted(known.intersection(outputs)):
        yield Fault(where, f"value {name!r} is made by a node and is an input or initializer too")
    makers = {name: index for index, node in enumerate(listed) for name in node.output if name}
    missing: dict[str, onnx.NodeProto] = {}
    late: list[tuple[onnx.NodeProto, str]] = []
    for index, node in enumerate(listed):
        for name in _reads(node):
            if name in known:
                continue
            if name not in makers:
                missing.setdefault(name, node)
            elif makers[name] >= index:
                late.append((node, name))
    for name, node in missing.items():
        yield Fault(where, f"{node.op_type} {node.name!r} reads {name!r}, which nothing makes")
    if late:
        node, name = late[0]
        cycle = _has_cycle(listed, makers)
        what = "nodes form a cycle" if cycle else "nodes are not in topological order"
        yield Fault(where, f"{what}: {node.op_type} {node.name!r} reads {name!r} before it is made", cycle)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names a node reads, those of its bodies' outer scope included."""
    yield from (name for name in node.input if name)
    for _, body in bodies(node):
        made = {i.name for i in body.input} | {t.name for t in body.initializer}
        made |= {s.values.name for s in body.sparse_initializer}
        made |= {name for inner in body.node for name in inner.output}
        for inner in body.node:
            yield from (name for name in _reads(inner) if name not in made)


def _has_cycle(nodes: list[onnx.NodeProto], makers: dict[str, int]) -> bool:
    """Kahn's algorithm: whether some node never becomes ready."""
    waits = [len({n for n in _reads(node) if n in makers}) for node in nodes]
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        for name in set(_reads(node)):
            readers.setdefault(name, []).append(index)
    ready = [index for index, count in enumerate(waits) if not count]
    done = 0
    while ready:
        done += 1
        for name in nodes[ready.pop()].output:
            for index in readers.get(name, ()):
                waits[index] -= 1
                if not waits[index]:
                    ready.append(index)
    return done < len(nodes)


def _type_faults(info: onnx.ValueInfoProto, where: str) -> Iterator[Fault]:
    tensor = info.type.tensor_type
    if info.type.HasField("tensor_type") and dtypes.name_of(tensor.elem_type).startswith("type "):
        yield Fault(
            where, f"value {info.name!r} has element type {tensor.elem_type}, which ONNX does not have"
        )
    for dim in tensor.shape.dim:
        if dim.dim_value < 0:
            yield Fault(
                where,
                f"value {info.name!r} has the negative size {dim.dim_value}; read as unknown",
                fatal=False,
            )
        elif dim.dim_value > _LARGEST_SIZE:
            yield Fault(
                where, f"value {info.name!r} has the size {dim.dim_value}: no machine holds such an axis"
            )


_LARGEST_SIZE = 2**48
"""An axis longer than any address space: a damaged or hostile file."""


def _repeated(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1 and name]


def schema_faults(proto: onnx.ModelProto) -> list[Fault]:
    """What operator schemas object to first: unknown operators, wrong counts, missing attributes."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    for tensor in bare.graph.initializer:  # the checker would look for the files in the working folder
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.ClearField("dims")
            tensor.dims.append(0)
    try:
        onnx.checker.check_model(bare, full_check=False)
    except onnx.checker.ValidationError as cause:
        return [Fault("graph", " ".join(str(cause).split()), fatal=False)]
    return []
