"""What should stand in a box? Operator, weights in a phrase, attributes that differ from the default."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

import onnx
from onnx import defs, helper

from inspector.graph.families import family
from inspector.model import Model, Node, Value, Weight
from inspector.model.shapes import format_shape

__all__ = ["count_text", "node_rows", "plain", "shape_text"]

_LONGEST = 34
_ROWS = 4


def plain(text: str, longest: int = _LONGEST) -> str:
    """One printable line of at most so many characters, cut in the middle, without control characters."""
    short = text if len(text) <= 4 * longest else text[: 2 * longest] + text[-2 * longest :]
    clean = "".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in short)
    clean = " ".join(clean.split())
    if len(clean) <= longest and len(text) == len(short):
        return clean
    half = (longest - 1) // 2
    return f"{clean[:half]}…{clean[-half:]}" if len(clean) > longest else clean


_UNPRINTABLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def count_text(number: int) -> str:
    """1,235,496 → `1.24 M`."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def shape_text(value: Value | None) -> str:
    """`1×64×56×56`, with the element type unless it is float32."""
    if value is None or (value.shape is None and not value.dtype):
        return "" if value is None or value.kind in ("unknown", "tensor") else value.kind
    if value.shape is None:
        return value.dtype if value.dtype != "float32" else ""
    shape = format_shape(value.shape) if value.shape else "scalar"
    return plain(shape if value.dtype in ("float32", "") else f"{shape} {value.dtype}", 40)


def node_rows(model: Model, node: Node) -> list[str]:
    """The lines below the operator's name."""
    rows = _weights(model, node)
    attributes = _attributes(model, node)
    if attributes:
        line = ""
        for part in attributes:
            if line and len(line) + len(part) > _LONGEST:
                rows.append(line)
                line = ""
            line = f"{line}, {part}" if line else part
        rows.append(line)
    return [plain(row) for row in rows[:_ROWS]] + (["…"] if len(rows) > _ROWS else [])


def _weights(model: Model, node: Node) -> list[str]:
    found: dict[int, Weight] = {}
    for position, key in enumerate(node.inputs):
        weight = model.weights.get(key) if key else None
        if weight is not None:
            found[position] = weight
    main = found.get(_MAIN.get(node.op, 1))
    if main is not None and node.op in _SUMMARY and len(main.shape) >= 2:
        return [_SUMMARY[node.op](main.shape, node.attributes)]
    if node.op in _CHANNELS and main is not None:
        return [f"{main.shape[0]} channels"] if main.shape else []
    named = _inputs(node.op, model.opsets.get(node.domain, 1), node.domain)
    arithmetic = family(node.op, node.domain).name == "arithmetic"
    rows = []
    for position, weight in found.items():
        text = _constant(weight)
        if not text or node.op == "Concat":
            continue
        name = "" if arithmetic or position >= len(named) else named[position]
        if weight.size > _FEW:
            name = "bias" if node.op == "Add" else name or "weight"
        rows.append(f"{name} {text}".strip())
    return rows[:3]


@cache
def _inputs(op: str, version: int, domain: str) -> tuple[str, ...]:
    """What the standard calls each input; repeated ones only once."""
    try:
        return tuple(port.name.lower() for port in defs.get_schema(op, version, domain).inputs)
    except defs.SchemaError:
        return ()


_MAIN = {"QLinearConv": 3, "QLinearMatMul": 3}
_CHANNELS = frozenset(
    (
        "BatchNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "RMSNormalization",
        "GroupNormalization",
        "PRelu",
    )
)


def _conv(shape: tuple[int, ...], attributes: Mapping[str, Any]) -> str:
    groups = int(attributes.get("group", 1))
    return f"{'×'.join(map(str, shape[2:]))}, {shape[1] * groups}→{shape[0]}"


def _conv_transpose(shape: tuple[int, ...], attributes: Mapping[str, Any]) -> str:
    groups = int(attributes.get("group", 1))
    return f"{'×'.join(map(str, shape[2:]))}, {shape[0]}→{shape[1] * groups}"


