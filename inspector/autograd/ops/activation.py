"""Activation functions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name everybody knows
from torch import Tensor

from inspector.autograd.registry import operator
from inspector.autograd.worlds import is_transformed

__all__: list[str] = []


@operator("Relu", since=1)
@operator("Relu", since=6)
def relu(x: Tensor) -> Tensor:
    return torch.relu(x)


@operator("LeakyRelu", since=1)
@operator("LeakyRelu", since=6)
def leaky_relu(x: Tensor, *, alpha: float) -> Tensor:
    return F.leaky_relu(x, alpha)


@operator("PRelu", since=7)
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)


@operator("PRelu", since=1)
@operator("PRelu", since=6)
def prelu_1(x: Tensor, slope: Tensor) -> Tensor:
    if slope.ndim == 1 and slope.numel() > 1 and x.ndim > 1:
        slope = slope.reshape(-1, *([1] * (x.ndim - 2)))
    return prelu(x, slope)


@operator("Elu", since=1)
@operator("Elu", since=6)
def elu(x: Tensor, *, alpha: float) -> Tensor:
    return F.elu(x, alpha)


@operator("Celu", since=12)
def celu(x: Tensor, *, alpha: float) -> Tensor:
    return F.celu(x, alpha)


@operator("Selu", since=1)
@operator("Selu", since=6)
def selu(x: Tensor, *, alpha: float, gamma: float) -> Tensor:
    return gamma * F.elu(x, alpha)


@operator("ThresholdedRelu", since=10)
def thresholded_relu(x: Tensor, *, alpha: float) -> Tensor:
    return F.threshold(x, alpha, 0.0)


@operator("Shrink", since=9)
def shrink(x: Tensor, *, bias: float, lambd: float) -> Tensor:
    zero = torch.zeros_like(x)
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, zero)).to(x.dtype)


@operator("Sigmoid", since=1)
@operator("Sigmoid", since=6)
def sigmoid(x: Tensor) -> Tensor:
    return torch.sigmoid(x)


@operator("HardSigmoid", since=1)
@operator("HardSigmoid", since=6)
def hard_sigmoid(x: Tensor, *, alpha: float, beta: float) -> Tensor:
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


@operator("HardSwish", since=14)
def hard_swish(x: Tensor) -> Tensor:
    return F.hardswish(x)


@operator("Tanh", since=1)
@operator("Tanh", since=6)
def tanh(x: Tensor) -> Tensor:
    return torch.tanh(x)


@operator("Softplus", since=1)
def softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


@operator("Softsign", since=1)
def softsign(x: Tensor) -> Tensor:
    return F.softsign(x)


@operator("Mish", since=18)
def mish(x: Tensor) -> Tensor:
    return F.mish(x)


@operator("Swish", since=24)
def swish(x: Tensor, *, alpha: float) -> Tensor:
    return x * torch.sigmoid(alpha * x)


@operator("Gelu", since=20)
def gelu(x: Tensor, *, approximate: str) -> Tensor:
    return F.gelu(x, approximate=approximate)


class MaskedSoftmax(torch.autograd.Function):
    """Softmax whose rows of -inf alone, NaN by definition, pass back 0: a later Where often hides them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, axis: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        y = torch.softmax(x, axis)
        ctx.save_for_backward(y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (y,) = ctx.saved_tensors
        hidden = torch.isnan(y.narrow(ctx.axis, 0, min(1, y.shape[ctx.axis])))  # a row is NaN as a whole
        back = torch.ops.aten._softmax_backward_data(gradient, y, ctx.axis, y.dtype)
        return back.masked_fill(hidden, 0.0), None


@operator("Softmax", since=13)
def softmax(x: Tensor, *, axis: int) -> Tensor:
    if not is_transformed() or not x.numel():
        return MaskedSoftmax.apply(x, axis)  # pyright: ignore[reportReturnType]
    hidden = ~x.amax(axis, keepdim=True).isfinite()
    return torch.softmax(x.masked_fill(hidden, 0.0), axis).masked_fill(hidden, torch.nan)


@operator("LogSoftmax", since=13)
def log_softmax(x: Tensor, *, axis: int) -> Tensor:
    return torch.log_softmax(x, axis)


@operator("Hardmax", since=13, differentiable=False)
def hardmax(x: Tensor, *, axis: int) -> Tensor:
    first = torch.argmax(x, axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, first, 1.0)


def _flat(x: Tensor, axis: int) -> Tensor:
    """The 2-D view that softmax had before opset 13."""
    rows = x.shape[: axis + x.ndim if axis < 0 else axis].numel()
    return x.reshape(rows, -1)


@operator("Softmax", since=1)
@operator("Softmax", since=11)
def softmax_1(x: Tensor, *, axis: int) -> Tensor:
    return torch.softmax(_flat(x, axis), 1).reshape(x.shape)


@operator("LogSoftmax", since=1)
@operator("LogSoftmax", since=11)
def log_softmax_1(x: Tensor, *, axis: int) -> Tensor:
    return torch.log_softmax(_flat(x, axis), 1).reshape(x.shape)


@operator("Hardmax", since=1, differentiable=False)
@operator("Hardmax", since=11, differentiable=False)
def hardmax_1(x: Tensor, *, axis: int) -> Tensor:
    return hardmax(_flat(x, axis), axis=1).reshape(x.shape)
