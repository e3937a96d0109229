"""Normalisation by statistics of the batch, the channel, the group or the layer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  the name everybody knows
from torch import Tensor

from inspector.autograd.narrow import TORCH_TYPES
from inspector.autograd.registry import Context, operator

__all__: list[str] = []


def _channels(v: Tensor, rank: int) -> Tensor:
    return v.reshape(1, -1, *([1] * (rank - 2))) if rank > 1 else v


def _apply(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, epsilon: float) -> Tensor:
    same = x.dtype == scale.dtype == mean.dtype
    if same and x.ndim > 1 and not (mean.requires_grad or var.requires_grad) and x.numel():
        return F.batch_norm(x, mean, var, scale, bias, False, 0.0, epsilon)
    factor = scale / torch.sqrt(var + epsilon)
    y = (x - _channels(mean, x.ndim)) * _channels(factor, x.ndim) + _channels(bias, x.ndim)
    return y.to(x.dtype)


def _trained(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, epsilon: float, momentum: float
) -> tuple[Tensor, Tensor, Tensor]:
    dims = [d for d in range(x.ndim) if d != 1]
    work = x.to(mean.dtype)
    now_mean, now_var = work.mean(dims), work.var(dims, correction=0)
    y = (work - _channels(now_mean, x.ndim)) / torch.sqrt(_channels(now_var, x.ndim) + epsilon)
    y = (y * _channels(scale, x.ndim) + _channels(bias, x.ndim)).to(x.dtype)
    return y, mean * momentum + now_mean * (1 - momentum), var * momentum + now_var * (1 - momentum)


@operator("BatchNormalization", since=14)
@operator("BatchNormalization", since=15)
def batch_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float,
    momentum: float,
    training_mode: int,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    if training_mode:
        return _trained(x, scale, bias, mean, var, epsilon, momentum)
    return _apply(x, scale, bias, mean, var, epsilon)


@operator("BatchNormalization", since=9)
def batch_normalization_9(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float,
    momentum: float,
    context: Context,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    if len([name for name in context.outputs if name]) > 1:
        return _trained(x, scale, bias, mean, var, epsilon, momentum)
    return _apply(x, scale, bias, mean, var, epsilon)


@operator("BatchNormalization", since=7)
def batch_normalization_7(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float,
    momentum: float,
    spatial: int,
    context: Context,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    if not spatial:
        return (x - mean) / torch.sqrt(var + epsilon) * scale + bias
    return batch_normalization_9(
        x, scale, bias, mean, var, epsilon=epsilon, momentum=momentum, context=context
    )


@operator("BatchNormalization", since=1)
@operator("BatchNormalization", since=6)
def batch_normalization_1(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float,
    is_test: int,
    momentum: float,
    spatial: int,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    if not spatial:
        return (x - mean) / torch.sqrt(var + epsilon) * scale + bias
    if is_test:
        return _apply(x, scale, bias, mean, var, epsilon)
    return _trained(x, scale, bias, mean, var, epsilon, momentum)


@operator("InstanceNormalization", since=1)
@operator("InstanceNormalization", since=6)
@operator("InstanceNormalization", since=22)
def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float) -> Tensor:
    dims = tuple(range(2, x.ndim))
    y = _standardised(x, dims, epsilon)
    return y * _channels(scale, x.ndim) + _channels(bias, x.ndim)


def _standardised(x: Tensor, dims: tuple[int, ...], epsilon: float) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(dims, keepdim=True) + epsilon)


@operator("LayerNormalization", since=17)
def layer_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int,
    epsilon: float,
    stash_type: int,
    context: Context,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    start = axis % x.ndim
    shape = x.shape[start:]
    precise = TORCH_TYPES[stash_type]
    fits = scale.shape == shape and (bias is None or bias.shape == shape) and scale.dtype == x.dtype
    if len(context.outputs) == 1 and fits and precise == x.dtype:
        return F.layer_norm(x, shape, scale, bias, epsilon)
    dims = tuple(range(start, x.ndim))
    work = x.to(precise)
    mean = work.mean(dims, keepdim=True)
    centred = work - mean
    deviation = torch.rsqrt((centred * centred).mean(dims, keepdim=True) + epsilon)
    y = (centred * deviation).to(x.dtype) * scale
    return (y if bias is None else y + bias), mean, deviation


@operator("RMSNormalization", since=23)
def rms_normalization(x: Tensor, scale: Tensor, *, axis: int, epsilon: float, stash_type: int) -> Tensor:
    work = x.to(TORCH_TYPES[stash_type])
    dims = tuple(range(axis % x.ndim, x.ndim))
    y = work * torch.rsqrt((work * work).mean(dims, keepdim=True) + epsilon)
    return y.to(x.dtype) * scale


@operator("GroupNormalization", since=21)
def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float, num_groups: int, stash_type: int
) -> Tensor:
    work = x.to(TORCH_TYPES[stash_type])
    y = F.group_norm(work, num_groups, eps=epsilon).to(x.dtype)
    return y * _channels(scale, x.ndim) + _channels(bias, x.ndim)


@operator("GroupNormalization", since=18)
def group_normalization_18(
    x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float, num_groups: int
) -> Tensor:
    each = x.shape[1] // num_groups
    y = F.group_norm(x, num_groups, eps=epsilon)
    return y * _channels(scale.repeat_interleave(each), x.ndim) + _channels(
        bias.repeat_interleave(each), x.ndim
    )


@operator("MeanVarianceNormalization", since=9)
def mean_variance_normalization(x: Tensor, *, axes: list[int]) -> Tensor:
    dims = tuple(axes)
    centred = x - x.mean(dims, keepdim=True)
    # the norm has a gradient of 0 at 0, where the root of a variance has none
    spread = torch.linalg.vector_norm(centred, 2, dims, keepdim=True)
    count = math.prod(x.shape[axis] for axis in dims)
    return centred / (spread / math.sqrt(count) + 1e-9)


@operator("LRN", since=1)
@operator("LRN", since=13)
def lrn(x: Tensor, *, alpha: float, beta: float, bias: float, size: int) -> Tensor:
    before = (size - 1) // 2
    after = size - 1 - before
    squares = (x * x).movedim(1, -1)
    total = F.pad(squares, (before, after)).unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / (bias + alpha / size * total) ** beta


@operator("LpNormalization", since=1)
@operator("LpNormalization", since=22)
def lp_normalization(x: Tensor, *, axis: int, p: int) -> Tensor:
    norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    zero = norm == 0
    return torch.where(zero, torch.zeros_like(x), x / torch.where(zero, torch.ones_like(norm), norm))
