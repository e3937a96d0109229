"""How do Keras' poolings become ONNX? Windows, whole axes, and adaptive windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.keras_layers.convolution import spatial_list
from converters.keras_layers.registry import layer
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Dim, Tensor, Value

__all__ = ["pool_window"]


def pool_window(
    call: Call, kind: str, x: Value, window: Sequence[int], strides: Sequence[int], padding: str
) -> Value:
    """MaxPool or AveragePool on (n, c, …); padded positions never count."""
    attributes: dict[str, Any] = {"kernel_shape": list(window), "strides": list(strides)}
    if padding == "same":
        attributes |= _same(x.shape or (), window, strides)
    elif kind == "MaxPool":
        # Said aloud, because ONNX Runtime 1.31 merges a Pad of zeros into a MaxPool without `auto_pad`,
        # whose own padding is minus infinity.
        attributes["auto_pad"] = "VALID"
    return call.g.op(kind, x, **attributes)


def _same(shape: Sequence[Dim], window: Sequence[int], strides: Sequence[int]) -> dict[str, Any]:
    if not all(isinstance(s, int) for s in shape[2:]):
        return {"auto_pad": "SAME_UPPER"}
    sizes = [s for s in shape[2:] if isinstance(s, int)]
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, window, strides, strict=True)]
    return {"pads": [t // 2 for t in totals] + [t - t // 2 for t in totals]}


def _pool(call: Call, kind: str) -> Tensor:
    x = call.spatial(call.x)
    rank = x.rank - 2
    window = spatial_list(call.get("pool_size", 2), rank)
    strides = spatial_list(call.get("strides", window), rank)
    return call.from_spatial(pool_window(call, kind, x, window, strides, str(call.get("padding", "valid"))))


@layer("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "MaxPool1D", "MaxPool2D", "MaxPool3D")
def max_pool(call: Call) -> Tensor:
    """MaxPool."""
    return _pool(call, "MaxPool")


@layer("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D")
def average_pool(call: Call) -> Tensor:
    """AveragePool."""
    return _pool(call, "AveragePool")


def _global(call: Call, kind: str, reduce: str) -> Tensor:
    x = call.spatial(call.x)
    rank = x.rank
    if call.get("keepdims", False):
        return call.from_spatial(call.g.op(kind, x))
    return Tensor(call.g.op(reduce, x, call.g.ints(*range(2, rank)), keepdims=0))


@layer(*(f"{name}{n}D" for name in ("GlobalMaxPooling", "GlobalMaxPool") for n in (1, 2, 3)))
def global_max(call: Call) -> Tensor:
    """GlobalMaxPool, or ReduceMax where the axes go away."""
    return _global(call, "GlobalMaxPool", "ReduceMax")


@layer(*(f"{name}{n}D" for name in ("GlobalAveragePooling", "GlobalAvgPool") for n in (1, 2, 3)))
def global_average(call: Call) -> Tensor:
    """GlobalAveragePool, or ReduceMean where the axes go away; a mask leaves steps out."""
    mask = call.mask
    if mask is None or call.x.rank != 3:
        return _global(call, "GlobalAveragePool", "ReduceMean")
    g, x = call.g, call.spatial(call.x)
    keep = int(bool(call.get("keepdims", False)))
    kept = g.op("Unsqueeze", g.op("Cast", call.plain(mask), to=9), g.ints(1))
    total = g.op("ReduceSum", g.op("Where", kept, x, g.scalar(0.0, x)), g.ints(2), keepdims=keep)
    count = g.op("ReduceSum", g.op("Cast", kept, to=x.type), g.ints(2), keepdims=keep)
    mean = g.op("Div", total, count)
    return call.from_spatial(mean) if keep else Tensor(mean)


def _adaptive(call: Call, average: bool) -> Tensor:
    """Window i of n over a size L covers floor(i·L/n) to ceil((i+1)·L/n)."""
    x = call.spatial(call.x)
    rank = x.rank - 2
    targets = spatial_list(call.get("output_size", 1), rank)
    sizes = [s for s in (x.shape or ())[2:] if isinstance(s, int)]
    call.need(len(sizes) == rank, "adaptive pooling needs known spatial sizes")
    if all(size % target == 0 for size, target in zip(sizes, targets, strict=True)):
        window = [size // target for size, target in zip(sizes, targets, strict=True)]
        kind = "AveragePool" if average else "MaxPool"
        return call.from_spatial(pool_window(call, kind, x, window, window, "valid"))
    for axis, (size, target) in enumerate(zip(sizes, targets, strict=True)):
        x = _adaptive_axis(call, x, axis + 2, size, target, average)
    return call.from_spatial(x)


def _adaptive_axis(call: Call, x: Value, axis: int, size: int, target: int, average: bool) -> Value:
    starts = [(i * size) // target for i in range(target)]
    stops = [-(-(i + 1) * size // target) for i in range(target)]
    g = call.g
    if average:
        matrix = np.zeros((size, target), np.float64)
        for i, (a, b) in enumerate(zip(starts, stops, strict=True)):
            matrix[a:b, i] = 1 / (b - a)
        rank = x.rank
        order = [i for i in range(rank) if i != axis] + [axis]
        moved = g.op("MatMul", call.transpose(x, order), call.numbers(matrix, x))
        return call.transpose(moved, [order.index(i) for i in range(rank)])
    pieces = [
        g.op(
            "ReduceMax",
            g.op("Slice", x, g.ints(a), g.ints(b), g.ints(axis)),
            g.ints(axis),
            keepdims=1,
        )
        for a, b in zip(starts, stops, strict=True)
    ]
    return g.op("Concat", *pieces, axis=axis)


@layer(*(f"AdaptiveAveragePooling{n}D" for n in (1, 2, 3)))
def adaptive_average(call: Call) -> Tensor:
    """AveragePool where windows are equal, else a product with a matrix for each axis."""
    return _adaptive(call, average=True)


@layer(*(f"AdaptiveMaxPooling{n}D" for n in (1, 2, 3)))
def adaptive_max(call: Call) -> Tensor:
    """MaxPool where windows are equal, else the maximum of slices."""
    return _adaptive(call, average=False)
