"""Which stored constants are parameters, and whose? Roles by the input they fill, plumbing looked through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inspector.graph.families import family
from inspector.model import Model, Node, Weight

__all__ = ["Owned", "owned_weights"]

Role = Literal["parameter", "statistic", "quantisation", "constant", "unused"]

_PASSED_THROUGH = frozenset(
    [
        "Identity",
        "Transpose",
        "Cast",
        "CastLike",
        "DequantizeLinear",
        "QuantizeLinear",
        "Unsqueeze",
        "Squeeze",
        "Reshape",
        "Flatten",
        "Expand",
    ]
)
_ROLES: dict[str, dict[int, Role]] = {
    "BatchNormalization": {3: "statistic", 4: "statistic"},
    "QuantizeLinear": {1: "quantisation", 2: "quantisation"},
    "DequantizeLinear": {1: "quantisation", 2: "quantisation"},
    "QLinearConv": dict.fromkeys((1, 2, 4, 5, 6, 7), "quantisation"),
    "QLinearMatMul": dict.fromkeys((1, 2, 4, 5, 6, 7), "quantisation"),
    "QLinearAdd": dict.fromkeys((1, 2, 4, 5, 6, 7), "quantisation"),
    "QLinearMul": dict.fromkeys((1, 2, 4, 5, 6, 7), "quantisation"),
    "QGemm": dict.fromkeys((1, 2, 4, 5, 7, 8), "quantisation"),
    "ConvInteger": {2: "quantisation", 3: "quantisation"},
    "MatMulInteger": {2: "quantisation", 3: "quantisation"},
    "DynamicQuantizeMatMul": {2: "quantisation", 3: "quantisation"},
    "MatMulIntegerToFloat": dict.fromkeys((2, 3, 4, 5), "quantisation"),
    "MatMulNBits": {2: "quantisation", 3: "quantisation", 4: "constant"},
    "QAttention": dict.fromkeys((3, 4, 5, 6, 7), "quantisation"),
    "LSTM": {4: "constant", 5: "constant", 6: "constant"},
    "GRU": {4: "constant", 5: "constant"},
    "RNN": {4: "constant", 5: "constant"},
    "Resize": {1: "constant", 2: "constant", 3: "constant"},
    "Upsample": {1: "constant"},
    "Pad": dict.fromkeys((1, 2, 3), "constant"),
    "Clip": {1: "constant", 2: "constant"},
    "Dropout": {1: "constant", 2: "constant"},
    "Range": {0: "constant", 1: "constant", 2: "constant"},
    "OneHot": {2: "constant"},
    "NonMaxSuppression": dict.fromkeys((2, 3, 4), "constant"),
}
_WEIGHT_OPERATORS = frozenset(
    [
        "QLinearConv",
        "QLinearMatMul",
        "QGemm",
        "ConvInteger",
        "MatMulInteger",
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "MatMulBnb4",
        "QAttention",
        "DequantizeLinear",
        "GatherBlockQuantized",
    ]
)
_QUANTISED = frozenset(("int8", "uint8", "int4", "uint4", "int2", "uint2"))


@dataclass(frozen=True)
class Owned:
    """One stored constant with the operator that uses it (None: unused or in a function) and its count."""

    weight: Weight
    owner: Node | None
    role: Role
    count: int


def owned_weights(model: Model) -> list[Owned]:
    """Every stored constant once, with its role and the first operator that uses it."""
    returned = {value.key for value in model.outputs}
    functions = tuple(f"{f.domain}.{f.name}/" for f in model.proto.functions)
    return [
        _owned(model, weight)
        if weight.key in model.consumers or weight.key in returned or weight.key.startswith(functions)
        else Owned(weight, None, "unused" if model.nodes else _role(weight, None, 0, None), weight.size)
        for weight in model.weights.values()
    ]


def _owned(model: Model, weight: Weight) -> Owned:
    owner, position, first = _owner(model, weight.key)
    role = _role(weight, owner, position, first)
    return Owned(weight, owner, role, _elements(weight, owner, position))


def _owner(model: Model, key: str) -> tuple[Node | None, int, Node | None]:
    """The first operator that uses a constant, where it goes in, and the first that reads it at all."""
    first: Node | None = None
    for _ in range(8):
        readers = model.consumers.get(key, ())
        if not readers:
            return first, 0, first
        reader = readers[0]
        position = reader.inputs.index(key)
        first = first or reader
        if position or reader.op not in _PASSED_THROUGH or not reader.outputs:
            return reader, position, first
        key = reader.outputs[0]
    return first, 0, first


def _role(weight: Weight, owner: Node | None, position: int, first: Node | None) -> Role:
    if not weight.shape or weight.size == 0:
        return "constant"
    if owner is not None:
        known = _ROLES.get(owner.op, {}).get(position)
        if known is not None:
            return known
    quantised = owner is not None and (owner.op in _WEIGHT_OPERATORS or _dequantised(first))
    if quantised and (weight.dtype in _QUANTISED or weight.dtype == "int32"):
        return "parameter"
    if "float" not in weight.dtype and not weight.dtype.startswith("complex"):
        return "constant"
    if weight.kind == "filled" and not _fills_a_weight(owner, position):
        return "constant"
    return "parameter"


def _dequantised(first: Node | None) -> bool:
    return first is not None and first.op in ("DequantizeLinear", "GatherBlockQuantized")


def _fills_a_weight(owner: Node | None, position: int) -> bool:
    """Whether a constant-filled tensor stands where a trained one would, as in files stripped of weights."""
    if owner is None:
        return False
    kind = family(owner.op, owner.domain).name
    if kind in ("linear", "normalisation") or owner.op == "PRelu":
        return position > 0
    return kind == "arithmetic" and owner.op != "Where"


def _elements(weight: Weight, owner: Node | None, position: int) -> int:
    if owner is not None and owner.op in ("MatMulNBits", "MatMulBnb4") and position == 1:
        return int(owner.attributes.get("N", 0)) * int(owner.attributes.get("K", 0))
    return weight.size
