"""How do operators on quantised tensors compute? MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv.

Whole numbers are multiplied in float64, where they are exact, so results are those of integer hardware,
and gradients flow through them under the straight-through rule.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from inspector.autograd.narrow import Narrow, Value, element_type, widen
from inspector.autograd.ops.quantization import quantised
from inspector.autograd.registry import Context, find, operator


def centred(x: Value, zero: Value | None, axis: int | None = None) -> Tensor:
    """The input minus its zero point in float64; a 1-D zero point runs along `axis`."""
    assert isinstance(x, Tensor | Narrow)
    wide = widen(x).double()
    if zero is None:
        return wide
    assert isinstance(zero, Tensor | Narrow)
    return wide - along(widen(zero).double(), wide.ndim, axis)


def along(parameter: Tensor, rank: int, axis: int | None) -> Tensor:
    """A scalar as it is, a 1-D parameter shaped to run along one axis, anything else as it is."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    if parameter.ndim == 1 and axis is not None:
        return parameter.reshape([-1 if place == axis % rank else 1 for place in range(rank)])
    return parameter


def whole(total: Tensor, context: Context) -> Tensor:
    """An exact sum as the int32 that integer operators return; a float tensor under straight-through."""
    return total.to(context.dtype) if context.straight_through else total.to(torch.int64).to(torch.int32)


def requantised(total: Tensor, scale: Tensor, zero: Value, context: Context) -> Tensor | Narrow:
    """An exact sum times a float32 scale, rounded into the type of the zero point."""
    assert isinstance(zero, Tensor | Narrow)
    work = torch.float64 if context.dtype == torch.float64 else torch.float32
    continuous = total.to(work) * scale.to(work)
    zero_point = widen(zero).reshape(()) if widen(zero).numel() == 1 else widen(zero)
    return quantised(continuous, zero_point, element_type(zero), through=context.straight_through)


def convolve(x: Tensor, w: Tensor, attributes: dict[str, Any]) -> Tensor:
    """A plain convolution with ONNX attributes."""
    conv = find("Conv", "", 11)
    assert conv is not None
    return conv.function(x, w, None, **attributes)


@operator("MatMulInteger", since=10)
def matmul_integer(
    a: Value,
    b: Value,
    a_zero_point: Value | None = None,
    b_zero_point: Value | None = None,
    *,
    context: Context,
) -> Tensor:
    return whole(centred(a, a_zero_point, -2) @ centred(b, b_zero_point, -1), context)


@operator("ConvInteger", since=10)
def conv_integer(
    x: Value,
    w: Value,
    x_zero_point: Value | None = None,
    w_zero_point: Value | None = None,
    *,
    auto_pad: str,
    dilations: list[int] | None,
    group: int,
    kernel_shape: list[int] | None,
    pads: list[int] | None,
    strides: list[int] | None,
    context: Context,
) -> Tensor:
    attributes = {
        "auto_pad": auto_pad,
        "dilations": dilations,
        "group": group,
        "kernel_shape": kernel_shape,
        "pads": pads,
        "strides": strides,
    }
    return whole(convolve(centred(x, x_zero_point), centred(w, w_zero_point, 0), attributes), context)


@operator("QLinearMatMul", since=10)
def qlinear_matmul(
    a: Value,
    a_scale: Tensor,
    a_zero_point: Value,
    b: Value,
    b_scale: Tensor,
    b_zero_point: Value,
    y_scale: Tensor,
    y_zero_point: Value,
    *,
    context: Context,
) -> Tensor | Narrow:
    total = centred(a, a_zero_point, -2) @ centred(b, b_zero_point, -1)
    rank = total.ndim
    factor = along(a_scale, rank, -2) * along(b_scale, rank, -1) / y_scale
    return requantised(total, factor, y_zero_point, context)


@operator("QLinearConv", since=10)
def qlinear_conv(
    x: Value,
    x_scale: Tensor,
    x_zero_point: Value,
    w: Value,
    w_scale: Tensor,
    w_zero_point: Value,
    y_scale: Tensor,
    y_zero_point: Value,
    bias: Tensor | None = None,
    *,
    auto_pad: str,
    dilations: list[int] | None,
    group: int,
    kernel_shape: list[int] | None,
    pads: list[int] | None,
    strides: list[int] | None,
    context: Context,
) -> Tensor | Narrow:
    attributes = {
        "auto_pad": auto_pad,
        "dilations": dilations,
        "group": group,
        "kernel_shape": kernel_shape,
        "pads": pads,
        "strides": strides,
    }
    total = convolve(centred(x, x_zero_point), centred(w, w_zero_point, 0), attributes)
    if bias is not None:
        total = total + along(bias.double(), total.ndim, 1)
    factor = x_scale * along(w_scale, total.ndim, 1) / y_scale
    return requantised(total, factor, y_zero_point, context)
