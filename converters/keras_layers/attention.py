"""How do Keras' attention layers become ONNX? Projections, scores, mask, softmax, each visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.keras_layers.registry import layer
from converters.keras_translation.call import Call
from converters.keras_translation.config import LayerSpec
from converters.keras_translation.tensor import Tensor, Value

__all__: list[str] = []

_LOW = {"float16": -6e4}
"""Score of what must not be attended to."""


def _argument(call: Call, index: int, name: str) -> Any:
    return call.args[index] if len(call.args) > index else call.kwargs.get(name)


def _low(call: Call, like: Value) -> Value:
    return call.g.scalar(_LOW.get(call.g.type_name(like), -1e9), like)


def _grow(call: Call, mask: Tensor, axis: int) -> Value:
    return call.g.op("Unsqueeze", call.cast(call.plain(mask), "bool"), call.g.ints(axis))


def _both(call: Call, masks: Sequence[Value | None]) -> Value | None:
    result: Value | None = None
    for mask in masks:
        if mask is not None:
            result = mask if result is None else call.g.op("And", result, mask)
    return result


def _positions(call: Call, value: Value, axis: int) -> Value:
    """0, 1, … along an axis whose size may be dynamic."""
    g = call.g
    size = (value.shape or ())[axis]
    if isinstance(size, int):
        return g.const(np.arange(size), "int64", hint="positions")
    end = g.op("Squeeze", call.dims(value, [(value, axis)]), g.ints(0))
    return g.op("Range", g.const(0, "int64"), end, g.const(1, "int64"), shape=[size])


def _offsets(call: Call, query: Value, value: Value) -> Value:
    """(1, queries, 1) minus (1, 1, values): how far a value lies behind a query."""
    g = call.g
    rows = g.op("Unsqueeze", _positions(call, query, 1), g.ints(0, 2))
    columns = g.op("Unsqueeze", _positions(call, value, 1), g.ints(0, 1))
    return g.op("Sub", rows, columns)


def _causal(call: Call, query: Value, value: Value) -> Value:
    offsets = _offsets(call, query, value)
    return call.g.op("GreaterOrEqual", offsets, call.g.const(0, "int64"))


def _window(call: Call, query: Value, value: Value) -> Value | None:
    size = call.get("sliding_window")
    if size is None:
        return None
    offsets = call.g.op("Abs", _offsets(call, query, value))
    return call.g.op("Less", offsets, call.g.const(int(size), "int64"))


def _joint_mask(call: Call, query: Tensor, value: Tensor, key: Tensor | None) -> Value | None:
    """(batch, queries, values): the masks of the inputs, the given one, causality and the window."""
    given = _argument(call, 6, "attention_mask")
    masks: list[Value | None] = []
    for tensor, name, axis in ((query, "query_mask", -1), (value, "value_mask", -2), (key, "key_mask", -2)):
        mask = call.kwargs.get(name)
        if not isinstance(mask, Tensor):
            mask = tensor.mask if tensor is not None else None
        masks.append(_grow(call, mask, axis) if mask is not None else None)
    if call.kwargs.get("use_causal_mask"):
        masks.append(_causal(call, call.plain(query), call.plain(value)))
    masks.append(_window(call, call.plain(query), call.plain(value)))
    masks.append(call.cast(call.plain(given), "bool") if isinstance(given, Tensor) else None)
    return _both(call, masks)


def _project(
    call: Call, name: str, equation: str, bias: str, x: Tensor, activation: str | None = None
) -> Tensor:
    config = {
        "dtype": call.config.get("dtype"),
        "equation": equation,
        "bias_axes": bias if call.config.get("use_bias", True) else None,
        "activation": activation,
    }
    spec = LayerSpec(name, "EinsumDense", "keras.layers", config)
    short = "output" if name == "attention_output" else name
    return call.child(spec, [f"{short}_dense", f"_{short}_dense"], x)


def _dense_equation(free: int, bound: int, made: int) -> tuple[str, str]:
    """Batch and free axes stay, bound ones are summed with the kernel, new ones come last."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    kept, summed = letters[: free + 1], letters[free + 1 : free + 1 + bound]
    new = letters[free + 1 + bound : free + 1 + bound + made]
    return f"{kept}{summed},{summed}{new}->{kept}{new}", new


