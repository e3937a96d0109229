"""Which part of the input can a place of a layer see? Windows traced back through the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inspector.model import Model, Node

__all__ = ["receptive_window"]

Span = tuple[int, int]
Shapes = Mapping[str, tuple[int, ...]]

_SLIDING = frozenset(("Conv", "MaxPool", "AveragePool", "LpPool"))
_PLACEWISE = frozenset(
    (
        *("Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "Tanh", "Softplus"),
        *("HardSigmoid", "HardSwish", "Mish", "Swish", "Erf", "Exp", "Log", "Abs", "Neg", "Sqrt", "Pow"),
        *("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Where", "Concat", "Identity", "Cast"),
        *("BatchNormalization", "Dropout", "LRN", "Split", "Slice"),
    )
)


def receptive_window(
    model: Model, key: str, place: Sequence[int], entry: str, shapes: Shapes
) -> tuple[Span, ...]:
    """(first, past the last) on every axis of places of the input that `place` of `key` depends on.

    Values are (n, c, …). An operator that mixes places in another way (global pooling, attention) sees
    everything; so does what is cut out of a value (`Slice`) along places.
    """
    rank = len(shapes[entry]) - 2
    whole = tuple((0, size) for size in shapes[entry][2:])
    if len(shapes[key]) != rank + 2:
        return whole
    shapes = {**{k: tuple(w.shape) for k, w in model.weights.items()}, **shapes}
    seen: dict[str, tuple[Span, ...]] = {key: tuple((at, at + 1) for at in place)}
    order = [node for node in model.nodes.values() if not node.body]
    for node in reversed(order):
        wanted = [seen[out] for out in node.outputs if out in seen]
        if not wanted:
            continue
        span = _union(wanted)
        for name in node.inputs:
            if name in shapes and name not in model.weights:
                before = _before(node, name, span, shapes, rank)
                seen[name] = _union([before, *([seen[name]] if name in seen else [])])
    found = seen.get(entry, whole)
    return tuple((max(0, low), min(high, size)) for (low, high), (_, size) in zip(found, whole, strict=True))


def _union(spans: Sequence[tuple[Span, ...]]) -> tuple[Span, ...]:
    return tuple((min(s[0] for s in axis), max(s[1] for s in axis)) for axis in zip(*spans, strict=True))


def _before(node: Node, name: str, span: tuple[Span, ...], shapes: Shapes, rank: int) -> tuple[Span, ...]:
    """The window of an input that a window of the node's output depends on."""
    shape = shapes[name]
    if len(shape) != rank + 2:
        return _everything(shape, rank)
    if node.op in _SLIDING and name == node.inputs[0]:
        return _sliding(node, shape, shapes, span)
    if node.op == "Pad" and node.attributes.get("pads"):
        begins = list(node.attributes["pads"])[2 : 2 + rank]
        return _limited([(low - b, high - b) for (low, high), b in zip(span, begins, strict=True)], shape)
    same = node.op in _PLACEWISE and shapes[node.outputs[0]][2:] == shape[2:]
    return span if same else _everything(shape, rank)


def _everything(shape: tuple[int, ...], rank: int) -> tuple[Span, ...]:
    sizes = shape[2:] if len(shape) == rank + 2 else (1,) * rank
    return tuple((0, size) for size in sizes)


def _sliding(node: Node, shape: tuple[int, ...], shapes: Shapes, span: tuple[Span, ...]) -> tuple[Span, ...]:
    rank = len(span)
    given: Mapping[str, Any] = node.attributes
    kernel = list(given.get("kernel_shape") or shapes[node.inputs[1]][2:])
    strides = list(given.get("strides") or [1] * rank)
    steps = list(given.get("dilations") or [1] * rank)
    pads = list(given.get("pads") or [0] * 2 * rank)[:rank]
    auto = given.get("auto_pad", "NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto.startswith("SAME"):
        after = shapes[node.outputs[0]][2:]
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, steps, strict=True)]
        missing = [
            max(0, (n - 1) * s + r - size)
            for n, s, r, size in zip(after, strides, reach, shape[2:], strict=True)
        ]
        pads = [m // 2 if auto == "SAME_UPPER" else m - m // 2 for m in missing]
    return _limited(
        [
            (low * s - p, (high - 1) * s - p + (k - 1) * d + 1)
            for (low, high), s, p, k, d in zip(span, strides, pads, kernel, steps, strict=True)
        ],
        shape,
    )


def _limited(span: Sequence[Span], shape: tuple[int, ...]) -> tuple[Span, ...]:
    return tuple(
        (min(max(0, low), size - 1), max(min(high, size), 1))
        for (low, high), size in zip(span, shape[2:], strict=True)
    )
