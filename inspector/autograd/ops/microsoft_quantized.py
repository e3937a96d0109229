"""How do ONNX Runtime's quantised operators compute? QLinear* and MatMulNBits: read, compute, round."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd.narrow import Narrow, Value, element_type, widen
from inspector.autograd.ops.microsoft_fused import convolve
from inspector.autograd.ops.quantization import dequantised, quantised
from inspector.autograd.ops.quantized_math import along, centred, requantised
from inspector.autograd.registry import Context, find, operator

DOMAIN = "com.microsoft"


def read(x: Value, scale: Tensor, zero: Value | None) -> Tensor:
    """The real numbers behind a quantised tensor."""
    assert isinstance(x, Tensor | Narrow)
    return dequantised(x, scale, zero)


def write(y: Tensor, scale: Tensor, zero: Value | None, like: Value, context: Context) -> Tensor | Narrow:
    """Real numbers rounded to the type of the zero point (or of `like` without one)."""
    assert isinstance(zero, Tensor | Narrow | None)
    assert isinstance(like, Tensor | Narrow)
    offset = None if zero is None else widen(zero).reshape(())
    kind = element_type(like if zero is None else zero)
    return quantised(y / scale, offset, kind, through=context.straight_through)


@operator("QuantizeLinear", since=1, domain=DOMAIN)
def quantize_linear(
    x: Tensor, scale: Tensor, zero: Value | None = None, *, axis: int = 1, context: Context
) -> Any:
    plain = find("QuantizeLinear", "", 13)
    assert plain is not None
    return plain.function(x, scale, zero, axis=axis, context=context)


@operator("DequantizeLinear", since=1, domain=DOMAIN)
def dequantize_linear(
    x: Tensor | Narrow, scale: Tensor, zero: Value | None = None, *, axis: int = 1
) -> Tensor:
    return dequantised(x, scale, zero, axis=axis)


@operator("QLinearAdd", since=1, domain=DOMAIN)
def qlinear_add(
    a: Value,
    a_scale: Tensor,
    a_zero: Value | None,
    b: Value,
    b_scale: Tensor,
    b_zero: Value | None,
    scale: Tensor,
    zero: Value | None = None,
    *,
    context: Context,
) -> Tensor | Narrow:
    return write(read(a, a_scale, a_zero) + read(b, b_scale, b_zero), scale, zero, a, context)


@operator("QLinearMul", since=1, domain=DOMAIN)
def qlinear_mul(
    a: Value,
    a_scale: Tensor,
    a_zero: Value | None,
    b: Value,
    b_scale: Tensor,
    b_zero: Value | None,
    scale: Tensor,
    zero: Value | None = None,
    *,
    context: Context,
) -> Tensor | Narrow:
    return write(read(a, a_scale, a_zero) * read(b, b_scale, b_zero), scale, zero, a, context)


@operator("QLinearSigmoid", since=1, domain=DOMAIN)
def qlinear_sigmoid(
    x: Value,
    x_scale: Tensor,
    x_zero: Value | None,
    scale: Tensor,
    zero: Value | None = None,
    *,
    context: Context,
) -> Tensor | Narrow:
    return write(torch.sigmoid(read(x, x_scale, x_zero)), scale, zero, x, context)


@operator("QLinearLeakyRelu", since=1, domain=DOMAIN)
def qlinear_leaky_relu(
    x: Value,
    x_scale: Tensor,
    x_zero: Value | None,
    scale: Tensor,
    zero: Value | None = None,
    *,
    alpha: float = 0.01,
    context: Context,
) -> Tensor | Narrow:
    return write(functional.leaky_relu(read(x, x_scale, x_zero), alpha), scale, zero, x, context)


@operator("QLinearSoftmax", since=1, domain=DOMAIN)
def qlinear_softmax(
    x: Value,
    x_scale: Tensor,
    x_zero: Value | None,
    scale: Tensor,
    zero: Value | None = None,
    *,
    opset: int,
    axis: int = -1,
    context: Context,
) -> Tensor | Narrow:
    """Before opset 13 the softmax runs over all axes from `axis` on."""
    real = read(x, x_scale, x_zero)
    if opset >= 13:
        return write(torch.softmax(real, axis), scale, zero, x, context)
    flat = real.reshape(*real.shape[: axis % real.ndim], -1)
    return write(torch.softmax(flat, -1).reshape(real.shape), scale, zero, x, context)


@operator("QLinearConcat", since=1, domain=DOMAIN)
def qlinear_concat(scale: Tensor, zero: Value, *inputs: Any, axis: int, context: Context) -> Tensor | Narrow:
    parts = [read(inputs[i], inputs[i + 1], inputs[i + 2]) for i in range(0, len(inputs), 3)]
    return write(torch.cat(parts, axis), scale, zero, inputs[0], context)


@operator("QLinearWhere", since=1, domain=DOMAIN)
def qlinear_where(
    condition: Tensor,
    x: Value,
    x_scale: Tensor,
    x_zero: Value,
    y: Value,
    y_scale: Tensor,
    y_zero: Value,
    scale: Tensor,
    zero: Value,
    *,
    context: Context,
) -> Tensor | Narrow:
    chosen = torch.where(condition, read(x, x_scale, x_zero), read(y, y_scale, y_zero))
    return write(chosen, scale, zero, x, context)


@operator("QLinearGlobalAveragePool", since=1, domain=DOMAIN)
def qlinear_global_average_pool(
    x: Value,
    x_scale: Tensor,
    x_zero: Value,
    scale: Tensor,
    zero: Value,
    *,
    channels_last: int = 0,
    context: Context,
) -> Tensor | Narrow:
    real = read(x, x_scale, x_zero)
    axes = list(range(1, real.ndim - 1)) if channels_last else list(range(2, real.ndim))
    return write(real.mean(axes, keepdim=True), scale, zero, x, context)


@operator("QLinearAveragePool", since=1, domain=DOMAIN)
def qlinear_average_pool(
    x: Value,
    x_scale: Tensor,
    x_zero: Value | None,
    scale: Tensor,
    zero: Value | None = None,
    *,
    kernel_shape: list[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    channels_last: int = 0,
    count_include_pad: int = 0,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
    context: Context,
) -> Tensor | Narrow:
    pool = find("AveragePool", "", 11)
    assert pool is not None
    real = read(x, x_scale, x_zero)
    y = pool.function(
        real.movedim(-1, 1) if channels_last else real,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )
    return write(y.movedim(1, -1) if channels_last else y, scale, zero, x, context)


@operator("QLinearConv", since=1, domain=DOMAIN)
def qlinear_conv(
    x: Value,
    x_scale: Tensor,
    x_zero: Value,
    w: Value,
    w_scale: Tensor,
    w_zero: Value,
    scale: Tensor,
    zero: Value,
    bias: Tensor | None = None,
    *,
    channels_last: int = 0,
    context: Context,
    **attributes: Any,
) -> Tensor | Narrow:
    whole = centred(x, x_zero)
    whole = whole.movedim(-1, 1) if channels_last else whole
    total = convolve(whole, centred(w, w_zero, 0), None, attributes)
    if bias is not None:
        total = total + along(bias.double(), total.ndim, 1)
    factor = x_scale * along(w_scale, total.ndim, 1) / scale
    if not channels_last:
        return requantised(total, factor, zero, context)
    moved = factor.movedim(1, -1) if factor.ndim else factor
    return requantised(total.movedim(1, -1), moved, zero, context)


@operator("QGemm", since=1, domain=DOMAIN)
def qgemm(
    a: Value,
    a_scale: Tensor,
    a_zero: Value,
    b: Value,
    b_scale: Tensor,
    b_zero: Value,
    c: Tensor | None = None,
    scale: Tensor | None = None,
    zero: Value | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    context: Context,
) -> Tensor | Narrow:
    left, right = centred(a, a_zero), centred(b, b_zero, 0 if transB else -1)
    total = (left.T if transA else left) @ (right.T if transB else right)
    total = total if c is None else total + c.double()
    factor = alpha * a_scale * b_scale
    if scale is None or zero is None:
        return total.to(factor.dtype) * factor
    return requantised(total, factor / scale, zero, context)


@operator("MatMulIntegerToFloat", since=1, domain=DOMAIN)
def matmul_integer_to_float(
    a: Value,
    b: Value,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Value | None = None,
    b_zero: Value | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    total = centred(a, a_zero, -2) @ centred(b, b_zero, -1)
    y = total.to(a_scale.dtype) * (along(a_scale, total.ndim, -2) * along(b_scale, total.ndim, -1))
    return y if bias is None else y + bias


@operator("DynamicQuantizeMatMul", since=1, domain=DOMAIN)
def dynamic_quantize_matmul(
    a: Tensor,
    b: Value,
    b_scale: Tensor,
    b_zero: Value | None = None,
    bias: Tensor | None = None,
    *,
    context: Context,
) -> Tensor:
    dynamic = find("DynamicQuantizeLinear", "", 11)
    assert dynamic is not None
    whole, scale, zero = dynamic.function(a, context=context)
    return matmul_integer_to_float(whole, b, scale, b_scale, zero, b_zero, bias)


def unpacked(packed: Tensor, bits: int) -> Tensor:
    """The `bits`-wide numbers in each byte, lowest first: the last axis grows by 8 / bits."""
    shifts = torch.arange(0, 8, bits, device=packed.device, dtype=torch.int32)
    split = (packed.to(torch.int32).unsqueeze(-1) >> shifts) & ((1 << bits) - 1)
    return split.flatten(-2)


@operator("MatMulNBits", since=1, domain=DOMAIN)
def matmul_nbits(
    a: Tensor,
    b: Tensor,
    scales: Tensor,
    zero_points: Tensor | None = None,
    g_idx: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    K: int,
    N: int,
    block_size: int,
    accuracy_level: int = 0,
    bits: int = 4,
    weight_prepacked: int = 0,
) -> Tensor:
    """A @ Wᵀ where W (N, K) is stored in blocks of `block_size` numbers of `bits` bits along K."""
    if weight_prepacked:
        raise NotImplementedError("weight_prepacked is a device layout; re-quantise the original weights")
    blocks = math.ceil(K / block_size)
    whole = unpacked(b.reshape(N, blocks, -1), bits)[..., :block_size].to(scales.dtype)
    if zero_points is None:
        zero: Tensor | float = float(1 << (bits - 1))
    elif zero_points.is_floating_point():
        zero = zero_points.reshape(N, blocks, 1)
    else:
        zero = unpacked(zero_points.reshape(N, -1), bits)[:, :blocks].unsqueeze(-1)
    if g_idx is None:
        weight = ((whole - zero) * scales.reshape(N, blocks, 1)).reshape(N, -1)[:, :K]
    else:
        group = g_idx.long()[:K]
        offset = zero.expand(N, blocks, 1)[:, group, 0] if isinstance(zero, Tensor) else zero
        weight = (whole.reshape(N, -1)[:, :K] - offset) * scales.reshape(N, blocks)[:, group]
    return functional.linear(a, weight.to(a.dtype), bias)


@operator("GatherBlockQuantized", since=1, domain=DOMAIN)
def gather_block_quantized(
    data: Value,
    indices: Tensor,
    scales: Tensor,
    zero_points: Value | None = None,
    *,
    bits: int = 4,
    block_size: int = 128,
    gather_axis: int = 0,
    quantize_axis: int = 1,
) -> Tensor:
    """Rows of a table stored in blocks of `block_size` numbers along `quantize_axis`: only these are read."""
    assert isinstance(data, Tensor | Narrow)
    packed = isinstance(data, Tensor) and data.dtype == torch.uint8
    gather = find("Gather", "", 13)
    assert gather is not None
    rank = data.ndim
    if gather_axis % rank == quantize_axis % rank:
        raise ValueError(f"gather_axis and quantize_axis are both {gather_axis}; rows hold whole blocks")

    def rows(stored: Value, length: int | None = None) -> Tensor:
        assert isinstance(stored, Tensor | Narrow)
        picked: Value = gather.function(stored, indices, axis=gather_axis)
        assert isinstance(picked, Tensor | Narrow)
        whole = unpacked(widen(picked), bits) if packed else widen(picked)
        return whole if length is None else whole[..., :length]

    axis = quantize_axis % rank
    axis += indices.ndim - 1 if axis > gather_axis % rank else 0
    factor: Tensor = gather.function(scales, indices, axis=gather_axis)
    whole = rows(data)

    def spread(blocks: Tensor) -> Tensor:
        return blocks.repeat_interleave(block_size, axis).narrow(axis, 0, whole.shape[axis])

    middle = 1 << (bits - 1) if packed else 0
    offset = middle if zero_points is None else spread(rows(zero_points, factor.shape[-1]).to(torch.int32))
    return (whole.to(torch.int32) - offset).to(scales.dtype) * spread(factor)
