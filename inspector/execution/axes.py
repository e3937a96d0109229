"""What does each axis of a value mean? Read from the operator that made it, and those before."""

from __future__ import annotations

from inspector.execution.guessing import is_picture
from inspector.model import Model

__all__ = ["axes_of_value", "channel_axis", "is_attention"]

_FIRST = frozenset(
    (
        "Conv",
        "ConvTranspose",
        "ConvInteger",
        "QLinearConv",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "LpPool",
        "BatchNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "LRN",
        "MaxRoiPool",
        "DepthToSpace",
        "SpaceToDepth",
        "PRelu",
    )
)
"""Operators whose axis 1 is the channel by definition."""

_TOKENS = frozenset(
    ("MatMul", "Gemm", "LayerNormalization", "SkipLayerNormalization", "Gather", "RMSNormalization")
)
"""Operators whose last axis holds features, in networks of tokens."""

_ATTENDS = frozenset(("LayerNormalization", "Attention", "MultiHeadAttention", "RMSNormalization"))
"""Operators of networks whose sequences are tokens rather than signals."""

_LONG = 256
"""Values in a row from which one axis beside axes of size 1 is a signal, not a feature vector."""

_STEPS_BACK = 40

_KEEPING = frozenset(("Cast", "Dropout", "Identity", "Reshape"))
_PASSED = 5
"""Nodes between the softmax and the product that may keep the weights as they are."""


def axes_of_value(model: Model, key: str, shape: tuple[int, ...]) -> str:
    """Names as `views.picture_of` takes them ('n c h w', 'n t f', 'n heads q k', …); "" when unknown."""
    rank = len(shape)
    if rank < 2:
        return ""
    if is_attention(model, key, shape):
        return {4: "n heads q k", 3: "heads q k"}.get(rank, "")
    if rank == 3 and sorted(shape)[1] == 1 and max(shape) > _LONG and shape[0] == 1:
        return "n c t" if shape[1] == 1 else "n t c"
    kind = _origin(model, key, rank)
    attends = any(node.op in _ATTENDS for node in model.nodes.values())
    if kind == "last" and rank == 3 and attends:
        kind = "tokens"
    if rank == 5 and attends and kind in ("", "tokens"):
        return "n n c h w"  # queries, keys and values of every head, not a volume
    if kind == "first":
        return {2: "n k", 3: "n c t", 4: "n c h w", 5: "n c d h w"}.get(rank, "")
    if kind == "last":
        return {2: "n k", 3: "n t c", 4: "n h w c", 5: "n d h w c"}.get(rank, "")
    if kind == "tokens":
        return {2: "n k" if shape[0] == 1 else "t f", 3: "n t f", 4: "n heads t f"}.get(rank, "")
    return ""


def channel_axis(axes: str, rank: int) -> int:
    """The axis that statistics are kept for: channels, features or scores; else the second."""
    names = axes.split()
    for name in ("c", "heads", "f", "k"):
        if name in names:
            return names.index(name)
    return min(1, rank - 1)


def is_attention(model: Model, key: str, shape: tuple[int, ...]) -> bool:
    """Whether a value is a softmax over keys that a matrix product then uses as weights."""
    node = model.producers.get(key)
    if node is None or len(shape) not in (3, 4) or min(shape[-2:]) < 2:
        return False
    if node.op != "Softmax" or node.attributes.get("axis", -1) not in (-1, len(shape) - 1):
        return False
    names = {key}
    for _ in range(_PASSED):
        readers = [reader for name in names for reader in model.consumers.get(name, ())]
        if any(reader.op == "MatMul" and reader.inputs[0] in names for reader in readers):
            return True
        names = {reader.outputs[0] for reader in readers if reader.op in _KEEPING}
    return False


def _origin(model: Model, key: str, rank: int) -> str:
    """Walk back along the main input until an operator tells the layout: "first", "last", "tokens" or ""."""
    for _ in range(_STEPS_BACK):
        node = model.producers.get(key)
        if node is None:
            return _of_input(model, key)
        if node.op == "Transpose":
            order = list(node.attributes.get("perm", ()))
            if order == [0, *range(2, rank), 1]:
                return "last"
            if order == [0, rank - 1, *range(1, rank - 1)]:
                return "first"
            return "tokens" if rank in (3, 4) else ""
        if node.op in _FIRST:
            return "first"
        if node.op in _TOKENS:
            return "tokens"
        if node.op in ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Split", "Slice"):
            if node.op in ("Flatten",) or rank == 2:
                return "first"
            if node.op not in ("Split", "Slice"):
                return ""
        computed = [name for name in node.inputs if name and name not in model.weights]
        if not computed:
            return ""
        key = computed[0]
    return ""


def _of_input(model: Model, key: str) -> str:
    value = next((v for v in model.inputs if v.key == key), None)
    if value is None or value.shape is None or not is_picture(value):
        return ""
    return "last" if value.shape[-1] in (1, 3, 4) and value.shape[1] not in (1, 3, 4) else "first"
