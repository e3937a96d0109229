"""How do Keras' preprocessing layers become ONNX? Arithmetic runs, augmentation does nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.keras_layers.registry import layer, opaque
from converters.keras_layers.reshaping import resize
from converters.keras_translation.call import Call
from converters.keras_translation.config import parse_layer
from converters.keras_translation.tensor import Tensor, Value, last_to_first

__all__: list[str] = []


@layer(
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "RandAugment",
    "AugMix",
    "CutMix",
    "MixUp",
    "Equalization",
    "Solarization",
    "RandomCrop",
    state="identity",
)
def augmentation(call: Call) -> Tensor:
    """Acts in training only."""
    return call.x


@layer("Rescaling", masks=True)
def rescaling(call: Call) -> Tensor:
    """Mul and Add."""
    x = _computing(call, call.x)
    value = x.value
    for kind, key, nothing in (("Mul", "scale", 1.0), ("Add", "offset", 0.0)):
        number = _number(call.get(key, nothing))
        if number.ndim == 0 and float(number) == nothing:
            continue
        value = call.g.op(kind, value, call.numbers(_shaped(number, x), value))
    return x.like(value)


def _computing(call: Call, x: Tensor) -> Tensor:
    """Integers become the layer's computing type."""
    if x.value.is_float:
        return x
    return x.like(call.computed(call.cast(x.value, "float32")))


def _number(setting: Any) -> np.ndarray[Any, Any]:
    while isinstance(setting, dict) and isinstance(setting.get("config"), dict):
        setting = setting["config"].get("value")
    return np.asarray(setting, np.float64)


def _shaped(array: np.ndarray[Any, Any], x: Tensor) -> np.ndarray[Any, Any]:
    """An array that broadcasts over Keras axes, in the axis order of a tensor."""
    if not x.moved or array.ndim == 0:
        return array
    full = array.reshape([1] * (x.rank - array.ndim) + list(array.shape))
    return full.transpose(last_to_first(x.rank))


@layer("Normalization", masks=True)
def normalization(call: Call) -> Tensor:
    """Sub and Div by the larger of the deviation and Keras' epsilon; the variance stays a weight."""
    g, x = call.g, _computing(call, call.x)
    axis = call.config.get("axis", -1)
    axes = sorted(
        a % x.rank for a in ([] if axis is None else axis if isinstance(axis, (list, tuple)) else [axis])
    )
    shape = [call.size(x, a) if a in axes else 1 for a in range(x.rank)]
    plain = Tensor(call.plain(x))
    if (
        isinstance(call.config.get("mean"), (list, float, int))
        and call.config.get("mean") is not None
        and not _adapted(call)
    ):
        mean, variance = (
            g.const(_aligned(call, key, shape, axes), "float32") for key in ("mean", "variance")
        )
    else:
        own = call.own("mean", "variance", "count") if _count(call) == 3 else call.own("mean", "variance")
        mean, variance = (call.weight(k, own[k], reshape=shape, compute=False) for k in ("mean", "variance"))
    mean, variance = (call.cast(v, g.type_name(plain.value)) for v in (mean, variance))
    deviation = g.op("Max", g.op("Sqrt", variance), g.scalar(1e-7, variance))
    if call.get("invert", False):
        return Tensor(g.op("Add", mean, g.op("Mul", plain.value, deviation)))
    return Tensor(g.op("Div", g.op("Sub", plain.value, mean), deviation))


def _count(call: Call) -> int:
    return sum(1 for _ in call.branch.everything())


def _adapted(call: Call) -> bool:
    return _count(call) > 0


def _aligned(call: Call, key: str, shape: list[int], axes: list[int]) -> np.ndarray[Any, Any]:
    """Mean or variance from the configuration, its axes aligned to the kept ones from the right."""
    array = np.asarray(call.config[key], np.float32)
    if array.ndim == 0:
        return np.broadcast_to(array, shape)
    if array.ndim == len(shape):
        return np.broadcast_to(array, shape)
    full = [1] * len(shape)
    for i in range(1, array.ndim + 1):
        full[axes[-i]] = array.shape[-i]
    return np.broadcast_to(array.reshape(full), shape)


