"""How do element-wise `keras.ops` in functional graphs become ONNX?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from converters.keras_layers.activation import activate
from converters.keras_layers.registry import operation
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor, Value, last_to_first

__all__ = ["as_tensors", "option"]


def option(
    call: Call, args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str, default: Any
) -> Any:
    """A setting that Keras may keep in the configuration, the positional or the keyword arguments."""
    if len(args) > index:
        return args[index]
    if name in kwargs:
        return kwargs[name]
    value: Any = call.config.get(name)
    return default if value is None else value


def as_tensors(call: Call, *items: Any) -> tuple[list[Value], bool]:
    """Operands in one axis order, numbers in the type of the first tensor, floats where any is."""
    tensors = [i for i in items if isinstance(i, Tensor)]
    call.need(bool(tensors), "none of its operands is a tensor")
    like = next((t for t in tensors if t.value.is_float), tensors[0])
    values, moved = call.align(tensors)
    if len({t.rank for t in tensors if t.rank}) > 1:
        values, moved = [call.plain(t) for t in tensors], False
    made: list[Value] = []
    rest = iter(values)
    for item in items:
        if isinstance(item, Tensor):
            made.append(_like(call, next(rest), like.value))
        else:
            made.append(_constant(call, item, like, moved))
    return made, moved


def _like(call: Call, value: Value, like: Value) -> Value:
    if value.type == like.type:
        return value
    return call.cast(value, call.g.type_name(like))


def _constant(call: Call, item: Any, like: Tensor, moved: bool) -> Value:
    try:
        array = np.asarray(item)
    except ValueError:
        array = np.asarray(None)
    call.need(array.dtype.kind in "biuf", f"an operand is {type(item).__name__}, no number")
    if moved and array.ndim:
        full = array.reshape([1] * (like.rank - array.ndim) + list(array.shape))
        array = full.transpose(last_to_first(like.rank))
    kind = helper.tensor_dtype_to_np_dtype(like.value.type)
    if array.dtype.kind == "f" and not like.value.is_float:
        kind = np.dtype(np.float32)
    return call.g.const(array.astype(kind))


def _unary(kind: str) -> Callable[..., Any]:
    def made(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        value = x.value
        if kind in _FLOAT_ONLY and not value.is_float:
            value = call.cast(value, "float32")
        return x.like(call.g.op(kind, value))

    return made


_FLOAT_ONLY = frozenset({"Exp", "Log", "Sqrt", "Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh", "Sigmoid", "Erf"})

_UNARY = {
    "Abs": ("Absolute", "Abs"),
    "Neg": ("Negative",),
    "Exp": ("Exp",),
    "Log": ("Log",),
    "Sqrt": ("Sqrt",),
    "Sin": ("Sin",),
    "Cos": ("Cos",),
    "Tan": ("Tan",),
    "Asin": ("Arcsin",),
    "Acos": ("Arccos",),
    "Atan": ("Arctan",),
    "Sinh": ("Sinh",),
    "Cosh": ("Cosh",),
    "Tanh": ("Tanh",),
    "Asinh": ("Arcsinh",),
    "Acosh": ("Arccosh",),
    "Atanh": ("Arctanh",),
    "Floor": ("Floor",),
    "Ceil": ("Ceil",),
    "Round": ("Round",),
    "Sign": ("Sign",),
    "Reciprocal": ("Reciprocal",),
    "Erf": ("Erf",),
    "Not": ("LogicalNot",),
    "IsNaN": ("Isnan",),
    "IsInf": ("Isinf",),
}
for _kind, _names in _UNARY.items():
    operation(*_names)(_unary(_kind))


def _binary(kind: str, result: str = "") -> Callable[..., Any]:
    def made(call: Call, x1: Any, x2: Any = None, **kwargs: Any) -> Tensor:
        (first, second), moved = as_tensors(call, x1, x2)
        if second.is_float and not first.is_float:
            first = call.cast(first, call.g.type_name(second))
        if kind in ("And", "Or", "Xor"):
            first, second = call.cast(first, "bool"), call.cast(second, "bool")
        if kind in ("Div", "Pow") and not first.is_float and kind == "Div":
            first, second = call.cast(first, "float32"), call.cast(second, "float32")
        value = call.g.op(kind, first, second)
        return Tensor(call.g.op("Not", value) if result == "not" else value, moved)

    return made


_BINARY = {
    "Add": ("Add",),
    "Sub": ("Subtract",),
    "Mul": ("Multiply",),
    "Div": ("Divide", "TrueDivide"),
    "Pow": ("Power",),
    "Max": ("Maximum",),
    "Min": ("Minimum",),
    "Equal": ("Equal",),
    "Greater": ("Greater",),
    "GreaterOrEqual": ("GreaterEqual",),
    "Less": ("Less",),
    "LessOrEqual": ("LessEqual",),
    "And": ("LogicalAnd",),
    "Or": ("LogicalOr",),
    "Xor": ("LogicalXor",),
}
for _kind, _names in _BINARY.items():
    operation(*_names)(_binary(_kind))
operation("NotEqual")(_binary("Equal", "not"))


@operation("FloorDivide")
def floor_divide(call: Call, x1: Any, x2: Any) -> Tensor:
    """Div and Floor."""
    (first, second), moved = as_tensors(call, x1, x2)
    kind = call.g.type_name(first)
    if not first.is_float:
        first, second = call.cast(first, "float64"), call.cast(second, "float64")
    return Tensor(call.cast(call.g.op("Floor", call.g.op("Div", first, second)), kind), moved)


@operation("Mod")
def mod(call: Call, x1: Any, x2: Any) -> Tensor:
    """X - floor(x / y) · y, whose sign is the divisor's."""
    (first, second), moved = as_tensors(call, x1, x2)
    if not first.is_float:
        return Tensor(call.g.op("Mod", first, second), moved)
    whole = call.g.op("Floor", call.g.op("Div", first, second))
    return Tensor(call.g.op("Sub", first, call.g.op("Mul", whole, second)), moved)


