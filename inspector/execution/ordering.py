"""In which order can nodes run? The model's graph with every node under its key's name, sorted."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

import onnx

from inspector.model import Model
from inspector.model.walk import bodies, walk

__all__ = ["ordered_graph", "reads"]


def ordered_graph(model: Model) -> onnx.ModelProto:
    """A copy whose nodes carry the last part of their key as name and stand in an order that can run.

    Names that equal keys stay unique in any part cut out of the graph, so keys mean the same there.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for node in list(walk(proto.graph)):
        node.proto.name = node.key.removeprefix(node.body)
    for node in list(walk(proto.graph)):
        for _, body in bodies(node.proto):
            _sort(body)
    _sort(proto.graph)
    proto.graph.ClearField("value_info")
    return proto


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node takes from its own graph, those used only inside its bodies included."""
    yield from (name for name in node.input if name)
    for _, body in bodies(node):
        made = {i.name for i in body.input} | {t.name for t in body.initializer}
        made |= {s.values.name for s in body.sparse_initializer}
        made |= {name for inner in body.node for name in inner.output}
        used = [name for inner in body.node for name in reads(inner)] + [o.name for o in body.output]
        yield from (name for name in used if name not in made)


def _sort(graph: onnx.GraphProto) -> None:
    """Kahn's algorithm, keeping the file's order wherever it can run."""
    nodes = list(graph.node)
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    needs = [{makers[name] for name in reads(node) if name in makers} for node in nodes]
    if all(not need or max(need) < index for index, need in enumerate(needs)):
        return
    readers: dict[int, list[int]] = {}
    for index, need in enumerate(needs):
        for maker in need:
            readers.setdefault(maker, []).append(index)
    waits = [len(need) for need in needs]
    ready = [index for index, count in enumerate(waits) if not count]
    heapify(ready)
    order: list[int] = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heappush(ready, reader)
    copies: list[onnx.NodeProto] = []
    for index in order:
        copy = onnx.NodeProto()
        copy.CopyFrom(nodes[index])
        copies.append(copy)
    graph.ClearField("node")
    graph.node.extend(copies)
