"""Arithmetic of one or more tensors, element by element."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from inspector.autograd.integers import UNSIGNED, divided, narrowed, ordered, through_int64, wide
from inspector.autograd.registry import operator

__all__: list[str] = []


def aligned(a: Tensor, b: Tensor, broadcast: int | None, axis: int | None) -> tuple[Tensor, Tensor]:
    """Operands of opsets before 7, where `b` is stretched over `a` from `axis` on if `broadcast` is set."""
    if broadcast and axis is not None:
        start = axis + a.ndim if axis < 0 else axis
        b = b.reshape(*b.shape, *([1] * (a.ndim - start - b.ndim)))
    return a, b


@operator("Add", since=7)
def add(a: Tensor, b: Tensor) -> Tensor:
    return through_int64(torch.add, a, b)


@operator("Sub", since=7)
def sub(a: Tensor, b: Tensor) -> Tensor:
    return through_int64(torch.sub, a, b)


@operator("Mul", since=7)
def mul(a: Tensor, b: Tensor) -> Tensor:
    return through_int64(torch.mul, a, b)


@operator("Div", since=7)
def div(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.is_floating_point or a.dtype.is_complex:
        return a / b
    if a.dtype == torch.uint64:
        return divided(a, b)
    return through_int64(_truncated, a, b)


def _truncated(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode="trunc")


@operator("Pow", since=7)
def pow_(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.is_floating_point:
        return torch.pow(a, b.to(a.dtype) if not b.dtype.is_floating_point else b).to(a.dtype)
    if b.dtype.is_floating_point:
        return torch.pow(wide(a).to(torch.float64), b.to(torch.float64)).to(a.dtype)
    return narrowed(torch.pow(wide(a).to(torch.int64), wide(b).to(torch.int64)), a.dtype).to(a.dtype)


@operator("Add", since=1)
@operator("Add", since=6)
def add_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return add(*aligned(a, b, broadcast, axis))


@operator("Sub", since=1)
@operator("Sub", since=6)
def sub_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return sub(*aligned(a, b, broadcast, axis))


@operator("Mul", since=1)
@operator("Mul", since=6)
def mul_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return mul(*aligned(a, b, broadcast, axis))


@operator("Div", since=1)
@operator("Div", since=6)
def div_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return div(*aligned(a, b, broadcast, axis))


@operator("Pow", since=1)
def pow_1(a: Tensor, b: Tensor, *, axis: int | None, broadcast: int) -> Tensor:
    return pow_(*aligned(a, b, broadcast, axis))


@operator("Mod", since=10)
def mod(a: Tensor, b: Tensor, *, fmod: int) -> Tensor:
    if a.dtype == torch.uint64:
        return (wide(a) - wide(divided(a, b)) * wide(b)).view(torch.uint64)
    return through_int64(torch.fmod if fmod else torch.remainder, a, b)


@operator("Neg", since=1)
@operator("Neg", since=6)
def neg(x: Tensor) -> Tensor:
    return -x


@operator("Abs", since=1)
@operator("Abs", since=6)
def abs_(x: Tensor) -> Tensor:
    return x if x.dtype in UNSIGNED else torch.abs(x)


@operator("Reciprocal", since=1)
@operator("Reciprocal", since=6)
def reciprocal(x: Tensor) -> Tensor:
    return torch.reciprocal(x)


@operator("Sqrt", since=1)
@operator("Sqrt", since=6)
def sqrt(x: Tensor) -> Tensor:
    return torch.sqrt(x)


@operator("Exp", since=1)
@operator("Exp", since=6)
def exp(x: Tensor) -> Tensor:
    return torch.exp(x)


@operator("Log", since=1)
@operator("Log", since=6)
def log(x: Tensor) -> Tensor:
    return torch.log(x)


@operator("Erf", since=9)
def erf(x: Tensor) -> Tensor:
    return torch.erf(x) if x.dtype.is_floating_point else torch.erf(wide(x).double()).to(x.dtype)


@operator("Floor", since=1, differentiable=False)
@operator("Floor", since=6, differentiable=False)
def floor(x: Tensor) -> Tensor:
    return torch.floor(x)


@operator("Ceil", since=1, differentiable=False)
@operator("Ceil", since=6, differentiable=False)
def ceil(x: Tensor) -> Tensor:
    return torch.ceil(x)


@operator("Round", since=11, differentiable=False)
def round_(x: Tensor) -> Tensor:
    return torch.round(x)


@operator("Sign", since=9, differentiable=False)
def sign(x: Tensor) -> Tensor:
    return (
        through_int64(torch.sign, x) if x.dtype != torch.uint64 else narrowed((wide(x) != 0).long(), x.dtype)
    )


@operator("Sin", since=7)
def sin(x: Tensor) -> Tensor:
    return torch.sin(x)


@operator("Cos", since=7)
def cos(x: Tensor) -> Tensor:
    return torch.cos(x)


@operator("Tan", since=7)
def tan(x: Tensor) -> Tensor:
    return torch.tan(x)


@operator("Asin", since=7)
def asin(x: Tensor) -> Tensor:
    return torch.asin(x)


@operator("Acos", since=7)
def acos(x: Tensor) -> Tensor:
    return torch.acos(x)


@operator("Atan", since=7)
def atan(x: Tensor) -> Tensor:
    return torch.atan(x)


@operator("Sinh", since=9)
def sinh(x: Tensor) -> Tensor:
    return torch.sinh(x)


@operator("Cosh", since=9)
def cosh(x: Tensor) -> Tensor:
    return torch.cosh(x)


@operator("Asinh", since=9)
def asinh(x: Tensor) -> Tensor:
    return torch.asinh(x)


@operator("Acosh", since=9)
def acosh(x: Tensor) -> Tensor:
    return torch.acosh(x)


@operator("Atanh", since=9)
def atanh(x: Tensor) -> Tensor:
    return torch.atanh(x)


@operator("Det", since=11)
def det(x: Tensor) -> Tensor:
    return torch.linalg.det(x)


def _largest(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype == torch.uint64:
        return torch.where(ordered(a) >= ordered(b), wide(a), wide(b)).view(torch.uint64)
    return through_int64(torch.maximum, a, b)


def _smallest(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype == torch.uint64:
        return torch.where(ordered(a) <= ordered(b), wide(a), wide(b)).view(torch.uint64)
    return through_int64(torch.minimum, a, b)


@operator("Max", since=1)
@operator("Max", since=6)
@operator("Max", since=8)
def max_(*inputs: Tensor) -> Tensor:
    return reduce(_largest, inputs)


@operator("Min", since=1)
@operator("Min", since=6)
@operator("Min", since=8)
def min_(*inputs: Tensor) -> Tensor:
    return reduce(_smallest, inputs)


@operator("Sum", since=1)
@operator("Sum", since=6)
@operator("Sum", since=8)
def sum_(*inputs: Tensor) -> Tensor:
    return reduce(torch.add, inputs)


@operator("Mean", since=1)
@operator("Mean", since=6)
@operator("Mean", since=8)
def mean(*inputs: Tensor) -> Tensor:
    return reduce(torch.add, inputs) / len(inputs)


@operator("Clip", since=1)
@operator("Clip", since=6)
def clip_6(x: Tensor, *, max: float, min: float) -> Tensor:
    return torch.clamp(x, min, max)


@operator("Clip", since=11)
def clip(x: Tensor, lo: Tensor | None = None, hi: Tensor | None = None) -> Tensor:
    if x.dtype in UNSIGNED:
        x = x if lo is None else _largest(x, lo)
        return x if hi is None else _smallest(x, hi)
    if lo is None and hi is None:
        return x
    if x.dtype.is_floating_point and all(b is None or not b.requires_grad for b in (lo, hi)):
        return torch.clamp(x, _number(lo), _number(hi)) if _is_read(lo, hi) else torch.clamp(x, lo, hi)
    return torch.clamp(x, lo, hi)


def _number(bound: Tensor | None) -> Any:
    return None if bound is None else bound.item()


def _is_read(*bounds: Tensor | None) -> bool:
    """Whether the numbers can be read without waiting for a GPU, or breaking a graph that is compiled."""
    if torch.compiler.is_compiling():
        return False
    return all(bound is None or bound.device.type == "cpu" for bound in bounds)


@operator("CumSum", since=11, host=(1,))
def cumsum(x: Tensor, axis: Tensor, *, exclusive: int, reverse: int) -> Tensor:
    return _cumulated(torch.cumsum, x, axis, bool(exclusive), bool(reverse), 0)


@operator("CumProd", since=26, host=(1,))
def cumprod(x: Tensor, axis: Tensor, *, exclusive: int, reverse: int) -> Tensor:
    return _cumulated(torch.cumprod, x, axis, bool(exclusive), bool(reverse), 1)


def _cumulated(function: Any, x: Tensor, axis: Tensor, exclusive: bool, reverse: bool, start: int) -> Tensor:
    dim, dtype = int(axis), x.dtype
    x = wide(x)
    x = x.flip(dim) if reverse else x
    if exclusive:
        x = torch.cat([torch.full_like(x.narrow(dim, 0, 1), start), x.narrow(dim, 0, x.shape[dim] - 1)], dim)
    total = function(x, dim)
    total = total.flip(dim) if reverse else total
    return narrowed(total, dtype).to(dtype)
