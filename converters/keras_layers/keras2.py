"""How do the TensorFlow functions in Keras 2 models become ONNX? They map onto `keras.ops`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from converters.keras_layers.registry import find_operation, layer
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor

__all__: list[str] = []

_FUNCTIONS = {
    "add": "Add",
    "add_v2": "Add",
    "subtract": "Subtract",
    "sub": "Subtract",
    "multiply": "Multiply",
    "mul": "Multiply",
    "truediv": "Divide",
    "divide": "Divide",
    "floordiv": "FloorDivide",
    "pow": "Power",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "reduce_mean": "Mean",
    "reduce_sum": "Sum",
    "reduce_max": "Max",
    "reduce_min": "Min",
    "relu": "Relu",
    "relu6": "Relu6",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "silu": "Silu",
    "swish": "Silu",
    "gelu": "Gelu",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "rsqrt": "Rsqrt",
    "square": "Square",
    "abs": "Absolute",
    "negative": "Negative",
    "neg": "Negative",
    "concat": "Concatenate",
    "stack": "Stack",
    "reshape": "Reshape",
    "transpose": "Transpose",
    "expand_dims": "ExpandDims",
    "squeeze": "Squeeze",
    "matmul": "Matmul",
    "cast": "Cast",
    "clip_by_value": "Clip",
}
"""Last part of a TensorFlow function's name to the `keras.ops` class."""

_ARGUMENTS = {
    "axes": "axis",
    "perm": "axes",
    "shape": "newshape",
    "clip_value_min": "x_min",
    "clip_value_max": "x_max",
    "keepdims": "keepdims",
}


@layer("TFOpLambda")
def tf_function(call: Call) -> Any:
    """A named TensorFlow function; the name is looked up in a table, never imported."""
    name = str(call.config.get("function", ""))
    short = name.rsplit(".", 1)[-1].strip("_")
    kind = (
        _FUNCTIONS.get(short.removeprefix("r"))
        if name.startswith("__operators__.r")
        else _FUNCTIONS.get(short)
    )
    operation = find_operation(kind) if kind else None
    call.need(operation is not None, f"the TensorFlow function {name!r} has no translation")
    assert operation is not None
    assert kind is not None
    kwargs = {_ARGUMENTS.get(k, k): v for k, v in call.kwargs.items() if k != "name" and v is not None}
    args = [*call.args, *(kwargs.pop(k) for k in ("x", "y", "values") if k in kwargs and len(call.args) < 2)]
    if name.startswith("__operators__.r"):
        args.reverse()
    inner = replace(call, spec=replace(call.spec, class_name=kind, config={}), kwargs=kwargs)
    return operation(inner, *args, **kwargs)


@layer("SlicingOpLambda")
def tf_slice(call: Call) -> Tensor:
    """Slices kept as dictionaries of start, stop and step."""
    operation = find_operation("GetItem")
    assert operation is not None
    given = call.kwargs.get("slice_spec")
    parts = given if isinstance(given, list) else [given]
    keys = [slice(p.get("start"), p.get("stop"), p.get("step")) if isinstance(p, dict) else p for p in parts]
    return operation(call, call.x, keys)