@layer("Resizing")
def resizing(call: Call) -> Tensor:
    """Resize, after cropping or padding to the aspect ratio where asked."""
    x, lifted = _image(call)
    height, width = int(call.get("height", 0)), int(call.get("width", 0))
    kind = call.g.type_name(x)
    value = x if x.is_float else call.cast(x, "float32")
    if call.get("crop_to_aspect_ratio", False):
        value = _crop_to_ratio(call, value, height, width)
    elif call.get("pad_to_aspect_ratio", False):
        value = _pad_to_ratio(call, value, height, width)
    value = resize(
        call,
        value,
        [height, width],
        str(call.get("interpolation", "bilinear")),
        antialias=bool(call.get("antialias")),
    )
    if not x.is_float:
        value = call.cast(call.g.op("Round", value), kind)
    return _from_image(call, value, lifted)


def _image(call: Call) -> tuple[Value, bool]:
    """(n, c, h, w), and whether a batch axis was added."""
    x = call.x
    if x.rank == 3:
        x = Tensor(call.g.op("Unsqueeze", call.plain(x), call.g.ints(0)))
        return call.spatial(x), True
    return call.spatial(x), False


def _from_image(call: Call, value: Value, lifted: bool) -> Tensor:
    result = call.from_spatial(value)
    if lifted:
        return Tensor(call.g.op("Squeeze", call.plain(result), call.g.ints(0)))
    return result


def _sizes(call: Call, x: Value) -> tuple[int, int]:
    height, width = (x.shape or (None,) * 4)[2:4]
    call.need(isinstance(height, int) and isinstance(width, int), "it needs images of a known size")
    assert isinstance(height, int)
    assert isinstance(width, int)
    return height, width


def _window(call: Call, x: Value, top: int, left: int, height: int, width: int) -> Value:
    g = call.g
    return g.op("Slice", x, g.ints(top, left), g.ints(top + height, left + width), g.ints(2, 3))


def _crop_to_ratio(call: Call, x: Value, height: int, width: int) -> Value:
    h, w = _sizes(call, x)
    crop_h = max(min(h, int(float(w * height) / width)), 1)
    crop_w = max(min(w, int(float(h * width) / height)), 1)
    if (crop_h, crop_w) == (h, w):
        return x
    return _window(call, x, int((h - crop_h) / 2), int((w - crop_w) / 2), crop_h, crop_w)


def _pad_to_ratio(call: Call, x: Value, height: int, width: int) -> Value:
    h, w = _sizes(call, x)
    top = int((max(h, int(float(w * height) / width)) - h) / 2)
    left = int((max(w, int(float(h * width) / height)) - w) / 2)
    if not top and not left:
        return x
    g = call.g
    fill = g.scalar(float(call.get("fill_value", 0.0)), x)
    return g.op("Pad", x, g.ints(0, 0, top, left, 0, 0, top, left), fill, mode="constant")


@layer("CenterCrop")
def center_crop(call: Call) -> Tensor:
    """Slice from the middle; a smaller image is cropped to the aspect ratio and resized."""
    x, lifted = _image(call)
    value = x if x.is_float else call.computed(call.cast(x, "float32"))
    height, width = int(call.get("height", 0)), int(call.get("width", 0))
    h, w = _sizes(call, value)
    if h >= height and w >= width:
        value = _window(call, value, (h - height) // 2, (w - width) // 2, height, width)
    else:
        value = resize(call, _crop_to_ratio(call, value, height, width), [height, width], "bilinear")
    return _from_image(call, value, lifted)


@layer("AutoContrast")
def auto_contrast(call: Call) -> Tensor:
    """Each channel stretched from its smallest to its largest value; flat ones stay."""
    low, high = (float(v) for v in call.get("value_range", (0, 255)))
    x, g = call.x, call.g
    call.need(x.rank == 4 and x.value.is_float, "it needs a batch of floating-point images")
    value = call.plain(x)
    least, most = (g.op(k, value, g.ints(1, 2), keepdims=1) for k in ("ReduceMin", "ReduceMax"))
    spread = g.op("Sub", most, least)
    part = g.op("Div", g.op("Sub", value, least), spread)
    scaled = g.op("Clip", part, g.scalar(0.0, value), g.scalar(1.0, value))
    scaled = g.op("Add", g.op("Mul", scaled, g.scalar(high - low, value)), g.scalar(low, value))
    flat = g.op("Equal", spread, g.scalar(0.0, value))
    return Tensor(g.op("Where", flat, value, scaled))


@layer("CategoryEncoding")
def category_encoding(call: Call) -> Tensor:
    """OneHot, and its maximum or sum over a step axis."""
    weights = call.kwargs.get("count_weights", call.args[1] if len(call.args) > 1 else None)
    depth = int(call.get("num_tokens", 1))
    return _encode(call, call.plain(call.x), str(call.get("output_mode", "multi_hot")), depth, weights)


def _encode(call: Call, indices: Value, mode: str, depth: int, weights: Any = None) -> Tensor:
    g = call.g
    if mode == "int":
        return Tensor(call.cast(indices, "int32"))
    last = (indices.shape or (None,))[-1]
    if mode == "one_hot" and indices.rank > 1 and last == 1:
        indices = g.op("Squeeze", indices, g.ints(-1))
    values = g.const([0.0, 1.0], "float32", hint="off_on")
    hot = g.op("OneHot", call.cast(indices, "int64"), g.ints(depth), values, axis=-1)
    shape = [*(indices.shape or ()), depth]
    hot = Value(hot.name, hot.type, tuple(shape))
    hot = call.computed(hot)
    if mode == "one_hot":
        return Tensor(hot)
    if isinstance(weights, Tensor):
        hot = g.op(
            "Mul", hot, g.op("Unsqueeze", call.cast(call.plain(weights), g.type_name(hot)), g.ints(-1))
        )
    axis = 1 if indices.rank > 1 else 0
    kind = "ReduceSum" if mode == "count" else "ReduceMax"
    return Tensor(g.op(kind, hot, g.ints(axis), keepdims=0))


@layer("Discretization")
def discretization(call: Call) -> Tensor:
    """How many boundaries lie at or below the value, then encoded as asked."""
    boundaries = call.config.get("bin_boundaries")
    call.need(isinstance(boundaries, list), "it was never adapted to data")
    g, x = call.g, call.plain(_computing(call, call.x))
    grown = g.op("Unsqueeze", x, g.ints(-1))
    reached = g.op("GreaterOrEqual", grown, call.numbers(boundaries, x))
    count = g.op("ReduceSum", g.op("Cast", reached, to=6), g.ints(-1), keepdims=0)
    assert isinstance(boundaries, list)
    return _encode(call, count, str(call.get("output_mode", "int")), len(boundaries) + 1)


@layer("Pipeline")
def pipeline(call: Call) -> Any:
    """The layers inside, one after the other."""
    value: Any = call.args[0]
    for row in call.get("layers", []):
        spec = parse_layer(row)
        value = call.child(spec, [], value)
    return value


opaque("it looks words or numbers up in a vocabulary kept outside the graph", "IntegerLookup", "StringLookup")
opaque("it splits and looks up text", "TextVectorization")
opaque("it hashes strings with FarmHash", "Hashing", "HashedCrossing")
opaque("it pads lists of boxes, not images", "MaxNumBoundingBoxes")
opaque("histograms of tiles have no ONNX operator", "ContrastLimitedAdaptiveHistogramEqualization")
