"""Comparisons, truth values and bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.integers import UNSIGNED, narrowed, ordered, shifted_right, wide
from inspector.autograd.ops.arithmetic import aligned
from inspector.autograd.registry import operator

__all__: list[str] = []


@operator("Equal", since=7, differentiable=False)
def equal(a: Any, b: Any) -> Tensor:
    if isinstance(a, np.ndarray):
        return torch.from_numpy(np.asarray(a == b, dtype=bool))
    return torch.eq(wide(a), wide(b))


@operator("Greater", since=7, differentiable=False)
def greater(a: Tensor, b: Tensor) -> Tensor:
    return torch.gt(ordered(a), ordered(b))


@operator("GreaterOrEqual", since=12, differentiable=False)
def greater_or_equal(a: Tensor, b: Tensor) -> Tensor:
    return torch.ge(ordered(a), ordered(b))


@operator("Less", since=7, differentiable=False)
def less(a: Tensor, b: Tensor) -> Tensor:
    return torch.lt(ordered(a), ordered(b))


@operator("LessOrEqual", since=12, differentiable=False)
def less_or_equal(a: Tensor, b: Tensor) -> Tensor:
    return torch.le(ordered(a), ordered(b))


@operator("And", since=7, differentiable=False)
def and_(a: Tensor, b: Tensor) -> Tensor:
    return torch.logical_and(a, b)


@operator("Or", since=7, differentiable=False)
def or_(a: Tensor, b: Tensor) -> Tensor:
    return torch.logical_or(a, b)


@operator("Xor", since=7, differentiable=False)
def xor(a: Tensor, b: Tensor) -> Tensor:
    return torch.logical_xor(a, b)


@operator("Not", since=1, differentiable=False)
def not_(x: Tensor) -> Tensor:
    return torch.logical_not(x)


@operator("Equal", since=1, differentiable=False)
def equal_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return equal(*aligned(a, b, broadcast, axis))


@operator("Greater", since=1, differentiable=False)
def greater_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return greater(*aligned(a, b, broadcast, axis))


@operator("Less", since=1, differentiable=False)
def less_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return less(*aligned(a, b, broadcast, axis))


@operator("And", since=1, differentiable=False)
def and_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return and_(*aligned(a, b, broadcast, axis))


@operator("Or", since=1, differentiable=False)
def or_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return or_(*aligned(a, b, broadcast, axis))


@operator("Xor", since=1, differentiable=False)
def xor_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return xor(*aligned(a, b, broadcast, axis))


@operator("IsNaN", since=9, differentiable=False)
def is_nan(x: Tensor) -> Tensor:
    return torch.isnan(x)


@operator("IsInf", since=10, differentiable=False)
def is_inf(x: Tensor, *, detect_negative: int, detect_positive: int) -> Tensor:
    infinite = torch.isinf(x)
    if not detect_negative:
        infinite = infinite & (x > 0)
    return infinite if detect_positive else infinite & (x < 0)


@operator("BitwiseAnd", since=18, differentiable=False)
def bitwise_and(a: Tensor, b: Tensor) -> Tensor:
    return narrowed(torch.bitwise_and(wide(a), wide(b)), a.dtype)


@operator("BitwiseOr", since=18, differentiable=False)
def bitwise_or(a: Tensor, b: Tensor) -> Tensor:
    return narrowed(torch.bitwise_or(wide(a), wide(b)), a.dtype)


@operator("BitwiseXor", since=18, differentiable=False)
def bitwise_xor(a: Tensor, b: Tensor) -> Tensor:
    return narrowed(torch.bitwise_xor(wide(a), wide(b)), a.dtype)


@operator("BitwiseNot", since=18, differentiable=False)
def bitwise_not(x: Tensor) -> Tensor:
    return narrowed(torch.bitwise_not(wide(x)), x.dtype)


@operator("BitShift", since=11, differentiable=False)
def bit_shift(a: Tensor, b: Tensor, *, direction: str) -> Tensor:
    if a.dtype not in UNSIGNED:
        return a << b if direction == "LEFT" else a >> b
    bits, places = wide(a), wide(b)
    inside = (places >= 0) & (places < 64)
    places = places.clamp(0, 63)
    moved = bits << places if direction == "LEFT" else shifted_right(bits, places)
    return narrowed(torch.where(inside, moved, 0), a.dtype)


@operator("Where", since=9)
def where(condition: Tensor, x: Any, y: Any) -> Any:
    if isinstance(x, np.ndarray):
        return np.where(condition.cpu().numpy(), x, y)
    return narrowed(torch.where(condition, wide(x), wide(y)), x.dtype)
