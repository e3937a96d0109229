"""How are statistics computed inside the graph, so that values can die as soon as they are counted?

Four reductions per channel stand right behind each value's producer; the spread is counted around the
channel's own mean, so that no digits cancel where the mean is far from 0. Together with ONNX Runtime's
priority order this keeps memory near that of a plain run; appended at the end they would keep every value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from inspector.execution.moments import Moments
from inspector.model import Value

__all__ = ["Counters", "add_statistics"]

Array = np.ndarray[Any, np.dtype[Any]]

OLDEST = 7
"""Operator set from which the counting nodes can be run."""

COUNTED = ("min", "max", "mean", "spread")
_OPERATORS = {"min": "ReduceMin", "max": "ReduceMax", "mean": "ReduceMean", "spread": "ReduceSumSquare"}
_COUNTABLE = frozenset(("float32", "float16", "float64"))


@dataclass(frozen=True)
class Counters:
    """The graph with its counting nodes, and the names of their outputs."""

    proto: onnx.ModelProto
    counted: tuple[str, ...]
    values: Mapping[str, Value]

    @property
    def outputs(self) -> list[str]:
        """All counter outputs, four a value."""
        return [counter(key, what) for key in self.counted for what in COUNTED]

    def moments(self, key: str, kept: Mapping[str, Any]) -> Moments | None:
        """Statistics of a value from the counters of a run; None when it was not counted."""
        parts = self.channels(key, kept)
        if parts is None:
            return None
        shape = tuple(d for d in self.values[key].shape or () if isinstance(d, int))
        means = parts["mean"].astype(np.float64)
        within, between = parts["variance"].mean(dtype=np.float64), np.square(means - means.mean()).mean()
        return Moments(
            self.values[key].dtype, shape, float(parts["min"].min()), float(parts["max"].max()),
            float(means.mean()), math.sqrt(within + between), None, None, None,
        )  # fmt: skip

    def channels(self, key: str, kept: Mapping[str, Any]) -> Mapping[str, Array] | None:
        """min, max, mean and variance of each (n, c) of a value, by name."""
        if key not in self.counted:
            return None
        found = {what: _array(kept[counter(key, what)]) for what in COUNTED}
        spread = found.pop("spread")
        mean = found["mean"].reshape(spread.shape)
        return found | {"mean": mean, "variance": spread / _reduced(self.values[key])}


def _array(value: Any) -> Array:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def counter(key: str, what: str) -> str:
    """Name of a counter output."""
    return f"inspector:{what}:{key}"


def add_statistics(proto: onnx.ModelProto, keys: Iterable[str], values: Mapping[str, Value]) -> Counters:
    """The graph with min, max, mean and squared spread of each keyed value over all axes but the first two.

    Values of fewer than three axes are reduced over everything behind the first; float16 is counted as
    float32. Only top-level values of floating type and known shape are counted, and none before operator
    set 7, whose Sub ONNX Runtime does not have. The graph must be in order.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
    wanted = set(keys) if opset >= OLDEST else set[str]()
    order: list[onnx.NodeProto] = []
    counted: list[str] = []
    for node in proto.graph.node:
        order.append(node)
        for name in node.output:
            value = values.get(name)
            if name in wanted and value is not None and value.dtype in _COUNTABLE and value.size is not None:
                order += _counting(name, value, opset)
                counted.append(name)
    changed.graph.ClearField("node")
    changed.graph.node.extend(order)
    changed.graph.ClearField("output")
    for key in counted:
        for what in COUNTED:
            changed.graph.output.add(name=counter(key, what))
    return Counters(changed, tuple(counted), values)


def _axes(rank: int) -> list[int]:
    return list(range(2, rank)) if rank > 2 else list(range(1, rank))


def _reduced(value: Value) -> int:
    """How many elements one counter of the value sums up."""
    shape = [d for d in value.shape or () if isinstance(d, int)]
    return max(1, math.prod(shape[axis] for axis in _axes(len(shape))))


def _counting(name: str, value: Value, opset: int) -> list[onnx.NodeProto]:
    axes = _axes(len(value.shape or ()))
    nodes: list[onnx.NodeProto] = []
    read, off = name, counter(name, "off")
    if value.dtype == "float16":
        read = counter(name, "wide")
        nodes.append(helper.make_node("Cast", [name], [read], name=read, to=onnx.TensorProto.FLOAT))
    if not axes:  # a scalar or a vector is its own statistic
        for what in COUNTED:
            made = counter(name, what)
            inputs, operator = ([read, read], "Sub") if what == "spread" else ([read], "Identity")
            nodes.append(helper.make_node(operator, inputs, [made], name=made))
        return nodes
    for what in COUNTED:
        if what == "spread":
            nodes.append(helper.make_node("Sub", [read, counter(name, "mean")], [off], name=off))
        source = off if what == "spread" else read
        nodes += _reduction(what, name, source, axes, opset)
    return nodes


def _reduction(what: str, name: str, source: str, axes: list[int], opset: int) -> list[onnx.NodeProto]:
    made, operator, kept = counter(name, what), _OPERATORS[what], int(what == "mean")
    if opset < 18:
        return [helper.make_node(operator, [source], [made], name=made, axes=axes, keepdims=kept)]
    listed = f"inspector:axes:{what}:{name}"
    tensor = helper.make_tensor(listed, onnx.TensorProto.INT64, [len(axes)], axes)
    constant = helper.make_node("Constant", [], [listed], name=listed, value=tensor)
    return [constant, helper.make_node(operator, [source, listed], [made], name=made, keepdims=kept)]
