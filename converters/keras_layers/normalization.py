"""How do Keras' normalisations become ONNX? Statistics and scales stay separate; nothing is folded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converters.keras_layers.registry import layer
from converters.keras_translation.call import Call
from converters.keras_translation.config import parse_layer
from converters.keras_translation.tensor import Tensor, Value

__all__ = ["normalize_variance"]

EPSILON = 1e-7
"""Keras' backend epsilon, used where a configuration says None."""


def _axes(call: Call, rank: int) -> list[int]:
    setting = call.get("axis", -1)
    axes = setting if isinstance(setting, (list, tuple)) else [setting]
    return sorted(int(a) % rank for a in axes)


def _parameters(call: Call, *names: tuple[str, str]) -> list[str]:
    """Names of the variables whose switch (a configuration entry) is on."""
    return [name for name, switch in names if call.config.get(switch, True)]


def _single(call: Call, value: Value) -> Value:
    """16-bit values are normalised in float32."""
    return call.cast(value, "float32") if value.type in (10, 16) else value


@layer(
    "BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization", masks=True
)
def batch_normalization(call: Call) -> Tensor:
    """BatchNormalization with scale, offset, mean and variance as they are."""
    x = call.x
    axes = _axes(call, x.rank)
    call.need(len(axes) == 1, "it normalises several axes")
    axis = axes[0]
    names = [*_parameters(call, ("gamma", "scale"), ("beta", "center")), "moving_mean", "moving_variance"]
    if call.get("renorm", False):
        names += ["moving_stddev", "renorm_mean", "renorm_stddev"]
    own = call.own(*names)
    value, back = _channel_second(call, x, axis)
    size = own["moving_mean"].shape[0]

    def parameter(name: str, fill: float) -> Value:
        if name in own:
            return call.cast(call.weight(name, own[name], compute=False), "float32")
        return call.g.const(np.full(size, fill, np.float32), hint=name)

    parts = [
        parameter("gamma", 1.0),
        parameter("beta", 0.0),
        parameter("moving_mean", 0.0),
        parameter("moving_variance", 1.0),
    ]
    epsilon = float(call.get("epsilon", 1e-3))
    if value.type == 11:
        parts = [call.cast(p, "float64") for p in parts]
    result = call.g.op("BatchNormalization", _single(call, value), *parts, epsilon=epsilon)
    result = call.cast(result, call.g.type_name(value))
    return Tensor(result, True) if back is None else Tensor(call.transpose(result, back))


def _channel_second(call: Call, x: Tensor, axis: int) -> tuple[Value, Sequence[int] | None]:
    """The value with the normalised axis at position 1, and the way back (None: stays moved)."""
    if x.rank == 2 or (axis == 1 and not x.moved):
        call.need(axis == 1, "it normalises the batch axis")
        return call.plain(x), list(range(x.rank))
    if axis == x.rank - 1:
        return call.first(x), None
    order = [0, axis, *(i for i in range(1, x.rank) if i != axis)]
    return call.transpose(call.plain(x), order), [order.index(i) for i in range(x.rank)]


@layer("LayerNormalization", masks=True)
def layer_normalization(call: Call) -> Tensor:
    """LayerNormalization where the axes are the last ones, else its parts."""
    x, value, axes = call.x, call.plain(call.x), _axes(call, call.x.rank)
    scaled = bool(call.get("rms_scaling", False))
    switches = [("gamma", "scale"), ("beta", "center")]
    if scaled:
        own = call.own("gamma")
    else:
        own = call.own(*_parameters(call, *switches))
    kind = call.g.type_name(value)
    inside = _single(call, value)
    epsilon = float(call.get("epsilon", 1e-3))
    gamma = (
        call.cast(call.weight("gamma", own["gamma"], compute=False), call.g.type_name(inside))
        if "gamma" in own
        else None
    )
    beta = (
        call.cast(call.weight("beta", own["beta"], compute=False), call.g.type_name(inside))
        if "beta" in own
        else None
    )
    if not scaled and axes == list(range(axes[0], x.rank)):
        if gamma is None:
            gamma = call.numbers(np.ones([call.size(x, a) for a in axes]), inside)
        result = call.g.op("LayerNormalization", inside, gamma, beta, axis=axes[0], epsilon=epsilon)
        return Tensor(call.cast(result, kind))
    shape = [call.size(x, a) if a in axes else 1 for a in range(x.rank)]
    result = _centred(call, inside, axes, epsilon, keep_mean=scaled)
    for kind_name, parameter in (("Mul", gamma), ("Add", beta)):
        if parameter is not None:
            result = call.g.op(kind_name, result, call.g.op("Reshape", parameter, call.g.ints(*shape)))
    return Tensor(call.cast(result, kind))


