"""How do quantised Keras layers become ONNX? Integer weights stay integers; inputs are scaled at run time."""

from __future__ import annotations

from typing import Any

from converters.keras_layers.activation import activate
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor

__all__ = ["quantised"]

EPSILON = 1e-7


def quantised(call: Call) -> Any:
    """The layer's int8 form; other modes stay opaque.

    Raises:
        CannotTranslate: no translation for this class and mode.
    """
    mode = call.spec.policy.quantization
    made = {"Dense": _dense, "Embedding": _embedding}.get(call.spec.class_name)
    call.need(
        mode == "int8" and made is not None, f"its {mode} weights are packed in a way not translated yet"
    )
    assert made is not None
    return made(call)


def _dense(call: Call) -> Tensor:
    """Inputs scaled to -127 … 127 by their largest value along the last axis, then MatMulInteger."""
    names = ["kernel", *(["bias"] if call.config.get("use_bias", True) else []), "kernel_scale"]
    own = call.own(*names)
    g, x = call.g, call.plain(call.x)
    kernel = call.weight("kernel", own["kernel"])
    scale = call.weight("kernel_scale", own["kernel_scale"])
    largest = g.op("ReduceMax", g.op("Abs", x), g.ints(-1), keepdims=1)
    factor = g.op("Div", g.scalar(127.0, x), g.op("Add", largest, g.scalar(EPSILON, x)))
    whole = g.op("Clip", g.op("Round", g.op("Mul", x, factor)), g.scalar(-127.0, x), g.scalar(127.0, x))
    product = g.op("MatMulInteger", call.cast(whole, "int8"), kernel)
    value = g.op("Div", call.cast(product, g.type_name(x)), g.op("Mul", scale, factor))
    if "bias" in own:
        value = g.op("Add", value, call.weight("bias", own["bias"]))
    return activate(call, Tensor(value), call.config.get("activation"))


def _embedding(call: Call) -> Tensor:
    """Rows of int8 divided by their scale."""
    own = call.own("embeddings", "embeddings_scale")
    g = call.g
    indices = call.plain(call.x)
    indices = indices if indices.type in (6, 7) else call.cast(indices, "int32")
    rows = g.op("Gather", call.weight("embeddings", own["embeddings"]), indices, axis=0)
    scale = g.op("Gather", call.weight("embeddings_scale", own["embeddings_scale"]), indices, axis=0)
    scale = g.op("Unsqueeze", scale, g.ints(-1))
    result = Tensor(g.op("Div", call.cast(rows, g.type_name(scale)), scale))
    if not call.get("mask_zero", False):
        return result
    return result.masked(Tensor(g.op("Not", g.op("Equal", indices, g.scalar(0, indices)))))
