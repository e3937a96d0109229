"""Which axis of an input holds its channels? What the first operators that know it say."""

from __future__ import annotations

from collections import deque

from inspector.methods.layouts import CHANNELS_FIRST
from inspector.model import Model
from inspector.model.walk import Node

__all__ = ["channel_axis"]

KEEPING = frozenset(
    {
        *("Identity", "Cast", "Dropout", "Pad", "Clip", "Relu", "Tanh", "Sigmoid", "Neg", "Abs", "Log"),
        *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "QuantizeLinear", "DequantizeLinear", "Slice"),
    }
)
"""Operators whose output has the axes of their first input."""

RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
LINEAR = frozenset({"MatMul", "Gemm", "LayerNormalization", "SimplifiedLayerNormalization"})

Axes = tuple[int | None, ...]


def channel_axis(model: Model, key: str, rank: int) -> int | None:
    """1 or `rank` - 1 where the graph says which of these the channels are; None where it does not.

    Convolutions and their like read channels at axis 1, linear and recurrent layers at the last.
    """
    waiting: deque[tuple[str, Axes]] = deque([(key, tuple(range(rank)))])
    seen = {key}
    while waiting:
        name, axes = waiting.popleft()
        for node in model.consumers.get(name, ()):
            read = _read_at(model, node, name, axes)
            if read in (1, rank - 1):
                return read
            after = _after(model, node, name, axes)
            if after is not None and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                waiting.append((node.outputs[0], after))
    return None


def _read_at(model: Model, node: Node, name: str, axes: Axes) -> int | None:
    if node.body or node.inputs[0] != name or len(axes) < 3:
        return None
    if node.op in CHANNELS_FIRST:
        return axes[1]
    stored = len(node.inputs) > 1 and _is_stored(model, node.inputs[1])
    return axes[-1] if node.op in RECURRENT or (node.op in LINEAR and stored) else None


def _after(model: Model, node: Node, name: str, axes: Axes) -> Axes | None:
    """The input's axes as they lie in the node's output; None where they are lost."""
    if node.body:
        return None
    if node.op in KEEPING:
        other = [key for key in node.inputs if key and key != name]
        return axes if all(_is_stored(model, key) for key in other) else None
    if node.op == "Transpose" and len(order := list(node.attributes.get("perm") or ())) == len(axes):
        return tuple(axes[place] for place in order)
    if node.op == "Unsqueeze":
        return _unsqueezed(model, node, axes)
    return None


def _is_stored(model: Model, key: str) -> bool:
    """Whether a value follows from weights alone, as a transposed matrix does."""
    waiting, seen = [key], {key}
    while waiting:
        name = waiting.pop()
        if model.weight_behind(name) is not None:
            continue
        node = model.producers.get(name)
        if node is None:
            return False
        new = [read for read in node.inputs if read and read not in seen]
        seen.update(new)
        waiting += new
    return True


def _unsqueezed(model: Model, node: Node, axes: Axes) -> Axes | None:
    given = node.attributes.get("axes")
    if given is None and len(node.inputs) > 1:
        stored = model.weight_behind(node.inputs[1])
        given = None if stored is None else stored.array().reshape(-1).tolist()
    if given is None:
        return None
    rank = len(axes) + len(given)
    new, kept = {place % rank for place in given}, iter(axes)
    return tuple(None if place in new else next(kept) for place in range(rank))
