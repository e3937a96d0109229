"""Where can a graph be cut, so that its parts run one after the other and few values cross?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import onnx

from inspector import dtypes
from inspector.execution.ordering import reads
from inspector.model import Value

__all__ = ["Segment", "cut", "segment_graph"]

UNKNOWN_BYTES = 1 << 24
"""What a value of unknown size counts as: enough to be avoided, not enough to be forbidden."""

FUSES_ON = frozenset(
    (
        "Conv",
        "ConvTranspose",
        "BatchNormalization",
        "Gemm",
        "MatMul",
        "Mul",
        "Sub",
        "Div",
        "Erf",
        "Tanh",
        "Cast",
        "Pow",
        "Sqrt",
        "ReduceMean",
        "Sigmoid",
        "Transpose",
        "Reshape",
        "QuantizeLinear",
        "DequantizeLinear",
    )
)
"""Operators whose single-use result ONNX Runtime likes to fuse with its reader: poor places for a cut."""

FUSES_INTO = frozenset(("Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "Tanh", "BatchNormalization"))
"""Operators that swallow whatever they alone read."""

FUSION_PENALTY = 4.0

PASSING = frozenset(("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Transpose"))
"""Operators that cost nothing to repeat on a stored weight."""


@dataclass(frozen=True)
class Segment:
    """Nodes `start` to `stop` of the ordered graph, what they take from earlier ones and give on."""

    start: int
    stop: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def cut(proto: onnx.ModelProto, values: Mapping[str, Value], parts: int) -> tuple[Segment, ...]:
    """At most `parts` segments of about equal activation bytes, cut where the fewest bytes cross.

    Only tensors of known element type may cross. The graph must be in order (`ordered_graph`).
    """
    nodes = proto.graph.node
    stored = _stored(proto)
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name and name not in stored}
    last_read, readers = _last_reads(proto, makers)
    costs = _crossing_costs(proto, values, makers, last_read, readers)
    positions = _positions(proto, values, costs, parts)
    bounds = [0, *positions, len(nodes)]
    return tuple(
        _segment(proto, start, stop, makers, last_read) for start, stop in pairwise(bounds) if stop > start
    )


def segment_graph(
    proto: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[str],
    values: Mapping[str, Value],
) -> onnx.ModelProto:
    """A model of some nodes with the weights they read; `inputs` that earlier nodes make become inputs.

    It has no outputs yet: `expose` adds them.
    """
    part = onnx.ModelProto()
    for name in ("ir_version", "producer_name"):
        setattr(part, name, getattr(proto, name))
    part.ir_version = max(part.ir_version, 4)  # before 4 every initializer had to be an input
    part.opset_import.extend(proto.opset_import)
    part.functions.extend(proto.functions)
    part.graph.name = proto.graph.name or "segment"
    needed = {name for node in nodes for name in reads(node)}
    made = {name for node in nodes for name in node.output}
    for node in _repeated(proto, needed - made):
        part.graph.node.add().CopyFrom(node)
        needed.update(reads(node))
    for node in nodes:
        part.graph.node.add().CopyFrom(node)
    part.graph.initializer.extend(t for t in proto.graph.initializer if t.name in needed)
    part.graph.sparse_initializer.extend(s for s in proto.graph.sparse_initializer if s.values.name in needed)
    fed = {info.name: info for info in proto.graph.input}
    stored = {t.name for t in part.graph.initializer}
    stored |= {s.values.name for s in part.graph.sparse_initializer}
    for name in inputs:
        if name in fed:
            part.graph.input.add().CopyFrom(fed[name])
        else:
            part.graph.input.append(_typed(name, values[name]))
    for name in sorted((needed & set(fed)) - set(inputs) - stored):
        part.graph.input.add().CopyFrom(fed[name])
    return part


def _typed(name: str, value: Value) -> onnx.ValueInfoProto:
    info = onnx.ValueInfoProto(name=name)
    info.type.tensor_type.elem_type = dtypes.number_of(value.dtype)
    if value.shape is not None:
        for dim in value.shape:
            added = info.type.tensor_type.shape.dim.add()
            if isinstance(dim, int):
                added.dim_value = dim
    return info


def _stored(proto: onnx.ModelProto) -> set[str]:
    """Names whose value follows from the file alone: they are made again where needed, never passed on."""
    names = {t.name for t in proto.graph.initializer}
    names |= {s.values.name for s in proto.graph.sparse_initializer}
    names -= {info.name for info in proto.graph.input}
    for node in proto.graph.node:
        if node.op_type == "Constant" or (node.op_type in PASSING and all(n in names for n in node.input)):
            names.update(node.output)
    return names


def _repeated(proto: onnx.ModelProto, wanted: set[str]) -> list[onnx.NodeProto]:
    """Constants, and cheap nodes over stored values, that a segment needs from before it; in order."""
    stored = _stored(proto)
    missing, found = set(wanted), list[onnx.NodeProto]()
    for node in reversed(proto.graph.node):
        if missing.intersection(node.output) and stored.issuperset(node.output):
            found.append(node)
            missing.update(node.input)
    return found[::-1]


def _last_reads(
    proto: onnx.ModelProto, makers: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, list[int]]]:
    last: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(proto.graph.node):
        for name in set(reads(node)):
            if name in makers:
                last[name] = index
                readers.setdefault(name, []).append(index)
    return last, readers


def _crossing_costs(
    proto: onnx.ModelProto,
    values: Mapping[str, Value],
    makers: Mapping[str, int],
    last_read: Mapping[str, int],
    readers: Mapping[str, list[int]],
) -> list[float]:
    """Cost of a cut before each node: bytes that cross, dearer where a fusion would be broken.

    Infinite where a value of unknown type would cross.
    """
    count = len(proto.graph.node)
    change, barred = [0.0] * (count + 2), [0] * (count + 2)
    for name, made in makers.items():
        until = last_read.get(name, made)
        if until <= made:
            continue
        value = values.get(name)
        if value is None or value.kind != "tensor" or not value.dtype:
            barred[made + 1] += 1
            barred[until + 1] -= 1
            continue
        weight = float(UNKNOWN_BYTES if value.nbytes is None else value.nbytes + 64)
        reader = proto.graph.node[readers[name][0]].op_type
        fusing = proto.graph.node[made].op_type in FUSES_ON or reader in FUSES_INTO
        if len(readers[name]) == 1 and fusing:
            weight *= FUSION_PENALTY
        change[made + 1] += weight
        change[until + 1] -= weight
    costs: list[float] = []
    running, closed = 0.0, 0
    for step, gates in zip(change[: count + 1], barred, strict=False):
        running, closed = running + step, closed + gates
        costs.append(math.inf if closed else running)
    return costs


def _positions(
    proto: onnx.ModelProto, values: Mapping[str, Value], costs: list[float], parts: int
) -> list[int]:
    made = [0.0]
    for node in proto.graph.node:
        size = sum((values[o].nbytes or 0) + 64 for o in node.output if o in values)
        made.append(made[-1] + (0 if node.op_type == "Constant" else size))
    positions: list[int] = []
    total, first = made[-1], 1
    for part in range(1, max(1, parts)):
        limit = total * (part + 0.5) / parts
        window = [p for p in range(first, len(costs) - 1) if total * (part - 0.5) / parts <= made[p] <= limit]
        allowed = [p for p in window if costs[p] < math.inf]
        if allowed:
            best = min(allowed, key=lambda p: (costs[p], p))
            positions.append(best)
            first = best + 1
    return positions


def _segment(
    proto: onnx.ModelProto, start: int, stop: int, makers: Mapping[str, int], last_read: Mapping[str, int]
) -> Segment:
    inside = proto.graph.node[start:stop]
    taken = dict.fromkeys(name for node in inside for name in reads(node) if makers.get(name, stop) < start)
    given = dict.fromkeys(
        name for node in inside for name in node.output if name in makers and last_read.get(name, -1) >= stop
    )
    return Segment(start, stop, tuple(taken), tuple(given))
