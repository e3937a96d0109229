"""Where does chance come in? Random tensors, Bernoulli, Multinomial and Dropout, from one seeded generator.

A node's own `seed` makes that node the same in every run; without one its values come from the run's
generator. Values are drawn on the CPU, so that a seed means the same on every device.
"""

from __future__ import annotations

import struct

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from inspector.autograd.ops.casts import torch_type
from inspector.autograd.registry import Context, operator


def _own(seed: float) -> np.random.RandomState:
    """The generator of a node with a seed: numpy's old one, as in onnx's reference, for equal masks."""
    whole = int(seed) if float(seed).is_integer() else struct.unpack("<I", struct.pack("<f", seed))[0]
    return np.random.RandomState(whole % 2**32)


def _uniform(shape: list[int] | torch.Size, seed: float | None, context: Context) -> Tensor:
    if seed is not None:
        return torch.from_numpy(np.asarray(_own(seed).uniform(0, 1, tuple(shape))))
    source = context.generator
    return torch.rand(list(shape), generator=source, device=source.device, dtype=torch.float64)


def _normal(shape: list[int] | torch.Size, seed: float | None, context: Context) -> Tensor:
    if seed is not None:
        return torch.from_numpy(np.asarray(_own(seed).standard_normal(tuple(shape))))
    source = context.generator
    return torch.randn(list(shape), generator=source, device=source.device, dtype=torch.float64)


@operator("RandomUniform", since=1, differentiable=False)
def random_uniform(
    *, dtype: int, high: float, low: float, seed: float | None, shape: list[int], context: Context
) -> Tensor:
    values = low + (high - low) * _uniform(shape, seed, context)
    return values.to(context.device, torch_type(dtype, context), non_blocking=True)


@operator("RandomNormal", since=1, differentiable=False)
def random_normal(
    *, dtype: int, mean: float, scale: float, seed: float | None, shape: list[int], context: Context
) -> Tensor:
    values = mean + scale * _normal(shape, seed, context)
    return values.to(context.device, torch_type(dtype, context), non_blocking=True)


@operator("RandomUniformLike", since=1, differentiable=False)
def random_uniform_like(
    x: Tensor, *, dtype: int | None, high: float, low: float, seed: float | None, context: Context
) -> Tensor:
    values = low + (high - low) * _uniform(x.shape, seed, context)
    return values.to(x.device, torch_type(dtype, context) if dtype else x.dtype)


@operator("RandomNormalLike", since=1, differentiable=False)
def random_normal_like(
    x: Tensor, *, dtype: int | None, mean: float, scale: float, seed: float | None, context: Context
) -> Tensor:
    values = mean + scale * _normal(x.shape, seed, context)
    return values.to(x.device, torch_type(dtype, context) if dtype else x.dtype)


@operator("Bernoulli", since=15, differentiable=False)
def bernoulli(x: Tensor, *, dtype: int | None, seed: float | None, context: Context) -> Tensor:
    drawn = _uniform(x.shape, seed, context).to(x.device, non_blocking=True) < x
    return drawn.to(torch_type(dtype, context) if dtype else x.dtype)


@operator("Multinomial", since=7, differentiable=False)
def multinomial(x: Tensor, *, dtype: int, sample_size: int, seed: float | None, context: Context) -> Tensor:
    """Samples from unnormalised log-probabilities (n, classes)."""
    chances = torch.softmax(x.detach().double(), dim=1).cumsum(1)
    points = _uniform([x.shape[0], sample_size], seed, context).to(x.device, non_blocking=True)
    drawn = torch.searchsorted(chances, points, right=True).clamp(max=x.shape[1] - 1)
    return drawn.to(torch_type(dtype or TensorProto.INT32, context))


def _dropped(x: Tensor, ratio: float, seed: float | None, context: Context) -> tuple[Tensor, Tensor]:
    """The input with a share of its elements at zero and the rest scaled up, and which were kept."""
    kept = (_uniform(x.shape, seed, context) >= ratio).to(x.device, non_blocking=True)
    scale = 1 / (1 - ratio) if ratio < 1 else 0.0
    return torch.where(kept, x * scale, torch.zeros_like(x)), kept


@operator("Dropout", since=1)
def dropout_1(x: Tensor, *, is_test: int, ratio: float, context: Context) -> tuple[Tensor, Tensor]:
    if is_test:
        return x, torch.zeros_like(x)
    y, kept = _dropped(x, ratio, None, context)
    return y, kept.to(x.dtype)


@operator("Dropout", since=7)
def dropout_7(x: Tensor, *, ratio: float) -> tuple[Tensor, Tensor]:
    return x, torch.zeros_like(x)  # no mask is made in inference; ONNX Runtime fills in zeros


@operator("Dropout", since=10)
def dropout_10(x: Tensor, *, ratio: float) -> tuple[Tensor, Tensor]:
    return x, torch.zeros_like(x, dtype=torch.bool)


@operator("Dropout", since=12, host=(1, 2))
def dropout(
    x: Tensor,
    ratio: Tensor | None = None,
    training_mode: Tensor | None = None,
    *,
    seed: int | None,
    context: Context,
) -> tuple[Tensor, Tensor]:
    share = 0.5 if ratio is None else float(ratio)
    if training_mode is None or not bool(training_mode) or share == 0:
        return x, torch.ones_like(x, dtype=torch.bool)
    return _dropped(x, share, seed, context)
