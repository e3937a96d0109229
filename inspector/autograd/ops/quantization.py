"""How are numbers quantised and read back? QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.

Under the straight-through rule a quantised value stays a float tensor that holds whole numbers: its gradient
is that of x / scale inside the type's range and 0 outside. Otherwise the derivative is the true one: none.
"""

from __future__ import annotations

from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor

from inspector.autograd.narrow import INTEGER_RANGES, TORCH_TYPES, Narrow, Value, element_type, pack, widen
from inspector.autograd.ops.casts import FLOAT8_LARGEST, convert, torch_type
from inspector.autograd.registry import Context, operator

FLOAT_LARGEST: dict[int, float] = {
    **FLOAT8_LARGEST,
    **{
        number: largest
        for name, largest in (("FLOAT4E2M1", 6.0), ("FLOAT6E2M3", 7.5), ("FLOAT6E3M2", 28.0))
        if (number := dict(TensorProto.DataType.items()).get(name)) is not None
    },
}
"""Largest value of each narrow float type that can be a quantisation target."""


class _StraightThrough(torch.autograd.Function):
    """The rounded value forward, the unrounded one's gradient backward (Bengio 2013, arXiv:1308.3432)."""

    @staticmethod
    def forward(ctx: Any, continuous: Tensor, rounded: Tensor) -> Tensor:
        return rounded.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        return grad_outputs[0], None


