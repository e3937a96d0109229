"""Picking elements by position or by condition, and putting them back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd import narrow
from inspector.autograd.integers import narrowed, wide
from inspector.autograd.moving import moved
from inspector.autograd.registry import operator

__all__: list[str] = []


def _positive(indices: Tensor, size: int) -> Tensor:
    indices = indices.long()
    return torch.where(indices < 0, indices + size, indices)


@operator("Gather", since=1)
@operator("Gather", since=11)
@operator("Gather", since=13)
def gather(x: Any, indices: Tensor, *, axis: int) -> Any:
    axis = axis % x.ndim
    if not indices.ndim and indices.device.type == "cpu" and not torch.compiler.is_compiling():
        place = int(indices)  # a view: index_select would scatter in the backward pass
        return moved(lambda t: t.select(axis, place), x)
    flat = _positive(indices.reshape(-1), x.shape[axis])
    wanted = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return moved(lambda t: t.index_select(axis, flat).reshape(wanted), x)


@operator("GatherElements", since=11)
def gather_elements(x: Any, indices: Tensor, *, axis: int) -> Any:
    return moved(lambda t: torch.gather(t, axis, _positive(indices, x.shape[axis])), x)


@operator("GatherND", since=11)
def gather_nd_11(x: Any, indices: Tensor) -> Any:
    return gather_nd(x, indices, batch_dims=0)


@operator("GatherND", since=12)
def gather_nd(x: Any, indices: Tensor, *, batch_dims: int) -> Any:
    depth = indices.shape[-1]
    batch = [
        torch.arange(n, device=indices.device).reshape([-1 if d == i else 1 for d in range(indices.ndim - 1)])
        for i, n in enumerate(x.shape[:batch_dims])
    ]
    places = [_positive(indices[..., i], x.shape[batch_dims + i]) for i in range(depth)]
    return moved(lambda t: t[(*batch, *places)], x)


@operator("Slice", since=10, host=(1, 2, 3, 4))
def slice_(
    x: Any, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Any:
    return _sliced(
        x,
        starts.tolist(),
        ends.tolist(),
        None if axes is None else axes.tolist(),
        None if steps is None else steps.tolist(),
    )


@operator("Slice", since=1)
def slice_1(x: Any, *, axes: list[int] | None, ends: list[int], starts: list[int]) -> Any:
    return _sliced(x, starts, ends, axes, None)


def _sliced(
    x: Any, starts: list[int], ends: list[int], axes: list[int] | None, steps: list[int] | None
) -> Any:
    cuts = [slice(None)] * x.ndim
    flipped: list[int] = []
    for position, axis in enumerate(axes if axes is not None else range(len(starts))):
        axis, step = axis % x.ndim, 1 if steps is None else steps[position]
        # Python's own rules clip the ends; the resulting range is exact also for INT_MIN and INT_MAX
        first, last, _ = slice(starts[position], _end(ends[position], x.shape[axis], step), step).indices(
            x.shape[axis]
        )
        places = range(first, last, step)
        if step > 0:
            cuts[axis] = slice(first, max(first, last), step)
        elif len(places) == 0:
            cuts[axis] = slice(0, 0)
        else:
            cuts[axis] = slice(places[-1], places[0] + 1, -step)
            flipped.append(axis)

    def cut(t: Tensor) -> Tensor:
        picked = t[tuple(cuts)]
        return picked.flip(flipped) if flipped else picked

    return moved(cut, x)


def _end(end: int, size: int, step: int) -> int | None:
    """With a negative step an end below -size means "to the very first element"."""
    return None if step < 0 and end < -size else end


@operator("Compress", since=9)
@operator("Compress", since=11)
def compress(x: Any, condition: Tensor, *, axis: int | None) -> Any:
    kept = torch.nonzero(condition).reshape(-1)
    if axis is None:
        return moved(lambda t: t.reshape(-1).index_select(0, kept), x)
    return moved(lambda t: t.index_select(axis, kept[kept < x.shape[axis]]), x)


@operator("NonZero", since=9, differentiable=False)
def non_zero(x: Tensor) -> Tensor:
    if x.ndim == 0:
        return torch.zeros((0, int(bool(x))), dtype=torch.int64, device=x.device)
    return torch.nonzero(wide(x)).mT.contiguous()


@operator("OneHot", since=9, host=(1,))
@operator("OneHot", since=11, host=(1,))
def one_hot(indices: Tensor, depth: Tensor, values: Any, *, axis: int) -> Any:
    size = int(depth.reshape(-1)[0])
    where = axis % (indices.ndim + 1)
    places = torch.arange(size, device=indices.device).reshape(-1, *([1] * (indices.ndim - where)))
    wanted = wide(indices).to(torch.int64)
    wanted = torch.where(wanted < 0, wanted + size, wanted).unsqueeze(where)
    hot = (places == wanted).long()
    return moved(lambda t: t[hot.to(t.device)], values)


SCATTERS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", since=11)
def scatter_elements_11(x: Any, indices: Tensor, updates: Any, *, axis: int) -> Any:
    return scatter_elements(x, indices, updates, axis=axis, reduction="none")


@operator("Scatter", since=9)
@operator("Scatter", since=11)
def scatter(x: Any, indices: Tensor, updates: Any, *, axis: int) -> Any:
    return scatter_elements(x, indices, updates, axis=axis, reduction="none")


@operator("ScatterElements", since=16)
@operator("ScatterElements", since=18)
def scatter_elements(x: Any, indices: Tensor, updates: Any, *, axis: int, reduction: str) -> Any:
    places = _positive(indices, x.shape[axis])
    if reduction == "none":
        return moved(lambda t, u: t.scatter(axis, places, u), x, updates)
    how = SCATTERS[reduction]
    found = wide(x).scatter_reduce(axis, places, wide(updates), how, include_self=True)
    return narrowed(found, x.dtype)


@operator("ScatterND", since=11)
def scatter_nd_11(x: Any, indices: Tensor, updates: Any) -> Any:
    return scatter_nd(x, indices, updates, reduction="none")


@operator("ScatterND", since=13)
def scatter_nd_13(x: Any, indices: Tensor, updates: Any) -> Any:
    return scatter_nd(x, indices, updates, reduction="none")


@operator("ScatterND", since=16)
@operator("ScatterND", since=18)
def scatter_nd(x: Any, indices: Tensor, updates: Any, *, reduction: str) -> Any:
    depth = indices.shape[-1]
    rows = torch.zeros(indices.shape[:-1], dtype=torch.int64, device=indices.device)
    for axis in range(depth):
        rows = rows * x.shape[axis] + _positive(indices[..., axis], x.shape[axis])
    rows = rows.reshape(-1)
    tail = tuple(x.shape[depth:])
    count = int(np.prod(x.shape[:depth]))

    def put(t: Tensor, u: Tensor) -> Tensor:
        flat, new = t.reshape(count, *tail), u.reshape(rows.shape[0], *tail)
        if reduction == "none":
            return flat.index_copy(0, rows, new).reshape(t.shape)
        if reduction == "add":
            return flat.index_add(0, rows, new).reshape(t.shape)
        spread = rows.reshape(-1, *([1] * len(tail))).expand_as(new)
        return flat.scatter_reduce(0, spread, new, SCATTERS[reduction]).reshape(t.shape)

    return moved(put, x, updates) if reduction == "none" else narrowed(put(wide(x), wide(updates)), x.dtype)


@operator("ReverseSequence", since=10)
def reverse_sequence(x: Any, lengths: Tensor, *, batch_axis: int, time_axis: int) -> Any:
    steps = torch.arange(x.shape[time_axis], device=lengths.device)
    counts = lengths.reshape(-1, 1).long()
    places = torch.where(steps < counts, counts - 1 - steps, steps)  # (batch, time)
    if time_axis < batch_axis:
        places = places.mT
    wide_places = places.reshape(*places.shape, *([1] * (x.ndim - 2))).expand(x.shape)
    return moved(lambda t: torch.gather(t, time_axis, wide_places.to(t.device, non_blocking=True)), x)


@operator("Unique", since=11)
def unique(x: Any, *, axis: int | None, sorted: int) -> tuple[Any, Tensor, Tensor, Tensor]:
    values = narrow.to_array(x)
    _, first, inverse, counts = np.unique(
        values, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not sorted:
        order = np.argsort(first, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        first, counts, inverse = first[order], counts[order], rank[inverse]
    kept = torch.from_numpy(first.astype(np.int64))
    # the values are picked from the input, so that a gradient finds its way back
    picked = moved(
        lambda t: (
            t.reshape(-1)[kept.to(t.device)] if axis is None else t.index_select(axis, kept.to(t.device))
        ),
        x,
    )
    return picked, kept, torch.from_numpy(inverse.astype(np.int64)), torch.from_numpy(counts.astype(np.int64))
