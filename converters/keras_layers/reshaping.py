"""How do Keras' reshaping layers become ONNX? Cropping, padding, upsampling, and moving or merging axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.keras_layers.convolution import spatial_list
from converters.keras_layers.registry import layer
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor, Value

__all__ = ["resize", "to_shape"]


def _pairs(setting: Any, rank: int) -> list[tuple[int, int]]:
    """(begin, end) a spatial axis from 1, (1, 2) or ((1, 2), (3, 4))."""
    if isinstance(setting, int):
        return [(setting, setting)] * rank
    items = list(setting)
    if rank == 1:
        flat = items[0] if len(items) == 1 and isinstance(items[0], (list, tuple)) else items
        return [(int(flat[0]), int(flat[-1]))]
    return [(int(i), int(i)) if isinstance(i, int) else (int(i[0]), int(i[1])) for i in items]


@layer("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(call: Call) -> Tensor:
    """Pad."""
    x = call.spatial(call.x)
    pairs = _pairs(call.get("padding", 1), x.rank - 2)
    pads = [0, 0, *(p[0] for p in pairs), 0, 0, *(p[1] for p in pairs)]
    return call.from_spatial(call.g.op("Pad", x, call.g.ints(*pads), mode="constant"))


@layer("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(call: Call) -> Tensor:
    """Slice."""
    x = call.spatial(call.x)
    pairs = _pairs(call.get("cropping", 0), x.rank - 2)
    ends = [-end if end else 2**62 for _, end in pairs]
    axes = range(2, x.rank)
    g = call.g
    value = g.op("Slice", x, g.ints(*(begin for begin, _ in pairs)), g.ints(*ends), g.ints(*axes))
    return call.from_spatial(value)


_RESIZE: dict[str, dict[str, Any]] = {
    "nearest": {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_ceil",
    },
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "bicubic": {
        "mode": "cubic",
        "coordinate_transformation_mode": "half_pixel",
        "cubic_coeff_a": -0.75,
    },
}


def resize(
    call: Call, x: Value, sizes: Sequence[int], interpolation: str, *, antialias: bool = False
) -> Value:
    """Resize the spatial axes of (n, c, h, w) to fixed sizes, pixels taken as squares."""
    call.need(interpolation in _RESIZE, f"the interpolation {interpolation!r} has no ONNX counterpart")
    g = call.g
    settings = dict(_RESIZE[interpolation])
    if antialias and interpolation != "nearest":
        return _smooth(call, x, sizes, interpolation)
    shape = [*(x.shape or ())[:2], *sizes]
    known = (x.shape or ())[2:]
    if all(isinstance(d, int) for d in known):
        exact = [1.0, 1.0, *(_scale(d, t) for d, t in zip(known, sizes, strict=True) if isinstance(d, int))]
        return g.op("Resize", x, None, g.const(exact, "float32", hint="scales"), shape=shape, **settings)
    target = call.dims(x, [(x, 0), (x, 1), *sizes])
    return g.op("Resize", x, None, None, target, shape=shape, **settings)


def _smooth(call: Call, x: Value, sizes: Sequence[int], interpolation: str) -> Value:
    """One product with a matrix for each axis; the filter grows with the reduction."""
    for axis, target in enumerate(sizes, start=2):
        size = (x.shape or ())[axis]
        call.need(isinstance(size, int), "antialiasing needs images of a known size")
        assert isinstance(size, int)
        matrix = call.numbers(_filter(size, target, interpolation == "bicubic"), x)
        order = [i for i in range(x.rank) if i != axis] + [axis]
        product = call.g.op("MatMul", call.transpose(x, order), matrix)
        x = call.transpose(product, [order.index(i) for i in range(x.rank)])
    return x


def _filter(size: int, target: int, cubic: bool) -> np.ndarray[Any, Any]:
    """(size, target) weights of a triangle or of Keys' cubic with a = -0.5."""
    scale = size / target
    width = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs((np.arange(size)[:, None] + 0.5 - centres) / width)
    if cubic:
        near = (1.5 * distance - 2.5) * distance**2 + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    else:
        weights = np.maximum(1 - distance, 0)
    return weights / weights.sum(0)