def spread(parameter: Tensor, shape: torch.Size, axis: int | None, block: int = 0) -> Tensor:
    """A scale or zero point broadcast against a tensor: one for all, one an axis entry, or one a block."""
    if parameter.numel() == 1 and parameter.ndim <= 1:
        return parameter.reshape(())
    rank = len(shape)
    if axis is None or not -rank <= axis < rank:
        raise ValueError(f"axis is {axis}, the quantised tensor has rank {rank}")
    axis %= rank
    if parameter.ndim == 1 and (rank > 1 or not block):
        if parameter.shape[0] != shape[axis]:
            raise ValueError(f"{parameter.shape[0]} scales for axis {axis} of length {shape[axis]}")
        return parameter.reshape([-1 if place == axis else 1 for place in range(rank)])
    block = block or -(-shape[axis] // parameter.shape[axis])
    whole = torch.arange(shape[axis], device=parameter.device) // block
    return parameter.index_select(axis, whole)


def quantised(
    continuous: Tensor, zero: Tensor | None, kind: int, *, saturate: bool = True, through: bool = False
) -> Tensor | Narrow:
    """The ratio x / scale, plus the zero point, rounded into a quantised type (or its straight-through)."""
    if kind in INTEGER_RANGES:
        low, high = INTEGER_RANGES[kind]
        whole = continuous.detach().double().round()
        whole = (whole if zero is None else whole + zero.double()).clamp(low, high)
        if not through:
            return pack(whole.to(torch.int64), kind)
        moved = continuous if zero is None else continuous + zero.to(continuous.dtype)
        return straight(moved.clamp(low, high), whole.to(continuous.dtype))
    if kind not in FLOAT_LARGEST:
        raise ValueError(f"{TensorProto.DataType.Name(kind)} is not a quantised type")
    moved = continuous if zero is None else continuous + zero.to(continuous.dtype)
    rounded = convert(moved.detach(), kind, saturate=saturate)
    assert isinstance(rounded, Tensor | Narrow)
    if not through:
        return rounded
    largest = FLOAT_LARGEST[kind]
    return straight(moved.clamp(-largest, largest), widen(rounded).to(moved.dtype))


def straight(continuous: Tensor, rounded: Tensor) -> Tensor:
    """`rounded` with the gradient of `continuous`."""
    result = _StraightThrough.apply(continuous, rounded)
    assert isinstance(result, Tensor)
    return result


def _quantize(
    x: Tensor,
    y_scale: Value,
    y_zero_point: Value | None,
    context: Context,
    *,
    axis: int | None = None,
    block_size: int = 0,
    saturate: bool = True,
    output_dtype: int = 0,
    precision: int = 0,
) -> Tensor | Narrow:
    kind = output_dtype or TensorProto.UINT8
    zero = None
    if y_zero_point is not None:
        assert isinstance(y_zero_point, Tensor | Narrow)
        kind = element_type(y_zero_point)
        zero = spread(widen(y_zero_point), x.shape, axis, block_size)
    assert isinstance(y_scale, Tensor | Narrow)
    scale = spread(widen(y_scale), x.shape, axis, block_size)
    if precision:
        work = torch_type(precision, context)
    else:
        work = scale.dtype if scale.is_floating_point() else context.dtype
    continuous = x.to(work) / scale.to(work)
    return quantised(continuous, zero, kind, saturate=saturate, through=context.straight_through)


@operator("QuantizeLinear", since=10)
def quantize_linear_10(
    x: Tensor, y_scale: Tensor, y_zero_point: Value | None = None, *, context: Context
) -> Tensor | Narrow:
    return _quantize(x, y_scale, y_zero_point, context)


@operator("QuantizeLinear", since=13)
def quantize_linear_13(
    x: Tensor, y_scale: Tensor, y_zero_point: Value | None = None, *, axis: int, context: Context
) -> Tensor | Narrow:
    return _quantize(x, y_scale, y_zero_point, context, axis=axis)


@operator("QuantizeLinear", since=19)
def quantize_linear_19(
    x: Tensor,
    y_scale: Tensor,
    y_zero_point: Value | None = None,
    *,
    axis: int,
    saturate: int,
    context: Context,
) -> Tensor | Narrow:
    return _quantize(x, y_scale, y_zero_point, context, axis=axis, saturate=bool(saturate))


@operator("QuantizeLinear", since=21)
def quantize_linear_21(
    x: Tensor,
    y_scale: Tensor,
    y_zero_point: Value | None = None,
    *,
    axis: int,
    saturate: int,
    block_size: int,
    output_dtype: int,
    context: Context,
) -> Tensor | Narrow:
    return _quantize(
        x,
        y_scale,
        y_zero_point,
        context,
        axis=axis,
        saturate=bool(saturate),
        block_size=block_size,
        output_dtype=output_dtype,
    )


@operator("QuantizeLinear", since=23)
def quantize_linear(
    x: Tensor,
    y_scale: Value,
    y_zero_point: Value | None = None,
    *,
    axis: int,
    saturate: int,
    block_size: int,
    output_dtype: int,
    precision: int,
    context: Context,
) -> Tensor | Narrow:
    return _quantize(
        x,
        y_scale,
        y_zero_point,
        context,
        axis=axis,
        saturate=bool(saturate),
        block_size=block_size,
        output_dtype=output_dtype,
        precision=precision,
    )


def dequantised(
    x: Tensor | Narrow,
    scale: Tensor | Narrow,
    zero: Value | None,
    *,
    axis: int | None = None,
    block: int = 0,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """(x - zero point) × scale, in the scale's type unless told otherwise."""
    stored = widen(x)
    factor = spread(widen(scale), x.shape, axis, block)
    work = dtype or factor.dtype
    if zero is not None:
        assert isinstance(zero, Tensor | Narrow)
        offset = spread(widen(zero), x.shape, axis, block)
        exact = stored.dtype if stored.is_floating_point() else torch.int32
        stored = stored.to(exact) - offset.to(exact)
    return stored.to(work) * factor.to(work)


@operator("DequantizeLinear", since=10)
def dequantize_linear_10(x: Tensor, x_scale: Tensor, x_zero_point: Value | None = None) -> Tensor:
    return dequantised(x, x_scale, x_zero_point)


@operator("DequantizeLinear", since=13)
def dequantize_linear_13(
    x: Tensor | Narrow, x_scale: Tensor, x_zero_point: Value | None = None, *, axis: int
) -> Tensor:
    return dequantised(x, x_scale, x_zero_point, axis=axis)


@operator("DequantizeLinear", since=21)
def dequantize_linear_21(
    x: Tensor | Narrow,
    x_scale: Tensor,
    x_zero_point: Value | None = None,
    *,
    axis: int,
    block_size: int,
) -> Tensor:
    return dequantised(x, x_scale, x_zero_point, axis=axis, block=block_size)


@operator("DequantizeLinear", since=23)
def dequantize_linear(
    x: Tensor | Narrow,
    x_scale: Tensor | Narrow,
    x_zero_point: Value | None = None,
    *,
    axis: int,
    block_size: int,
    output_dtype: int,
    context: Context,
) -> Tensor:
    dtype = torch_type(output_dtype, context) if output_dtype else None
    return dequantised(x, x_scale, x_zero_point, axis=axis, block=block_size, dtype=dtype)


@operator("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(x: Tensor, *, context: Context) -> tuple[Tensor | Narrow, Tensor, Tensor]:
    low = x.min().clamp(max=0)
    high = x.max().clamp(min=0)
    scale = (high - low) / 255
    safe = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero = (-low.detach() / safe.detach()).round().clamp(0, 255)
    y = quantised(x / safe, zero, TensorProto.UINT8, through=context.straight_through)
    return y, scale, zero.to(TORCH_TYPES[TensorProto.UINT8])
