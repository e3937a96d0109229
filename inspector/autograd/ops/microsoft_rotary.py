"""How do decoder-only language models attend? RotaryEmbedding and GroupQueryAttention of com.microsoft."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.autograd.ops.microsoft_attention import heads, merged
from inspector.autograd.ops.microsoft_normalization import root_normalised
from inspector.autograd.registry import operator

DOMAIN = "com.microsoft"


def rotated(x: Tensor, places: Tensor, cos_cache: Tensor, sin_cache: Tensor, interleaved: bool) -> Tensor:
    """Pairs of entries of (n, heads, tokens, size) turned by the angle of their place (n, tokens).

    RoFormer (arXiv:2104.09864) eq. 34; only the first 2 × cache width entries turn.
    """
    cos = cos_cache[places.long()].unsqueeze(1).to(x.dtype)
    sin = sin_cache[places.long()].unsqueeze(1).to(x.dtype)
    width = 2 * cos.shape[-1]
    turning, rest = x[..., :width], x[..., width:]
    if interleaved:
        a, b = turning[..., 0::2], turning[..., 1::2]
        turned = torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    else:
        a, b = turning.chunk(2, dim=-1)
        turned = torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
    return torch.cat([turned, rest], -1)


@operator("RotaryEmbedding", since=1, domain=DOMAIN)
def rotary_embedding(
    x: Tensor,
    position_ids: Tensor,
    cos_cache: Tensor,
    sin_cache: Tensor,
    *,
    interleaved: int = 0,
    is_packed_batching: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    scale: float = 1.0,
) -> Tensor:
    if is_packed_batching:
        raise NotImplementedError("is_packed_batching exists on CUDA only")
    if x.ndim == 4:
        split = x
    else:
        split = heads(x, num_heads or x.shape[-1] // (2 * cos_cache.shape[-1]))
    tokens = torch.arange(split.shape[2], device=x.device)
    places = position_ids if position_ids.ndim == 2 else (position_ids + tokens).expand(x.shape[0], -1)
    turned = rotated(split, places, cos_cache, sin_cache, bool(interleaved))
    return turned if x.ndim == 4 else merged(turned)


@dataclass(frozen=True, slots=True)
class _Weighting:
    """How grouped queries weigh keys; `window` < 0 is all of the past, `softcap` 0 is none."""

    scale: float | None
    softcap: float
    window: int
    causal: bool
    smooth: bool


@operator("GroupQueryAttention", since=1, domain=DOMAIN)
def group_query_attention(
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    past_key: Tensor | None,
    past_value: Tensor | None,
    seqlens_k: Tensor,
    total_sequence_length: Tensor,
    cos_cache: Tensor | None = None,
    sin_cache: Tensor | None = None,
    position_ids: Tensor | None = None,
    attention_bias: Tensor | None = None,
    head_sink: Tensor | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    q_norm_weight: Tensor | None = None,
    k_norm_weight: Tensor | None = None,
    *,
    num_heads: int,
    kv_num_heads: int,
    causal: int = 1,
    do_rotary: int = 0,
    k_quant_type: str = "NONE",
    kv_cache_bit_width: int = 0,
    local_window_size: int = -1,
    qk_norm_epsilon: float = 1e-6,
    qk_output: int = 0,
    rotary_interleaved: int = 0,
    scale: float | None = None,
    sliding_window_cache: int = 0,
    smooth_softmax: int = -1,
    softcap: float = 0.0,
    v_quant_type: str = "NONE",
) -> tuple[Tensor, Tensor, Tensor]:
    if k_quant_type != "NONE" or v_quant_type != "NONE" or sliding_window_cache or qk_output:
        raise NotImplementedError("quantised or window-sized caches and qk_output are not supported")
    q, k, v = _split(query, key, value, num_heads, kv_num_heads)
    if q_norm_weight is not None and k_norm_weight is not None:
        q = root_normalised(q, q_norm_weight, qk_norm_epsilon)[0]
        k = root_normalised(k, k_norm_weight, qk_norm_epsilon)[0]
    tokens = q.shape[2]
    totals = seqlens_k.reshape(-1).long() + 1
    first = past_key is None or past_key.shape[2] == 0 or int(total_sequence_length) == tokens
    pasts = torch.zeros_like(totals) if first else totals - tokens
    places = pasts.unsqueeze(1) + torch.arange(tokens, device=q.device)
    if do_rotary:
        assert cos_cache is not None
        assert sin_cache is not None
        turn = places if position_ids is None else position_ids
        q = rotated(q, turn, cos_cache, sin_cache, bool(rotary_interleaved))
        k = rotated(k, turn, cos_cache, sin_cache, bool(rotary_interleaved))
    length = max(int(total_sequence_length), 0 if past_key is None else past_key.shape[2])
    present_k, present_v = _written(past_key, k, pasts, length), _written(past_value, v, pasts, length)
    rules = _Weighting(scale or None, softcap, local_window_size, bool(causal), smooth_softmax > 0)
    y = _weigh(q, present_k, present_v, places, totals, attention_bias, head_sink, rules)
    return merged(y), present_k, present_v


def _split(
    query: Tensor, key: Tensor | None, value: Tensor | None, count: int, shared: int
) -> tuple[Tensor, Tensor, Tensor]:
    if key is not None and value is not None:
        return heads(query, count), heads(key, shared), heads(value, shared)
    size = query.shape[-1] // (count + 2 * shared)
    q, k, v = query.split([count * size, shared * size, shared * size], -1)
    return heads(q, count), heads(k, shared), heads(v, shared)


def _written(past: Tensor | None, new: Tensor, pasts: Tensor, length: int) -> Tensor:
    """The cache (n, heads, length, size) with each row's new tokens behind its own past."""
    rows: list[Tensor] = []
    for number, start in enumerate(pasts.tolist()):
        kept = new[number, :, :0] if past is None else past[number, :, :start]
        row = torch.cat([kept, new[number]], 1)[:, :length]
        rows.append(torch.nn.functional.pad(row, (0, 0, 0, length - row.shape[1])))
    return torch.stack(rows)


def _weigh(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    places: Tensor,
    totals: Tensor,
    bias: Tensor | None,
    sink: Tensor | None,
    rules: _Weighting,
) -> Tensor:
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scale = 1 / math.sqrt(q.shape[-1]) if rules.scale is None else rules.scale
    scores = (q * scale) @ k.transpose(-1, -2)
    if rules.softcap:
        scores = rules.softcap * torch.tanh(scores / rules.softcap)
    if bias is not None:
        scores = scores + bias[..., : scores.shape[-1]]
    keys = torch.arange(k.shape[2], device=q.device)
    seen = keys < totals[:, None, None]
    if rules.causal:
        seen = keys <= places.unsqueeze(-1)
    if rules.window >= 0:
        seen = seen & (keys > places.unsqueeze(-1) - rules.window)
    scores = scores.masked_fill(~seen.unsqueeze(1), torch.finfo(scores.dtype).min)
    if sink is not None or rules.smooth:
        extra = scores.new_zeros(()) if sink is None else sink.reshape(1, -1, 1, 1).to(scores.dtype)
        extra = extra.expand(*scores.shape[:-1], 1)
        return torch.softmax(torch.cat([scores, extra], -1), -1)[..., :-1] @ v
    return torch.softmax(scores, -1) @ v