def _attention_equations(rank: int, axes: Sequence[int]) -> tuple[str, str]:
    """Scores from (key, query), and the combination of (scores, value), for heads anywhere."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    target = letters[:rank]
    batch = "".join(target[i] for i in range(rank - 1) if i not in axes)
    source = list(target)
    for number, axis in enumerate(axes):
        source[axis] = letters[rank + number]
    queries = "".join(target[i] for i in axes)
    keys = "".join(source[i] for i in axes)
    scores = batch + queries + keys
    return f"{''.join(source)},{target}->{scores}", f"{scores},{''.join(source)}->{target}"


@layer("MultiHeadAttention")
def multi_head_attention(call: Call) -> Any:
    """Einsum projections, scores and combination around a Softmax."""
    query, value = call.x, _argument(call, 1, "value")
    key = _argument(call, 2, "key")
    call.need(isinstance(value, Tensor), "it is called without a value")
    mask = _joint_mask(call, query, value, key)
    equation, bias = _dense_equation(query.rank - 2, 1, 2)
    source_equation, _ = _dense_equation(value.rank - 2, 1, 2)
    q = _project(call, "query", equation, bias, query)
    k = _project(call, "key", source_equation, bias, key or value)
    v = _project(call, "value", source_equation, bias, value)
    rank = q.rank
    axes = [int(a) % (rank - 1) for a in call.get("attention_axes", range(1, rank - 2))]
    heads, scores = _attend(call, q, k, v, mask, _attention_equations(rank, axes), len(axes))
    if call.get("use_gate", False):
        gate = _project(call, "gate", equation, bias, query, "sigmoid")
        heads = call.g.op("Mul", heads, call.plain(gate))
    made = call.config.get("output_shape")
    count = len(made) if isinstance(made, (list, tuple)) else 1
    out_equation, out_bias = _dense_equation(query.rank - 2, 2, count)
    result = _project(call, "attention_output", out_equation, out_bias, Tensor(heads)).masked(query.mask)
    return (result, Tensor(scores)) if call.kwargs.get("return_attention_scores") else result


def _attend(
    call: Call, q: Tensor, k: Tensor, v: Tensor, mask: Value | None, equations: tuple[str, str], axes: int
) -> tuple[Value, Value]:
    g = call.g
    query = call.plain(q)
    scale = 1 / float(call.size(q, -1)) ** 0.5
    scores = g.op("Einsum", call.plain(k), g.op("Mul", query, g.scalar(scale, query)), equation=equations[0])
    if mask is not None:
        missing = scores.rank - mask.rank
        if missing:
            position = mask.rank - 2 * axes
            mask = g.op("Unsqueeze", mask, g.ints(*range(position, position + missing)))
        scores = g.op("Where", mask, scores, _low(call, scores))
    weights = _softmax(call, scores, axes)
    return g.op("Einsum", weights, call.plain(v), equation=equations[1]), weights


def _softmax(call: Call, scores: Value, axes: int) -> Value:
    g = call.g
    if axes == 1:
        return g.op("Softmax", scores, axis=-1)
    where = g.ints(*range(scores.rank - axes, scores.rank))
    shifted = g.op("Exp", g.op("Sub", scores, g.op("ReduceMax", scores, where, keepdims=1)))
    return g.op("Div", shifted, g.op("ReduceSum", shifted, where, keepdims=1))


@layer("GroupQueryAttention", "GroupedQueryAttention")
def group_query_attention(call: Call) -> Any:
    """Like MultiHeadAttention, several query heads sharing a key and value head."""
    g = call.g
    query, value = call.x, _argument(call, 1, "value")
    key = _argument(call, 2, "key")
    call.need(isinstance(value, Tensor), "it is called without a value")
    mask = _joint_mask(call, query, value, key)
    q = _project(call, "query", "bqm,muh->bquh", "uh", query)
    k = _project(call, "key", "bkm,mvh->bkvh", "vh", key or value)
    v = _project(call, "value", "bkm,mvh->bkvh", "vh", value)
    repeats = call.size(q, 2) // call.size(k, 2)
    k, v = (Tensor(_repeat(call, call.plain(t), repeats)) for t in (k, v))
    equations = ("bkuh,bquh->buqk", "buqk,bkuh->bquh")
    heads, scores = _attend(call, q, k, v, mask, equations, 1)
    if call.get("use_gate", False):
        gate = _project(call, "gate", "bqm,muh->bquh", "uh", query, "sigmoid")
        heads = g.op("Mul", heads, call.plain(gate))
    result = _project(call, "attention_output", "bquh,uhm->bqm", "m", Tensor(heads))
    return (result, Tensor(scores)) if call.kwargs.get("return_attention_scores") else result


def _repeat(call: Call, x: Value, times: int) -> Value:
    """Each head `times` times in a row."""
    if times == 1:
        return x
    heads = call.size(Tensor(x), 2)
    order = np.repeat(np.arange(heads), times)
    return call.g.op("Gather", x, call.g.const(order, "int64"), axis=2)


@layer("Attention")
def attention(call: Call) -> Any:
    """Dot or concatenated scores of whole vectors (Luong)."""
    names = ["scale"] if call.get("use_scale", False) else []
    concat = call.get("score_mode", "dot") == "concat"
    own = call.own(*names, *(["concat_score_weight"] if concat else []))
    scale = call.weight("scale", own["scale"]) if "scale" in own else None
    weight = call.weight("concat_score_weight", own["concat_score_weight"]) if concat else None

    def score(q: Value, k: Value) -> Value:
        if weight is not None:
            return call.g.op("Mul", weight, _tanh_sum(call, q, k, scale, None))
        order = [*range(k.rank - 2), k.rank - 1, k.rank - 2]
        product = call.g.op("MatMul", q, call.transpose(k, order))
        return product if scale is None else call.g.op("Mul", product, scale)

    return _additive(call, score)


@layer("AdditiveAttention")
def additive_attention(call: Call) -> Any:
    """Scores summed from tanh (Bahdanau)."""
    own = call.own(*(["scale"] if call.get("use_scale", True) else []))
    scale = call.weight("scale", own["scale"]) if own else None
    return _additive(call, lambda q, k: _tanh_sum(call, q, k, None, scale))


def _tanh_sum(call: Call, q: Value, k: Value, inner: Value | None, outer: Value | None) -> Value:
    g = call.g
    total = g.op("Add", g.op("Unsqueeze", q, g.ints(-2)), g.op("Unsqueeze", k, g.ints(-3)))
    total = g.op("Tanh", total if inner is None else g.op("Mul", total, inner))
    total = total if outer is None else g.op("Mul", total, outer)
    return g.op("ReduceSum", total, g.ints(-1), keepdims=0)


def _additive(call: Call, score: Any) -> Any:
    g = call.g
    tensors: list[Tensor] = call.tensors
    query, value = (call.plain(t) for t in tensors[:2])
    key = call.plain(tensors[2]) if len(tensors) > 2 else value
    given = call.kwargs.get("mask")
    masks = list(given) if isinstance(given, (list, tuple)) else [t.mask for t in tensors[:2]]
    scores = score(query, key)
    closed = _both(
        call,
        [
            _grow(call, masks[1], -2) if len(masks) > 1 and masks[1] is not None else None,
            _causal(call, query, value) if call.kwargs.get("use_causal_mask") else None,
        ],
    )
    if closed is not None:
        low = g.op("Add", scores, _low(call, scores))
        scores = g.op("Where", closed, scores, low)
    weights = g.op("Softmax", scores, axis=-1)
    result = g.op("MatMul", weights, value)
    if masks and masks[0] is not None:
        result = g.op("Where", _grow(call, masks[0], -1), result, g.scalar(0.0, result))
    made = Tensor(result, mask=masks[0] if masks else None)
    return (made, Tensor(weights)) if call.kwargs.get("return_attention_scores") else made