def _gemm(shape: tuple[int, ...], attributes: Mapping[str, Any]) -> str:
    rows, columns = shape[-2:] if not attributes.get("transB", 0) else shape[::-1][:2]
    return f"{rows}→{columns}"


def _recurrent(shape: tuple[int, ...], attributes: Mapping[str, Any]) -> str:
    hidden = attributes.get("hidden_size", "?")
    return f"{shape[-1]}→{hidden}" + (", both directions" if shape[0] == 2 else "")


_SUMMARY = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "QLinearConv": _conv,
    "FusedConv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _gemm,
    "MatMulInteger": _gemm,
    "QLinearMatMul": _gemm,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}
_FEW = 6
"""A constant of up to so many numbers is written out."""


def _constant(weight: Weight) -> str:
    if weight.size == 0:
        return "none"
    if weight.size > _FEW or weight.dtype == "string":
        return format_shape(weight.shape)
    values = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in weight.array().reshape(-1).tolist()]
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"


_FROM_WEIGHT = frozenset(
    ("kernel_shape", "hidden_size", "transB", "transA", "value", "value_float", "value_int")
)
_SKIPPED = frozenset(
    (
        "auto_pad",
        "storage_order",
        "ceil_mode",
        "count_include_pad",
        "training_mode",
        "momentum",
        "is_test",
        "consumed_inputs",
        "spatial",
        "allowzero",
        "noop_with_empty_axes",
        "nearest_mode",
        "epsilon",
        "cubic_coeff_a",
        "exclude_outside",
        "extrapolation_value",
        "keepdims",
        "num_scan_inputs",
        "fmod",
    )
)
_NAMES = {
    "strides": "stride",
    "pads": "pad",
    "dilations": "dilation",
    "group": "groups",
    "kernel_shape": "kernel",
}


def _attributes(model: Model, node: Node) -> list[str]:
    defaults = _defaults(node.op, model.opsets.get(node.domain, 1), node.domain)
    parts: list[str] = []
    for name, value in node.attributes.items():
        from_weight = name in _FROM_WEIGHT and not (name == "kernel_shape" and node.op.endswith("Pool"))
        if from_weight or name in _SKIPPED or isinstance(value, (onnx.TensorProto, onnx.GraphProto)):
            continue
        if value == defaults.get(name) or (name in _UNIT and _is_unit(value, _UNIT[name])):
            continue
        parts.append(_attribute(name, value, node, model))
    return [part for part in parts if part]


_UNIT = {"strides": 1, "dilations": 1, "pads": 0, "output_padding": 0, "group": 1}


def _is_unit(value: Any, unit: int) -> bool:
    return all(v == unit for v in value) if isinstance(value, (list, tuple)) else value == unit


def _attribute(name: str, value: Any, node: Node, model: Model) -> str:
    label = _NAMES.get(name, name)
    if name == "group":
        key = node.inputs[1] if len(node.inputs) > 1 else ""
        weight = model.weights.get(key)
        if weight is not None and len(weight.shape) > 1 and weight.shape[1] == 1:
            return "depthwise"
    if name == "to":
        kind = onnx.TensorProto.DataType
        return f"to {kind.Name(value).lower()}" if value in kind.values() else f"to {value}"
    if name == "kernel_shape":
        return "×".join(map(str, value))
    if isinstance(value, (list, tuple)):
        items = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in value]
        return (
            f"{label} {items[0]}" if len(set(items)) == 1 and len(items) > 1 else f"{label} {','.join(items)}"
        )
    if isinstance(value, bytes):
        return f"{label} {value.decode(errors='replace')}"
    if isinstance(value, float):
        return f"{label} {value:.4g}"
    return f"{label} {value}"


@cache
def _defaults(op: str, version: int, domain: str) -> Mapping[str, Any]:
    try:
        schema = defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return {}
    return {
        name: helper.get_attribute_value(attribute.default_value)
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }
