"""By which factor does an operator turn a change of its input into a change of its output? DeepLIFT's rules.

Every rule is the mean derivative along the straight line between two inputs of one operator: the quotient
of the changes for elementwise functions (the rescale rule), the derivative half way for linear and bilinear
ones, a quadrature for the rest. So every rule is complete, and an activation written as several operators
gets the same factor as the fused one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.methods.rules.relevance import Call, Given, pulled_back

__all__ = ["BILINEAR", "LARGEST", "multiplied_back", "rule_between"]

ELEMENTWISE = frozenset(
    {
        *("Relu", "Clip", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Celu", "Selu", "Gelu", "Swish"),
        *("HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "Erf", "Exp", "Log"),
        *("Sqrt", "Pow", "Abs", "Reciprocal", "Sin", "Cos", "Max", "Min", "Shrink", "Sign", "Floor", "Ceil"),
        *("Round", "Sinh", "Cosh", "Atan", "com.microsoft::Gelu", "com.microsoft::QuickGelu"),
    }
)
BILINEAR = frozenset(
    {
        *("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Sum", "Neg", "Mean", "Identity"),
        *("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "BatchNormalization", "Concat"),
        *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "Pad"),
        *("Expand", "Dropout", "Cast", "CastLike", "Resize", "Upsample", "Tile"),
        *("DepthToSpace", "SpaceToDepth"),
    }
)
LARGEST = frozenset({"MaxPool", "GlobalMaxPool", "ReduceMax"})
POINTS = 32
"""Gauss-Legendre points for smooth operators without a closed form (Softmax, normalisations, Div)."""
PIECES = 48
"""Quadratures that a line may take; halving towards one place alone, 24 times."""


def multiplied_back(here: Call, there: Call, given: Given) -> dict[int, Tensor]:
    """Multipliers at the inputs for those at the outputs, from one call on x and on the reference."""
    if len(here.varying) == 1 and here.kind in ELEMENTWISE:
        quotient = _rescaled(here, there, given)
        if quotient is not None:
            return quotient
    if here.kind in LARGEST and len(here.varying) == 1:
        return _largest(here, there, given)
    if here.kind in BILINEAR:
        return pulled_back(here, _between(here, there, 0.5), given)
    return _mean_derivative(here, there, given)


def _between(here: Call, there: Call, place: float) -> list[Any]:
    inputs = list(here.inputs)
    for i in here.varying:
        inputs[i] = there.inputs[i] + place * (here.inputs[i] - there.inputs[i])
    return inputs


def _rescaled(here: Call, there: Call, given: Given) -> dict[int, Tensor] | None:
    """Shrikumar et al., eq. 12; where the input hardly changes, the derivative half way."""
    (i,) = here.varying
    way, change = here.inputs[i] - there.inputs[i], here.outputs[0] - there.outputs[0]
    if given[0] is None or way.shape != change.shape:
        return None
    small = way.abs() < _tiny(way)
    slope = pulled_back(here, _between(here, there, 0.5), [torch.ones_like(change)]).get(i)
    flat = torch.zeros_like(way) if slope is None else slope
    return {i: given[0] * torch.where(small, flat, change / torch.where(small, torch.ones_like(way), way))}


def _largest(here: Call, there: Call, given: Given) -> dict[int, Tensor]:
    """What the largest value gains goes to the place that holds it now, what it loses to the one that did.

    Values that differ by rounding alone count as equal, and the first of them holds the largest: a uniform
    reference, whose windows hold equal values, gets one map whatever the order its sums were added in.
    """
    (i,) = here.varying
    top = torch.maximum(here.outputs[0], there.outputs[0])
    part = given[0]
    if part is None:
        return {}
    now, before = _without_rounding(here, i), _without_rounding(there, i)
    gained = pulled_back(here, now, [part * (top - there.outputs[0])])[i]
    lost = pulled_back(there, before, [part * (here.outputs[0] - top)])[i]
    way = here.inputs[i] - there.inputs[i]
    small = way.abs() < _tiny(way)
    flat = pulled_back(here, now, [part])[i]
    return {i: torch.where(small, flat, (gained + lost) / torch.where(small, torch.ones_like(way), way))}


def _without_rounding(call: Call, i: int) -> list[Any]:
    """The inputs of a call, input i in steps of a power of two near its largest value times `_tiny`."""
    inputs = list(call.inputs)
    value = inputs[i]
    step = torch.exp2(torch.round(torch.log2(value.abs().amax() * _tiny(value))))
    inputs[i] = torch.where(step > 0, torch.round(value / step) * step, value)
    return inputs


def _mean_derivative(here: Call, there: Call, given: Given) -> dict[int, Tensor]:
    """The derivative averaged along the line between both inputs (Aumann and Shapley).

    A piece of the line over which it does not add up to what the outputs change by is halved: near inputs
    that are all equal, as in an empty reference, a normalisation turns sharply.
    """
    total: dict[int, Tensor] = {}
    waiting, left = [(0.0, 1.0)], PIECES
    while waiting:
        begin, end = waiting.pop()
        found, left = _over_piece(here, there, given, begin, end), left - 1
        if left > len(waiting) + 1 and _misses(here, there, given, found, begin, end):
            middle = (begin + end) / 2
            waiting += [(middle, end), (begin, middle)]
            continue
        for i, part in found.items():
            total[i] = total[i] + part if i in total else part
    return total


def _over_piece(here: Call, there: Call, given: Given, begin: float, end: float) -> dict[int, Tensor]:
    """The derivative's integral over a piece of the line, by Gauss-Legendre."""
    places, weights = np.polynomial.legendre.leggauss(POINTS)
    total: dict[int, Tensor] = {}
    for place, weight in zip(places, weights, strict=True):
        middle = begin + (end - begin) * (float(place) + 1) / 2
        for i, part in pulled_back(here, _between(here, there, middle), given).items():
            share = float(weight) / 2 * (end - begin) * part
            total[i] = total[i] + share if i in total else share
    return total


def _misses(
    here: Call, there: Call, given: Given, found: Mapping[int, Tensor], begin: float, end: float
) -> bool:
    """Whether the integral times the way is not what the outputs change by over the piece."""
    before, after = (_outputs_of(here, _between(here, there, place)) for place in (begin, end))
    missed, largest = 0.0, 0.0
    for part, new, old in zip(given, after, before, strict=False):
        if part is not None:
            missed += float((part * (new - old)).sum())
            largest += float((part * new).abs().sum() + (part * old).abs().sum())
    for i, part in found.items():
        missed -= float((part * (here.inputs[i] - there.inputs[i])).sum())
    return abs(missed) > largest * (1e-13 if here.outputs[0].dtype == torch.float64 else 1e-6)


def _outputs_of(call: Call, inputs: Sequence[Any]) -> tuple[Any, ...]:
    with torch.no_grad():
        result = call.function(*inputs)
    return result if type(result) is tuple else (result,)


def _tiny(value: Tensor) -> float:
    return 1e-10 if value.dtype == torch.float64 else 1e-6


Rule = Callable[[int, Given], dict[int, Tensor]]


def rule_between(here: Sequence[Call], there: Sequence[Call]) -> Rule:
    """The rule for a walk back over two runs of one net."""
    return lambda index, given: multiplied_back(here[index], there[index], given)
