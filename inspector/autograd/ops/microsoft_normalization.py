"""How do the fused normalisations of transformer files compute? Skip, simplified, embedding and group."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd.registry import operator

DOMAIN = "com.microsoft"


def layer_normalised(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised over the last axis; also the mean and the inverse standard deviation."""
    mean = x.mean(-1, keepdim=True)
    inverse = torch.rsqrt(x.var(-1, unbiased=False, keepdim=True) + epsilon)
    y = (x - mean) * inverse
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta, mean, inverse


def root_normalised(x: Tensor, gamma: Tensor, epsilon: float, axis: int = -1) -> tuple[Tensor, Tensor]:
    """Divided by the root of the mean square over the axes from `axis` on; also the inverse root."""
    axes = list(range(axis % x.ndim, x.ndim))
    inverse = torch.rsqrt(x.square().mean(axes, keepdim=True) + epsilon)
    return x * inverse * gamma, inverse


@operator("SimplifiedLayerNormalization", since=1)
@operator("SimplifiedLayerNormalization", since=1, domain=DOMAIN)
def simplified_layer_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Tensor, Tensor]:
    return root_normalised(x, scale, epsilon, axis)


@operator("SkipLayerNormalization", since=1, domain=DOMAIN)
def skip_layer_normalization(
    x: Tensor,
    skip: Tensor,
    gamma: Tensor,
    beta: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[Tensor, ...]:
    total = x + skip if bias is None else x + skip + bias
    return *layer_normalised(total, gamma, beta, epsilon), total


@operator("SkipSimplifiedLayerNormalization", since=1, domain=DOMAIN)
def skip_simplified_layer_normalization(
    x: Tensor, skip: Tensor, gamma: Tensor, bias: Tensor | None = None, *, epsilon: float = 1e-12
) -> tuple[Tensor | None, ...]:
    total = x + skip if bias is None else x + skip + bias
    y, inverse = root_normalised(total, gamma, epsilon)
    return y, None, inverse, total


@operator("EmbedLayerNormalization", since=1, domain=DOMAIN)
def embed_layer_normalization(
    input_ids: Tensor,
    segment_ids: Tensor | None,
    word: Tensor,
    position: Tensor,
    segment: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    mask: Tensor | None = None,
    position_ids: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
    mask_index_type: int = 0,
) -> tuple[Tensor, ...]:
    """Embeddings of words, places and segments added and normalised, (n, tokens, hidden)."""
    places = torch.arange(input_ids.shape[1], device=word.device) if position_ids is None else position_ids
    total = word[input_ids.long()] + position[places.long()]
    if segment is not None and segment_ids is not None:
        total = total + segment[segment_ids.long()]
    if mask is None:
        index = torch.zeros(input_ids.shape[0], dtype=torch.int32, device=word.device)
    else:
        index = (mask == 1).sum(1).to(torch.int32)
    return layer_normalised(total, gamma, beta, epsilon)[0], index, total


def _grouped(
    x: Tensor, gamma: Tensor, beta: Tensor, groups: int, epsilon: float, activation: int, last: int
) -> Tensor:
    x = x.movedim(-1, 1) if last else x
    y = functional.group_norm(x, groups, gamma.to(x.dtype), beta.to(x.dtype), epsilon)
    y = functional.silu(y) if activation else y
    return y.movedim(1, -1) if last else y


@operator("GroupNorm", since=1, domain=DOMAIN)
def group_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    *,
    activation: int,
    groups: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
) -> Tensor:
    return _grouped(x, gamma, beta, groups, epsilon, activation, channels_last)


@operator("SkipGroupNorm", since=1, domain=DOMAIN)
def skip_group_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    skip: Tensor,
    bias: Tensor | None = None,
    *,
    activation: int,
    groups: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    if skip.ndim == 2:
        skip = skip[:, None, None, :] if channels_last else skip[:, :, None, None]
    if bias is not None and not channels_last:
        bias = bias.reshape(-1, 1, 1)
    total = x + skip if bias is None else x + skip + bias
    return _grouped(total, gamma, beta, groups, epsilon, activation, channels_last), total
