"""Which axes of a value are channels and which are places? Followed through the graph, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Literal

from inspector.model import Model
from inspector.model.walk import Node

__all__ = ["Layout", "layouts", "mixes_places"]

Layout = Literal["first", "last"]
"""Channels before the places, (n, c, h, w) or (n, c, t), or behind them, (n, h, w, c) or tokens (n, t, c)."""

CHANNELS_FIRST = frozenset(
    {
        *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "BatchNormalization", "ConvInteger"),
        *(
            "InstanceNormalization",
            "GroupNormalization",
            "LRN",
            "QLinearConv",
            "DepthToSpace",
            "SpaceToDepth",
        ),
    }
)
"""Operators that ONNX defines on axes (n, c, places)."""

FUSED_ATTENTION = frozenset({"Attention", "MultiHeadAttention", "GroupQueryAttention", "PackedAttention"})


def layouts(
    model: Model, shapes: Mapping[str, tuple[int, ...]], start: str, reached: Set[str]
) -> dict[str, Layout]:
    """The layout of every value of rank 3 or 4 whose axes are known; `reached` lie below `start`."""
    found: dict[str, Layout] = {}
    shape = shapes.get(start, ())
    if len(shape) == 4:
        found[start] = "last" if shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4) else "first"
    for node in model.nodes.values():
        for key in node.outputs:
            if key in reached and not node.body and len(shapes.get(key, ())) in (3, 4):
                layout = _layout(node, shapes[key], shapes, found, reached)
                if layout is not None:
                    found[key] = layout
    return found


def mixes_places(node: Node, reached: Set[str]) -> bool:
    """Whether a node brings tokens together: a product of two computed values, or a fused attention."""
    if node.op in FUSED_ATTENTION:
        return True
    return node.op in ("MatMul", "Einsum") and sum(key in reached for key in node.inputs) > 1


def _layout(
    node: Node,
    shape: tuple[int, ...],
    shapes: Mapping[str, tuple[int, ...]],
    found: Mapping[str, Layout],
    reached: Set[str],
) -> Layout | None:
    known = [key for key in node.inputs if key in found]
    same = [key for key in known if shapes[key] == shape]
    before = found[known[0]] if known else None
    if node.op in CHANNELS_FIRST:
        return "first"
    if node.op == "Transpose":
        return _transposed(before, list(node.attributes.get("perm") or ()))
    if node.op in ("Reshape", "Flatten"):
        return _reshaped(before, shapes[known[0]], shape) if known else None
    if mixes_places(node, reached):
        return None
    if node.op in ("MatMul", "Gemm"):  # a linear layer works on the last axis
        return "last" if len(shape) == 3 or before == "last" else None
    if node.op in ("Gather", "LayerNormalization", "SimplifiedLayerNormalization") and len(shape) == 3:
        return found[same[0]] if same else "last"
    if node.op in ("Concat", "Slice", "Pad", "Resize", "Upsample", "Split"):
        return before
    return found[same[0]] if same else None


def _transposed(before: Layout | None, order: list[int]) -> Layout | None:
    turns: dict[tuple[int, ...], Layout] = {(0, 2, 3, 1): "first", (0, 3, 1, 2): "last"}
    if before is None:
        return None
    if order == [0, 2, 1]:
        return "last" if before == "first" else "first"
    if turns.get(tuple(order)) == before:
        return "last" if before == "first" else "first"
    return None


def _reshaped(before: Layout | None, old: tuple[int, ...], new: tuple[int, ...]) -> Layout | None:
    """Places may be joined or split as long as the channels stay as they are."""
    axis = 1 if before == "first" else -1
    return before if before is not None and old[0] == new[0] and old[axis] == new[axis] else None