def normalize_variance(call: Call, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """(x - mean) / sqrt(variance + epsilon) over some axes."""
    return _centred(call, x, axes, epsilon, keep_mean=False)


def _centred(call: Call, x: Value, axes: Sequence[int], epsilon: float, *, keep_mean: bool) -> Value:
    g = call.g
    where = g.ints(*axes)
    centred = g.op("Sub", x, g.op("ReduceMean", x, where, keepdims=1))
    variance = g.op("ReduceMean", g.op("Mul", centred, centred), where, keepdims=1)
    deviation = g.op("Sqrt", g.op("Add", variance, g.scalar(epsilon, x)))
    return g.op("Div", x if keep_mean else centred, deviation)


@layer("RMSNormalization")
def rms_normalization(call: Call) -> Tensor:
    """X / sqrt(mean(x²) + epsilon) · scale."""
    g, x = call.g, call.x
    value, axes = call.plain(x), _axes(call, x.rank)
    own = call.own("scale")
    inside = _single(call, value)
    square = g.op("ReduceMean", g.op("Mul", inside, inside), g.ints(*axes), keepdims=1)
    root = g.op("Sqrt", g.op("Add", square, g.scalar(float(call.get("epsilon", 1e-6)), inside)))
    scale = call.cast(call.weight("scale", own["scale"], compute=False), g.type_name(inside))
    if axes != list(range(x.rank - len(axes), x.rank)):
        shape = [call.size(x, a) if a in axes else 1 for a in range(x.rank)]
        scale = g.op("Reshape", scale, g.ints(*shape))
    result = g.op("Mul", g.op("Div", inside, root), scale)
    return Tensor(call.cast(result, g.type_name(value)))


@layer("GroupNormalization", masks=True)
def group_normalization(call: Call) -> Tensor:
    """InstanceNormalization over groups, then scale and offset a channel."""
    g, x = call.g, call.x
    axes = _axes(call, x.rank)
    axis = axes[0]
    channels = call.size(x, axis)
    groups = int(call.get("groups", 32))
    groups = channels if groups == -1 else groups
    own = call.own(*_parameters(call, ("gamma", "scale"), ("beta", "center")))
    value, back = _channel_second(call, x, axis)
    kind, inside = g.type_name(value), _single(call, value)
    grouped = g.op(
        "Reshape", inside, g.ints(0, groups, -1), shape=[(inside.shape or [None])[0], groups, None]
    )
    ones, zeros = call.numbers(np.ones(groups), inside), call.numbers(np.zeros(groups), inside)
    epsilon = float(call.get("epsilon", 1e-3))
    normal = g.op("InstanceNormalization", grouped, ones, zeros, epsilon=epsilon)
    result = call.reshape(
        normal, [d if isinstance(d, int) else (inside, i) for i, d in enumerate(inside.shape or ())]
    )
    shape = [channels, *([1] * (x.rank - 2))]
    for operator, name in (("Mul", "gamma"), ("Add", "beta")):
        if name in own:
            parameter = call.weight(name, own[name], reshape=shape, compute=False)
            result = g.op(operator, result, call.cast(parameter, g.type_name(inside)))
    result = call.cast(result, kind)
    return Tensor(result, True) if back is None else Tensor(call.transpose(result, back))


@layer("UnitNormalization", masks=True)
def unit_normalization(call: Call) -> Tensor:
    """X / max(norm, 1e-12)."""
    g, x = call.g, call.x
    where = g.ints(*(x.axis(a) for a in _axes(call, x.rank)))
    norm = g.op("ReduceL2", x.value, where, keepdims=1)
    smallest = 1e-12 if x.value.type != 10 else 1e-7
    return x.like(g.op("Div", x.value, g.op("Max", norm, g.scalar(smallest, norm))))


@layer("SpectralNormalization")
def spectral_normalization(call: Call) -> Tensor:
    """The wrapped layer: its kernel was normalised while training."""
    return call.child(parse_layer(call.config["layer"]), ["layer"], *call.args)
