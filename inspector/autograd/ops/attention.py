"""Attention and what surrounds it: rotary positions, caches, linear attention, short causal convolutions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the name everybody knows
from torch import Tensor

from inspector.autograd.narrow import TORCH_TYPES
from inspector.autograd.registry import Context, operator

__all__: list[str] = []


@dataclass(frozen=True)
class Cache:
    """Where the queries stand among the keys: behind `past` of them, or at the end of `lengths` of them."""

    past: int
    lengths: Tensor | None

    def offset(self, queries: int) -> Tensor | int:
        """The number of keys before the first query, a number or (batch, 1, 1, 1)."""
        if self.lengths is None:
            return self.past
        return (self.lengths - queries).reshape(-1, 1, 1, 1)


@operator("Attention", since=25)
def attention_25(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
    *,
    is_causal: int,
    kv_num_heads: int | None,
    left_window_size: int,
    q_num_heads: int | None,
    qk_matmul_output_mode: int,
    right_window_size: int,
    scale: float | None,
    softcap: float,
    softmax_precision: int | None,
    context: Context,
) -> tuple[Tensor | None, ...]:
    packed = q.ndim == 3
    if not packed and q.ndim != 4:
        raise ValueError(f"Q has {q.ndim} axes; it is (n, tokens, heads x size) or (n, heads, tokens, size)")
    if packed and not (q_num_heads and kv_num_heads):
        raise ValueError("Q has 3 axes, so q_num_heads and kv_num_heads must say how many heads they hold")
    if packed:
        q, k, v = _heads(q, q_num_heads), _heads(k, kv_num_heads), _heads(v, kv_num_heads)
    past = 0 if past_key is None else past_key.shape[2]
    k = k if past_key is None else torch.cat((past_key, k), 2)
    v = v if past_value is None else torch.cat((past_value, v), 2)
    present = (k, v)
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    cache = Cache(past, lengths)
    windows = (left_window_size, 0 if is_causal else right_window_size)
    if is_causal and right_window_size >= 0:
        windows = (left_window_size, min(0, right_window_size))
    allowed, bias = _masks(q, k, mask, cache, windows)
    shows = len(context.outputs) > 3 and bool(context.outputs[3])
    precise = softmax_precision is None or TORCH_TYPES[softmax_precision] == q.dtype
    if not shows and not softcap and precise:
        y, shown = _fused(q, k, v, allowed, bias, scale), None
    else:
        y, shown = _attended(q, k, v, allowed, bias, scale, softcap, softmax_precision, qk_matmul_output_mode)
    if packed:
        y = y.transpose(1, 2).flatten(2)
    return (y, *present, shown)


@operator("Attention", since=23)
def attention_23(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
    *,
    is_causal: int,
    kv_num_heads: int | None,
    q_num_heads: int | None,
    qk_matmul_output_mode: int,
    scale: float | None,
    softcap: float,
    softmax_precision: int | None,
    context: Context,
) -> tuple[Tensor | None, ...]:
    return attention_25(
        q,
        k,
        v,
        mask,
        past_key,
        past_value,
        lengths,
        is_causal=is_causal,
        kv_num_heads=kv_num_heads,
        left_window_size=-1,
        q_num_heads=q_num_heads,
        qk_matmul_output_mode=qk_matmul_output_mode,
        right_window_size=-1,
        scale=scale,
        softcap=softcap,
        softmax_precision=softmax_precision,
        context=context,
    )


def _heads(x: Tensor, count: int | None) -> Tensor:
    """(b, t, h * d) -> (b, h, t, d)."""
    if count is None:
        raise ValueError("3-D inputs need q_num_heads and kv_num_heads")
    return x.unflatten(2, (count, -1)).transpose(1, 2)


def _masks(
    q: Tensor, k: Tensor, mask: Tensor | None, cache: Cache, windows: tuple[int, int]
) -> tuple[Tensor | None, Tensor | None]:
    """Which keys a query may see (None: all) and what its scores gain; both broadcast to (b, h, q, k)."""
    queries, keys = q.shape[2], k.shape[2]
    allowed: Tensor | None = None
    bias: Tensor | None = None
    if mask is not None:
        missing = keys - mask.shape[-1]
        if mask.dtype == torch.bool:
            allowed = F.pad(mask, (0, missing)) if missing > 0 else mask
        else:
            bias = F.pad(mask, (0, missing), value=-math.inf) if missing > 0 else mask
            hidden = torch.isneginf(bias)
            allowed = ~hidden
            bias = bias.masked_fill(hidden, 0.0)
    place = torch.arange(keys, device=q.device)
    distance = place - (torch.arange(queries, device=q.device)[:, None] + cache.offset(queries))
    left, right = windows
    if right >= 0:
        allowed = _both(allowed, distance <= right)
    if left >= 0:
        allowed = _both(allowed, distance >= -left)
    if cache.lengths is not None:
        allowed = _both(allowed, place < cache.lengths.reshape(-1, 1, 1, 1))
    return allowed, bias


def _both(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a & b


def _fused(
    q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None, bias: Tensor | None, scale: float | None
) -> Tensor:
    # on a GPU the question would make the host wait
    if allowed is not None and (allowed.device.type != "cpu" or not bool(allowed.all())):
        return _attended(q, k, v, allowed, bias, scale, 0.0, None, 0)[0]
    mask = None if bias is None else bias.to(q.dtype)
    if mask is not None and mask.ndim < 2:
        mask = mask.reshape(1, -1)
    return F.scaled_dot_product_attention(q, k, v, mask, scale=scale)


def _attended(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    allowed: Tensor | None,
    bias: Tensor | None,
    scale: float | None,
    softcap: float,
    precision: int | None,
    mode: int,
) -> tuple[Tensor, Tensor]:
    """Softmax over allowed keys only; a query that may see none gives 0, with gradient 0."""
    root = math.sqrt(1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    scores = (q * root) @ (k * root).mT
    shown = scores
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
        shown = scores if mode >= 1 else shown
    if bias is not None:
        scores = scores + bias
    if mode == 2:
        shown = scores if allowed is None else scores.masked_fill(~allowed, -math.inf)
    if precision is not None:
        scores = scores.to(TORCH_TYPES[precision])
    if allowed is not None:
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, -1)
    if allowed is not None:
        weights = weights.masked_fill(~allowed.any(-1, keepdim=True), 0.0)
    weights = weights.to(q.dtype)
    return weights @ v, weights if mode == 3 else shown.to(q.dtype)


@operator("RotaryEmbedding", since=23)
def rotary_embedding(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Tensor | None = None,
    *,
    interleaved: int,
    num_heads: int | None,
    rotary_embedding_dim: int,
) -> Tensor:
    shape = x.shape
    heads = x.transpose(1, 2) if x.ndim == 4 else x.unflatten(2, (num_heads or -1, -1))
    size = rotary_embedding_dim or heads.shape[-1]
    turned, rest = heads[..., :size], heads[..., size:]
    if positions is not None:
        cos, sin = cos[positions.long()], sin[positions.long()]
    cos, sin = cos.unsqueeze(2), sin.unsqueeze(2)
    first, second = (turned[..., ::2], turned[..., 1::2]) if interleaved else turned.chunk(2, -1)
    real, imaginary = cos * first - sin * second, sin * first + cos * second
    if interleaved:
        turned = torch.stack((real, imaginary), -1).flatten(-2)
    else:
        turned = torch.cat((real, imaginary), -1)
    y = torch.cat((turned, rest), -1)
    return y.transpose(1, 2) if len(shape) == 4 else y.reshape(shape)


@operator("TensorScatter", since=24)
def tensor_scatter(
    past: Tensor, update: Tensor, starts: Tensor | None = None, *, axis: int, mode: str
) -> Tensor:
    axis = axis % past.ndim
    steps = torch.arange(update.shape[axis], device=past.device)
    first = steps.new_zeros(past.shape[0]) if starts is None else starts.long().reshape(-1)
    places = first[:, None] + steps
    if mode == "circular":
        places = places % past.shape[axis]
    shape = [1] * past.ndim
    shape[0], shape[axis] = past.shape[0], update.shape[axis]
    return past.scatter(axis, places.reshape(shape).expand(update.shape), update)


@operator("CausalConvWithState", since=27)
def causal_conv_with_state(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, past: Tensor | None = None, *, activation: str
) -> tuple[Tensor, Tensor]:
    kept = weight.shape[-1] - 1
    before = x.new_zeros((*x.shape[:2], kept)) if past is None else past
    line = torch.cat((before, x), -1)
    y = F.conv1d(line, weight, bias, groups=x.shape[1])
    if activation in ("silu", "swish"):
        y = F.silu(y)
    elif activation != "none":
        raise NotImplementedError(f"activation {activation!r}")
    return y, line[..., line.shape[-1] - kept :]


@operator("SwiGLU", since=28)
def swiglu(a: Tensor, b: Tensor, *, alpha: float) -> Tensor:
    return a * torch.sigmoid(alpha * a) * b


@operator("LinearAttention", since=27)
def linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    past: Tensor | None = None,
    decay: Tensor | None = None,
    beta: Tensor | None = None,
    *,
    chunk_size: int,
    kv_num_heads: int,
    q_num_heads: int,
    scale: float,
    update_rule: str,
) -> tuple[Tensor, Tensor]:
    q, k, v = _heads(query, q_num_heads), _heads(key, kv_num_heads), _heads(value, kv_num_heads)
    factor = scale or 1 / math.sqrt(q.shape[-1])
    b, h, steps, size = k.shape
    state = k.new_zeros((b, h, size, v.shape[-1])) if past is None else past
    g = None if decay is None or "gated" not in update_rule else _heads(decay, kv_num_heads)
    rate = None
    if beta is not None and "delta" in update_rule:
        shared = beta.shape[-1] == 1  # one rate for all heads
        rate = beta.unsqueeze(1) if shared else _heads(beta, kv_num_heads)
    out: list[Tensor] = []
    for t in range(steps):
        if g is not None:
            state = torch.exp(g[:, :, t]).unsqueeze(-1) * state
        new, seen = v[:, :, t], k[:, :, t]
        if "delta" in update_rule:
            new = new - (state * seen.unsqueeze(-1)).sum(2)
            new = new if rate is None else rate[:, :, t] * new
        state = state + seen.unsqueeze(-1) * new.unsqueeze(-2)
        held = state.repeat_interleave(q_num_heads // kv_num_heads, 1)
        out.append(factor * (q[:, :, t].unsqueeze(-2) @ held).squeeze(-2))
    y = torch.stack(out, 2).transpose(1, 2).flatten(2)
    return y, state