@operation("Where")
def where(call: Call, condition: Tensor, x1: Any = None, x2: Any = None) -> Tensor:
    """Where."""
    if not isinstance(x1, Tensor) and not isinstance(x2, Tensor):
        flag = call.cast(call.plain(condition), "bool")
        first, second = (call.g.const(np.asarray(v, np.float32)) for v in (x1, x2))
        return Tensor(call.g.op("Where", flag, first, second))
    operands = [condition, *(x for x in (x1, x2) if isinstance(x, Tensor))]
    moved = all(t.moved for t in operands)
    if not moved:
        x1, x2 = (Tensor(call.plain(x)) if isinstance(x, Tensor) else x for x in (x1, x2))
        condition = Tensor(call.plain(condition))
    (first, second), _ = as_tensors(call, x1, x2)
    return Tensor(call.g.op("Where", call.cast(condition.value, "bool"), first, second), moved)


@operation("Clip")
def clip(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Clip."""
    low, high = (option(call, args, kwargs, i, k, None) for i, k in enumerate(("x_min", "x_max")))
    g, value = call.g, x.value
    return x.like(g.op("Clip", value, *(None if v is None else g.scalar(v, value) for v in (low, high))))


@operation("Square")
def square(call: Call, x: Tensor) -> Tensor:
    """Mul by itself."""
    return x.like(call.g.op("Mul", x.value, x.value))


@operation("Rsqrt")
def rsqrt(call: Call, x: Tensor) -> Tensor:
    """Sqrt and Reciprocal."""
    return x.like(call.g.op("Reciprocal", call.g.op("Sqrt", x.value)))


@operation("Expm1")
def expm1(call: Call, x: Tensor) -> Tensor:
    """Exp less one."""
    return x.like(call.g.op("Sub", call.g.op("Exp", x.value), call.g.scalar(1.0, x.value)))


@operation("Log1p")
def log1p(call: Call, x: Tensor) -> Tensor:
    """Log of one more."""
    return x.like(call.g.op("Log", call.g.op("Add", x.value, call.g.scalar(1.0, x.value))))


def _log_base(base: float) -> Callable[..., Any]:
    def made(call: Call, x: Tensor) -> Tensor:
        return x.like(
            call.g.op("Div", call.g.op("Log", x.value), call.g.scalar(float(np.log(base)), x.value))
        )

    return made


operation("Log2")(_log_base(2.0))
operation("Log10")(_log_base(10.0))


@operation("Cast")
def cast(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Cast."""
    return x.like(call.cast(x.value, str(option(call, args, kwargs, 0, "dtype", "float32"))))


@operation("ZerosLike", "OnesLike")
def like(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Expand a constant to the shape of the input."""
    dtype = option(call, args, kwargs, 0, "dtype", None)
    kind = call.g.type_name(x.value) if dtype is None else str(dtype)
    fill = 0 if call.spec.class_name == "ZerosLike" else 1
    number = call.cast(call.g.const(np.float32(fill)), kind)
    return x.like(call.g.op("Expand", number, call.g.op("Shape", x.value), shape=x.value.shape))


_ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SoftShrink": "soft_shrink",
    "HardShrink": "hard_shrink",
    "SparsePlus": "sparse_plus",
    "SparseSigmoid": "sparse_sigmoid",
    "Silu": "silu",
    "LogSigmoid": "log_sigmoid",
    "LeakyRelu": "leaky_relu",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "TanhShrink": "tanh_shrink",
    "Elu": "elu",
    "Celu": "celu",
    "Glu": "glu",
    "Selu": "selu",
    "Gelu": "gelu",
    "Squareplus": "squareplus",
    "Sparsemax": "sparsemax",
    "Threshold": "threshold",
}


def _activation(name: str) -> Callable[..., Any]:
    def made(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        config = {k: v for k, v in {**call.config, **kwargs}.items() if k not in ("name",) and v is not None}
        if name == "gelu":
            config = {"approximate": config.get("approximate", True)}
        return activate(call, x, {"class_name": name, "config": config})

    return made


for _class, _name in _ACTIVATIONS.items():
    operation(_class)(_activation(_name))


@operation("Softmax", "LogSoftmax")
def softmax(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Softmax or LogSoftmax."""
    axis = option(call, args, kwargs, 0, "axis", -1)
    call.need(isinstance(axis, int), "it runs over several axes")
    return x.like(call.g.op(call.spec.class_name, x.value, axis=x.axis(axis)))


@operation("Identity", "StopGradient")
def identity(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Nothing at inference."""
    return x