def _scale(size: int, target: int) -> float:
    """A float32 factor whose product with the size does not fall below the target, in either precision."""
    factor = np.float32(target / size)
    if np.floor(factor * np.float32(size)) < target or float(factor) * size < target:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


@layer("UpSampling1D", "UpSampling2D", "UpSampling3D")
def up_sampling(call: Call) -> Tensor:
    """Resize by whole factors."""
    x = call.spatial(call.x)
    rank = x.rank - 2
    factors = spatial_list(call.get("size", 2), rank)
    kind = str(call.get("interpolation", "nearest"))
    g = call.g
    scales = g.const([1.0, 1.0, *map(float, factors)], "float32", hint="scales")
    if kind == "nearest":
        settings: dict[str, Any] = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    else:
        call.need(kind in _RESIZE, f"the interpolation {kind!r} has no ONNX counterpart")
        settings = _RESIZE[kind]
    shape = [*(x.shape or ())[:2]]
    shape += [
        d * f if isinstance(d, int) else None for d, f in zip((x.shape or ())[2:], factors, strict=True)
    ]
    return call.from_spatial(g.op("Resize", x, None, scales, shape=shape, **settings))


@layer("Flatten")
def flatten_layer(call: Call) -> Tensor:
    """Reshape to a matrix; channels come last first, as Keras does."""
    x = call.x
    if call.channels_first and x.rank > 2:
        value = call.transpose(call.plain(x), [0, *range(2, x.rank), 1])
    else:
        value = call.first(x) if x.moved and all(d == 1 for d in x.shape[1:-1]) else call.plain(x)
    if x.rank == 1:
        return Tensor(call.g.op("Unsqueeze", value, call.g.ints(1)))
    inner = [d for d in x.shape[1:] if isinstance(d, int)]
    size = math.prod(inner) if len(inner) == x.rank - 1 else -1
    if size == -1:
        return Tensor(call.g.op("Flatten", value, axis=1, shape=[x.shape[0], None]))
    return Tensor(call.reshape(value, [(value, 0), size]))


@layer("Reshape")
def reshape_layer(call: Call) -> Tensor:
    """Reshape; a vector that becomes one pixel stays channels first."""
    x = call.x
    target = [int(d) if d is not None else -1 for d in call.get("target_shape", [])]
    inner = [d for d in x.shape[1:] if isinstance(d, int)]
    if -1 in target and len(inner) == x.rank - 1:
        rest = math.prod(d for d in target if d != -1)
        target[target.index(-1)] = math.prod(inner) // rest if rest else 0
    pixel = len(target) >= 2 and all(d == 1 for d in target[:-1]) and target[-1] > 0
    if pixel and (x.rank == 2 or (x.moved and all(d == 1 for d in x.shape[1:-1]))):
        if x.moved and x.rank == len(target) + 1:
            return x
        ones = [1] * (len(target) - 1)
        return Tensor(call.reshape(x.value, [(x.value, 0), target[-1], *ones]), moved=True)
    return Tensor(to_shape(call, call.plain(x), target))


def to_shape(call: Call, value: Value, target: Sequence[int]) -> Value:
    """Reshape all axes but the batch."""
    batch = (value.shape or [None])[0]
    if -1 in target and not isinstance(batch, int):
        known = [d if d != -1 else None for d in target]
        return call.g.op("Reshape", value, call.g.ints(0, *target), shape=[batch, *known])
    return call.reshape(value, [(value, 0), *target])


@layer("Permute")
def permute(call: Call) -> Tensor:
    """Transpose."""
    dims = [int(d) for d in call.get("dims", [])]
    return Tensor(call.transpose(call.plain(call.x), [0, *dims]))


@layer("RepeatVector")
def repeat_vector(call: Call) -> Tensor:
    """Unsqueeze and Expand."""
    g, x = call.g, call.plain(call.x)
    n = int(call.get("n", 1))
    grown = g.op("Unsqueeze", x, g.ints(1))
    shape = [(x.shape or [None])[0], n, (x.shape or [None, None])[1]]
    return Tensor(g.op("Expand", grown, g.ints(1, n, 1), shape=shape))
