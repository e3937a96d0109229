"""Which ONNX operators are Keras' activations, as layers and as the `activation` of other layers?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from converters.keras_layers.registry import layer
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor, Value

__all__ = ["activate", "activation_name"]

Function = Callable[..., Value]

_FUNCTIONS: dict[str, Function] = {}


def function(*names: str) -> Callable[[Function], Function]:
    """Register an activation `(call, value, axis, **settings)`."""

    def register(made: Function) -> Function:
        for name in names:
            _FUNCTIONS[name] = made
        return made

    return register


def activation_name(setting: Any) -> str:
    """The name in an `activation` entry: a string, or a serialised function or object."""
    if isinstance(setting, Mapping):
        config = setting.get("config")
        if setting.get("class_name") == "function" and isinstance(config, str):
            return config
        return str(setting.get("class_name"))
    return "linear" if setting is None else str(setting)


def activate(call: Call, tensor: Tensor, setting: Any) -> Tensor:
    """Apply an `activation` entry."""
    name = activation_name(setting)
    settings: Mapping[str, Any] = {}
    if isinstance(setting, Mapping) and isinstance(setting.get("config"), Mapping):
        settings = setting["config"]
        layered = _LAYERS.get(name)
        if layered is not None:
            return layered(call, tensor, settings)
    made = _FUNCTIONS.get(name)
    call.need(made is not None, f"the activation {name!r} is not known")
    assert made is not None
    keys = {k: v for k, v in settings.items() if k in _SETTINGS.get(name, ())}
    return Tensor(made(call, tensor.value, tensor.axis(-1), **keys), tensor.moved, tensor.mask)


_SETTINGS: dict[str, tuple[str, ...]] = {}


def _simple(kind: str) -> Function:
    def made(call: Call, x: Value, axis: int) -> Value:
        return call.g.op(kind, x)

    return made


for _name, _kind in {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "exponential": "Exp",
    "elu": "Elu",
    "mish": "Mish",
}.items():
    _FUNCTIONS[_name] = _simple(_kind)


@function("linear", "identity")
def _linear(call: Call, x: Value, axis: int) -> Value:
    return x


@function("relu")
def _relu(
    call: Call,
    x: Value,
    axis: int,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Value:
    """f(x) = max_value above it, x above the threshold, else slope · (x - threshold)."""
    g = call.g
    if threshold == 0 and negative_slope == 0:
        if max_value is None:
            return g.op("Relu", x)
        return g.op("Clip", x, g.scalar(0.0, x), g.scalar(max_value, x))
    if threshold == 0:
        y = g.op("LeakyRelu", x, alpha=float(negative_slope))
    else:
        low = g.op("Mul", g.op("Sub", x, g.scalar(threshold, x)), g.scalar(negative_slope, x))
        y = g.op("Where", g.op("GreaterOrEqual", x, g.scalar(threshold, x)), x, low)
    return y if max_value is None else g.op("Min", y, g.scalar(max_value, x))


@function("relu6")
def _relu6(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("Clip", x, call.g.scalar(0.0, x), call.g.scalar(6.0, x))


@function("leaky_relu")
def _leaky(call: Call, x: Value, axis: int, negative_slope: float = 0.2) -> Value:
    return call.g.op("LeakyRelu", x, alpha=float(negative_slope))


@function("softmax")
def _softmax(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("Softmax", x, axis=axis)


@function("log_softmax")
def _log_softmax(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("LogSoftmax", x, axis=axis)


@function("selu")
def _selu(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("Selu", x)


@function("celu")
def _celu(call: Call, x: Value, axis: int, alpha: float = 1.0) -> Value:
    return call.g.op("Celu", x, alpha=float(alpha))


@function("gelu")
def _gelu(call: Call, x: Value, axis: int, approximate: bool = False) -> Value:
    """Exact unless asked otherwise; the operator exists since opset 20."""
    g = call.g
    if g.opset >= 20:
        return g.op("Gelu", x, approximate="tanh" if approximate else "none")
    half = g.op("Mul", x, g.scalar(0.5, x))
    if approximate:
        cube = g.op("Mul", g.op("Pow", x, g.scalar(3.0, x)), g.scalar(0.044715, x))
        inner = g.op("Tanh", g.op("Mul", g.op("Add", x, cube), g.scalar(0.7978845608028654, x)))
    else:
        inner = g.op("Erf", g.op("Mul", x, g.scalar(0.7071067811865476, x)))
    return g.op("Mul", half, g.op("Add", inner, g.scalar(1.0, x)))


@function("silu", "swish")
def _silu(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("Mul", x, call.g.op("Sigmoid", x))


@function("hard_sigmoid")
def _hard_sigmoid(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@function("hard_silu", "hard_swish")
def _hard_silu(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("HardSwish", x)


@function("hard_tanh")
def _hard_tanh(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("Clip", x, call.g.scalar(-1.0, x), call.g.scalar(1.0, x))


@function("hard_shrink")
def _hard_shrink(call: Call, x: Value, axis: int, threshold: float = 0.5) -> Value:
    return call.g.op("Shrink", x, lambd=float(threshold), bias=0.0)


@function("soft_shrink")
def _soft_shrink(call: Call, x: Value, axis: int, threshold: float = 0.5) -> Value:
    return call.g.op("Shrink", x, lambd=float(threshold), bias=float(threshold))


@function("tanh_shrink")
def _tanh_shrink(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("Sub", x, call.g.op("Tanh", x))


@function("log_sigmoid")
def _log_sigmoid(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("Neg", call.g.op("Softplus", call.g.op("Neg", x)))


@function("threshold")
def _threshold(call: Call, x: Value, axis: int, threshold: float = 0.0, default_value: float = 0.0) -> Value:
    g = call.g
    return g.op("Where", g.op("Greater", x, g.scalar(threshold, x)), x, g.scalar(default_value, x))


@function("squareplus")
def _squareplus(call: Call, x: Value, axis: int, b: float = 4.0) -> Value:
    g = call.g
    root = g.op("Sqrt", g.op("Add", g.op("Mul", x, x), g.scalar(b, x)))
    return g.op("Mul", g.op("Add", x, root), g.scalar(0.5, x))


@function("sparse_plus")
def _sparse_plus(call: Call, x: Value, axis: int) -> Value:
    """0 up to -1, (x + 1)² / 4 up to 1, then x."""
    g = call.g
    shifted = g.op("Add", x, g.scalar(1.0, x))
    middle = g.op("Mul", g.op("Mul", shifted, shifted), g.scalar(0.25, x))
    low = g.op("Where", g.op("LessOrEqual", x, g.scalar(-1.0, x)), g.scalar(0.0, x), middle)
    return g.op("Where", g.op("Less", x, g.scalar(1.0, x)), low, x)


@function("sparse_sigmoid")
def _sparse_sigmoid(call: Call, x: Value, axis: int) -> Value:
    return call.g.op("HardSigmoid", x, alpha=0.5, beta=0.5)


@function("glu")
def _glu(call: Call, x: Value, axis: int) -> Value:
    first, gate = call.g.ops("Split", x, outputs=2, axis=axis, num_outputs=2)
    return call.g.op("Mul", first, call.g.op("Sigmoid", gate))


@function("sparsemax")
def _sparsemax(call: Call, x: Value, axis: int) -> Value:
    """Projection on the simplex (arXiv:1602.02068, algorithm 1)."""
    g = call.g
    shape = g.op("Shape", x)
    size = g.op("Gather", shape, g.ints(axis))
    ordered, _ = g.ops("TopK", x, size, outputs=2, axis=axis)
    total = g.op("CumSum", ordered, g.const(axis, "int64"))
    one = g.op("Mul", ordered, g.scalar(0.0, x))
    count = g.op("CumSum", g.op("Add", one, g.scalar(1.0, x)), g.const(axis, "int64"))
    inside = g.op("Greater", g.op("Add", g.op("Mul", count, ordered), g.scalar(1.0, x)), total)
    kept = g.op("Cast", inside, to=x.type)
    support = g.op("ReduceSum", kept, g.ints(axis), keepdims=1)
    mass = g.op("ReduceSum", g.op("Mul", ordered, kept), g.ints(axis), keepdims=1)
    tau = g.op("Div", g.op("Sub", mass, g.scalar(1.0, x)), support)
    return g.op("Relu", g.op("Sub", x, tau))


_SETTINGS.update(
    {
        "relu": ("negative_slope", "max_value", "threshold"),
        "leaky_relu": ("negative_slope",),
        "celu": ("alpha",),
        "gelu": ("approximate",),
        "hard_shrink": ("threshold",),
        "soft_shrink": ("threshold",),
        "threshold": ("threshold", "default_value"),
        "squareplus": ("b",),
    }
)


@layer("Activation", masks=True)
def activation_layer(call: Call) -> Tensor:
    """The function named in the configuration."""
    return activate(call, call.x, call.config.get("activation"))


@layer("ReLU", masks=True)
def relu_layer(call: Call) -> Tensor:
    """Relu, Clip or LeakyRelu."""
    return _relu_object(call, call.x, call.config)


def _relu_object(call: Call, x: Tensor, config: Mapping[str, Any]) -> Tensor:
    slope = config.get("negative_slope") or 0.0
    limit = config.get("max_value")
    return x.like(_relu(call, x.value, 0, slope, limit, config.get("threshold") or 0.0))


@layer("LeakyReLU", masks=True)
def leaky_layer(call: Call) -> Tensor:
    """LeakyRelu."""
    return _leaky_object(call, call.x, call.config)


def _leaky_object(call: Call, x: Tensor, config: Mapping[str, Any]) -> Tensor:
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return x.like(call.g.op("LeakyRelu", x.value, alpha=float(slope)))


@layer("ELU", masks=True)
def elu_layer(call: Call) -> Tensor:
    """Elu."""
    return _elu_object(call, call.x, call.config)


def _elu_object(call: Call, x: Tensor, config: Mapping[str, Any]) -> Tensor:
    return x.like(call.g.op("Elu", x.value, alpha=float(config.get("alpha", 1.0))))


@layer("ThresholdedReLU", masks=True)
def thresholded_layer(call: Call) -> Tensor:
    """ThresholdedRelu (Keras 2)."""
    return call.x.like(call.g.op("ThresholdedRelu", call.x.value, alpha=float(call.get("theta", 1.0))))


@layer("Softmax", masks=True)
def softmax_layer(call: Call) -> Tensor:
    """Softmax over one or several axes; masked positions get a large negative number first."""
    return _softmax_object(call, call.x, call.config)


def _softmax_object(call: Call, x: Tensor, config: Mapping[str, Any]) -> Tensor:
    g = call.g
    axes = config.get("axis", -1)
    axes = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    mask = call.args[1] if len(call.args) > 1 and isinstance(call.args[1], Tensor) else call.mask
    value = x.value
    if mask is not None:
        call.need(
            (not x.moved and mask.rank == x.rank) or mask.rank == x.rank,
            "its mask has another rank than its input",
        )
        value = call.plain(x)
        x = Tensor(value)
        closed = g.op("Sub", g.scalar(1.0, value), g.op("Cast", call.plain(mask), to=value.type))
        low = -3e4 if value.type == 10 else -1e9
        value = g.op("Add", value, g.op("Mul", closed, g.scalar(low, value)))
    if len(axes) == 1:
        return x.like(g.op("Softmax", value, axis=x.axis(axes[0])))
    where = g.ints(*(x.axis(a) for a in axes))
    shifted = g.op("Exp", g.op("Sub", value, g.op("ReduceMax", value, where, keepdims=1)))
    return x.like(g.op("Div", shifted, g.op("ReduceSum", shifted, where, keepdims=1)))


@layer("PReLU", masks=True)
def prelu_layer(call: Call) -> Tensor:
    """PRelu with one slope a channel or position."""
    x = call.x
    alpha = call.own("alpha")["alpha"]
    order = list(range(len(alpha.shape)))
    if x.moved:
        order = [order[-1], *order[:-1]]
    return x.like(call.g.op("PRelu", x.value, call.weight("alpha", alpha, transpose=order)))


_LAYERS: dict[str, Callable[[Call, Tensor, Mapping[str, Any]], Tensor]] = {
    "ReLU": _relu_object,
    "LeakyReLU": _leaky_object,
    "ELU": _elu_object,
    "Softmax": _softmax_object,
}
