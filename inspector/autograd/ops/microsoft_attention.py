"""How do the attention operators of com.microsoft compute? Attention, MultiHeadAttention, QAttention.

Inside, queries, keys and values are (n, heads, tokens, head size). Padding masks add `mask_filter_value`
(-10000) as ONNX Runtime does, so a fully masked row stays finite and so does its gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.autograd.narrow import Value
from inspector.autograd.ops.quantized_math import centred
from inspector.autograd.registry import operator

DOMAIN = "com.microsoft"
MASK_FILTER = -10000.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How scores become weights: scale (None: 1/√head size), causal or not, the value a padding mask adds."""

    scale: float | None = None
    causal: bool = False
    fill: float = MASK_FILTER


def heads(x: Tensor, count: int) -> Tensor:
    """(n, tokens, hidden) → (n, heads, tokens, head size)."""
    return x.reshape(x.shape[0], x.shape[1], count, -1).transpose(1, 2)


def merged(x: Tensor) -> Tensor:
    """(n, heads, tokens, head size) → (n, tokens, hidden)."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)


def attend(q: Tensor, k: Tensor, v: Tensor, rules: Rules, *biases: Tensor | None) -> tuple[Tensor, Tensor]:
    """softmax(scale × q kᵀ + biases) v, and the scores before the softmax."""
    scale = 1 / math.sqrt(q.shape[-1]) if rules.scale is None else rules.scale
    scores = (q * scale) @ k.transpose(-1, -2)
    for bias in biases:
        scores = scores if bias is None else scores + bias
    if rules.causal:
        past = k.shape[-2] - q.shape[-2]
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(past + 1)
        scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
    return torch.softmax(scores, -1) @ v, scores


def padding(mask: Tensor | None, q: Tensor, total: int, fill: float) -> Tensor | None:
    """A mask of any of the accepted forms as something to add to (n, heads, queries, keys)."""
    if mask is None:
        return None
    n = q.shape[0]
    if mask.ndim == 1:
        place = torch.arange(total, device=mask.device)
        if mask.shape[0] == n:
            keep = place < mask.unsqueeze(1)
        elif mask.shape[0] == 2 * n:
            keep = (place < mask[:n].unsqueeze(1)) & (place >= mask[n:].unsqueeze(1))
        elif mask.shape[0] == 3 * n + 2:
            keep = place < mask[:n].unsqueeze(1)
        else:
            raise ValueError(f"a mask of {mask.shape[0]} entries fits no batch of {n}")
        keep = keep[:, None, None, :]
    elif mask.ndim == 2:
        keep = (mask != 0)[:, None, None, :]
    elif mask.ndim == 3:
        keep = (mask != 0)[:, None]
    else:
        keep = (mask != 0)[:, :, -q.shape[-2] :, :total]
    return torch.where(keep, 0.0, fill).to(q.dtype)


def _attention(
    projected: Tensor,
    sizes: list[int],
    count: int,
    mask: Tensor | None,
    past: Tensor | None,
    bias: Tensor | None,
    rules: Rules,
) -> tuple[Tensor, Tensor]:
    """Self-attention from a joint projection (n, tokens, q + k + v); the present state is (2, n, …)."""
    q, k, v = (heads(part, count) for part in projected.split(sizes, dim=-1))
    if past is not None:
        k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
    pad = padding(mask, q, k.shape[2], rules.fill)
    y, _ = attend(q, k, v, rules, pad, bias)
    present = torch.stack([k, v]) if k.shape == v.shape else torch.empty(0)
    return merged(y), present


@operator("Attention", since=1, domain=DOMAIN)
def attention(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    mask_index: Tensor | None = None,
    past: Tensor | None = None,
    attention_bias: Tensor | None = None,
    past_sequence_length: Tensor | None = None,
    *,
    num_heads: int,
    do_rotary: int = 0,
    mask_filter_value: float = MASK_FILTER,
    past_present_share_buffer: int = 0,
    qkv_hidden_sizes: list[int] | None = None,
    rotary_embedding_dim: int = 0,
    scale: float | None = None,
    unidirectional: int = 0,
) -> tuple[Tensor, Tensor]:
    if do_rotary or past_present_share_buffer:
        raise NotImplementedError("do_rotary and past_present_share_buffer exist on CUDA only")
    projected = x @ weights if bias is None else x @ weights + bias
    sizes = qkv_hidden_sizes or [projected.shape[-1] // 3] * 3
    rules = Rules(scale or None, bool(unidirectional), mask_filter_value)
    return _attention(projected, sizes, num_heads, mask_index, past, attention_bias, rules)


@operator("QAttention", since=1, domain=DOMAIN)
def quantised_attention(
    x: Value,
    weight: Value,
    bias: Tensor,
    input_scale: Tensor,
    weight_scale: Tensor,
    mask_index: Tensor | None = None,
    input_zero_point: Value | None = None,
    weight_zero_point: Value | None = None,
    past: Tensor | None = None,
    *,
    num_heads: int,
    do_rotary: int = 0,
    mask_filter_value: float = MASK_FILTER,
    past_present_share_buffer: int = 0,
    scale: float | None = None,
    unidirectional: int = 0,
) -> tuple[Tensor, Tensor]:
    if do_rotary or past_present_share_buffer:
        raise NotImplementedError("do_rotary and past_present_share_buffer exist on CUDA only")
    total = centred(x, input_zero_point) @ centred(weight, weight_zero_point, -1)
    projected = total.to(bias.dtype) * (input_scale * weight_scale) + bias
    rules = Rules(scale or None, bool(unidirectional), mask_filter_value)
    sizes = [projected.shape[-1] // 3] * 3
    return _attention(projected, sizes, num_heads, mask_index, past, None, rules)


def _unpacked(
    query: Tensor, key: Tensor | None, value: Tensor | None, bias: Tensor | None, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values by head from any of the packings, each with its part of the bias."""
    if query.ndim == 5:
        q, k, v = (part.transpose(1, 2) for part in query.unbind(3))
    elif key is None:
        raise ValueError("key is missing and query is not packed (n, tokens, heads, 3, head size)")
    else:
        q = heads(query, count)
        if key.ndim == 5:
            k, v = (part.transpose(1, 2) for part in key.unbind(3))
        elif value is None:
            raise ValueError("value is missing and key is not packed (n, tokens, heads, 2, head size)")
        else:
            k = key if key.ndim == 4 else heads(key, count)
            v = value if value.ndim == 4 else heads(value, count)
    if bias is None:
        return q, k, v
    parts = bias.split([count * q.shape[-1], count * q.shape[-1], count * v.shape[-1]])
    bq, bk, bv = (part.reshape(count, 1, -1) for part in parts)
    whole = key is not None and key.ndim == 4
    return q + bq, k if whole else k + bk, v if whole else v + bv


@operator("MultiHeadAttention", since=1, domain=DOMAIN)
def multi_head_attention(
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    bias: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
    attention_bias: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    past_sequence_length: Tensor | None = None,
    cache_indirection: Tensor | None = None,
    *,
    num_heads: int,
    mask_filter_value: float = MASK_FILTER,
    scale: float | None = None,
    unidirectional: int = 0,
) -> tuple[Tensor, ...]:
    if cache_indirection is not None:
        raise NotImplementedError("cache_indirection belongs to beam search and is not supported")
    q, k, v = _unpacked(query, key, value, bias, num_heads)
    if past_key is not None and past_value is not None:
        k, v = torch.cat([past_key, k], 2), torch.cat([past_value, v], 2)
    rules = Rules(scale or None, bool(unidirectional), mask_filter_value)
    pad = padding(key_padding_mask, q, k.shape[2], rules.fill)
    y, scores = attend(q, k, v, rules, pad, attention_bias)
    return merged(y), k, v, scores
