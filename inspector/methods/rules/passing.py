"""How does relevance pass operators without weights? Activations, sums, products, pooling, moved data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from inspector.errors import UnsupportedOperator
from inspector.methods.rules.multipliers import ELEMENTWISE
from inspector.methods.rules.relevance import Call, Given, pulled_back
from inspector.methods.rules.weighted import stabilised

__all__ = ["passed_back"]

NORMALISED = frozenset(
    {"LayerNormalization", "RMSNormalization", "GroupNormalization", "InstanceNormalization"}
)
"""Passed unchanged, as AttnLRP does (arXiv:2402.05602, section 3.3)."""
UNCHANGED = ELEMENTWISE | NORMALISED | {"Identity", "Dropout", "Cast", "CastLike", "Neg"}
MOVED = frozenset(
    {
        *("MaxPool", "GlobalMaxPool", "ReduceMax", "Max", "Min", "Where", "Reshape", "Flatten", "Transpose"),
        *("Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "Concat", "Expand", "Tile", "DepthToSpace"),
        *("SpaceToDepth",),
    }
)
SHARED = frozenset(
    {
        *("Add", "Sub", "Sum", "Mean", "AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "Pad"),
        *("BatchNormalization", "Resize", "Upsample", "Conv", "Gemm", "MatMul", "ConvTranspose", "Einsum"),
    }
)
ADDING = frozenset({"Add", "Sub", "Sum", "Gemm", "Conv", "BatchNormalization"})
AVERAGES = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean"})
"""Rules that ignore values hand relevance to silent units; an average of zeros then shares it evenly."""


def passed_back(call: Call, given: Given, epsilon: float) -> dict[int, Tensor]:
    """Relevance at the inputs of an operator.

    Raises:
        UnsupportedOperator: no rule is known for the operator.
    """
    kind, part = call.kind, given[0]
    if kind in ("Mul", "Div") and part is not None:
        return _product(call, part)
    if kind == "Softmax" and part is not None:
        y, axis = call.outputs[0], int(call.step.attributes.get("axis", -1))
        return {0: call.inputs[0] * (part - y * part.sum(axis, keepdim=True))}  # arXiv:2402.05602, eq. 13
    if kind in UNCHANGED and len(call.varying) == 1 and part is not None:
        return {call.varying[0]: part}
    if kind in MOVED:
        return pulled_back(call, call.inputs, given)
    if kind in SHARED and part is not None:
        factors = len(call.varying) if kind in ("MatMul", "Gemm", "Conv", "Einsum") else 1
        share = part / factors / stabilised(call.outputs[0], epsilon)
        found = pulled_back(call, call.inputs, [share])
        shared = {i: call.inputs[i] * value for i, value in found.items()}
        if kind in AVERAGES and bool((silent := call.outputs[0] == 0).any()):
            evenly = pulled_back(call, call.inputs, [part * silent])
            shared = {i: value + evenly[i] for i, value in shared.items()}
        return shared | _held(call, share, shared)
    raise UnsupportedOperator(
        f"LRP has no rule for {kind} ({call.step.key!r}). Try deeplift or integrated-gradients, which take "
        "every differentiable operator."
    )


def _held(call: Call, share: Tensor, shared: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """What a constant addend takes of the relevance (a scalar, over all rows), at its position."""
    constants = [i for i, key in enumerate(call.step.inputs) if key and i not in call.varying]
    if call.kind not in ADDING or not constants:
        return {}
    whole = torch.where(share == 0, share, share * call.outputs[0]).sum()
    return {constants[-1]: whole - sum(part.sum() for part in shared.values())}


def _product(call: Call, part: Tensor) -> dict[int, Tensor]:
    """All to the one varying factor or the numerator, half to each of two factors."""
    if call.kind == "Div":
        return {0: _summed(part, call.inputs[0])} if 0 in call.varying else {}
    share = part / len(call.varying)
    return {i: _summed(share, call.inputs[i]) for i in call.varying}


def _summed(part: Tensor, like: Any) -> Tensor:
    return part.sum_to_size(like.shape) if isinstance(like, torch.Tensor) else part
