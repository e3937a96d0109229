"""Reductions along axes, and the positions of extremes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from inspector.autograd.integers import UNSIGNED, narrowed, wide
from inspector.autograd.registry import operator

__all__: list[str] = []


def _dims(x: Tensor, axes: list[int] | None, noop: int) -> tuple[int, ...] | None:
    if not axes:
        return None if noop else tuple(range(x.ndim))
    return tuple(sorted({axis % max(x.ndim, 1) for axis in axes}))


def _total(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sum(x, dims, keepdim=keep, dtype=x.dtype) if dims else x


def _mean(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    count = math.prod([x.shape[d] for d in dims])
    total = _total(x, dims, keep)
    return total / count if x.dtype.is_floating_point else torch.div(total, count, rounding_mode="trunc")


def _product(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    for dim in reversed(dims):
        x = torch.prod(x, dim, keepdim=keep, dtype=x.dtype)
    return x


def _extreme(largest: bool) -> Callable[[Tensor, tuple[int, ...], bool], Tensor]:
    def reduce(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
        if not dims:
            return x
        if any(x.shape[d] == 0 for d in dims):
            shape = [1 if d in dims else n for d, n in enumerate(x.shape)]
            found = torch.full(shape, _limit(x.dtype, largest), dtype=x.dtype, device=x.device)
            return found if keep else found.squeeze(dims)
        work = x.to(torch.uint8) if x.dtype == torch.bool else x
        return (torch.amax if largest else torch.amin)(work, dims, keepdim=keep).to(x.dtype)

    return reduce


def _limit(dtype: torch.dtype, largest: bool) -> float | int:
    """What a maximum (or minimum) over nothing gives."""
    if dtype == torch.bool:
        return 0 if largest else 1
    if dtype.is_floating_point:
        return -math.inf if largest else math.inf
    return torch.iinfo(dtype).min if largest else torch.iinfo(dtype).max


def _l1(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return _total(torch.abs(x), dims, keep)


def _l2(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    total = _total(x * x, dims, keep)
    if not x.dtype.is_floating_point:
        return torch.sqrt(total.double()).to(x.dtype)
    zero = total == 0  # the root has no slope at 0: 0 there, as torch.linalg.norm
    return torch.where(
        zero, torch.zeros_like(total), torch.sqrt(torch.where(zero, torch.ones_like(total), total))
    )


def _square(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return _total(x * x, dims, keep)


def _log_sum(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return _as_float(lambda y: torch.log(_total(y, dims, keep)), x)


def _log_sum_exp(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return _as_float(lambda y: torch.logsumexp(y, dims, keepdim=keep) if dims else y, x)


def _as_float(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return function(x) if x.dtype.is_floating_point else function(x.double()).to(x.dtype)


REDUCTIONS: dict[str, Callable[[Tensor, tuple[int, ...], bool], Tensor]] = {
    "ReduceSum": _total,
    "ReduceMean": _mean,
    "ReduceProd": _product,
    "ReduceMax": _extreme(True),
    "ReduceMin": _extreme(False),
    "ReduceL1": _l1,
    "ReduceL2": _l2,
    "ReduceSumSquare": _square,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
}


def _reduced(
    x: Tensor,
    axes: list[int] | None,
    keepdims: int,
    noop: int,
    function: Callable[[Tensor, tuple[int, ...], bool], Tensor],
) -> Tensor:
    dims = _dims(x, axes, noop)
    if dims is None:
        # with nothing to reduce the element-wise part of the operator still applies
        return function(x, (), True) if function in (_l1, _l2, _square, _log_sum) else x
    return narrowed(function(wide(x), dims, bool(keepdims)), x.dtype)


def _register(name: str, function: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> None:
    def by_attribute(x: Tensor, *, axes: list[int] | None, keepdims: int) -> Tensor:
        return _reduced(x, axes, keepdims, 0, function)

    def by_input(
        x: Tensor, axes: Tensor | None = None, *, keepdims: int, noop_with_empty_axes: int
    ) -> Tensor:
        listed = None if axes is None else axes.tolist()
        return _reduced(x, listed, keepdims, noop_with_empty_axes, function)

    for since in (1, 11) if name == "ReduceSum" else (1, 11, 13):
        operator(name, since=since)(by_attribute)
    operator(name, since=13 if name == "ReduceSum" else 18, host=(1,))(by_input)


for _name, _function in REDUCTIONS.items():
    _register(_name, _function)


def _position(x: Tensor, axis: int, keepdims: int, last: int, *, largest: bool) -> Tensor:
    x = wide(x) if x.dtype in UNSIGNED else x
    choose = torch.argmax if largest else torch.argmin
    if last:
        return x.shape[axis] - 1 - choose(x.flip(axis), axis, keepdim=bool(keepdims))
    return choose(x, axis, keepdim=bool(keepdims))


@operator("ArgMax", since=1, differentiable=False)
@operator("ArgMax", since=11, differentiable=False)
def arg_max_1(x: Tensor, *, axis: int, keepdims: int) -> Tensor:
    return _position(x, axis, keepdims, 0, largest=True)


@operator("ArgMin", since=1, differentiable=False)
@operator("ArgMin", since=11, differentiable=False)
def arg_min_1(x: Tensor, *, axis: int, keepdims: int) -> Tensor:
    return _position(x, axis, keepdims, 0, largest=False)


@operator("ArgMax", since=12, differentiable=False)
def arg_max(x: Tensor, *, axis: int, keepdims: int, select_last_index: int) -> Tensor:
    return _position(x, axis, keepdims, select_last_index, largest=True)


@operator("ArgMin", since=12, differentiable=False)
def arg_min(x: Tensor, *, axis: int, keepdims: int, select_last_index: int) -> Tensor:
    return _position(x, axis, keepdims, select_last_index, largest=False)


@operator("TopK", since=1)
def top_k_1(x: Tensor, *, axis: int, k: int) -> tuple[Tensor, Tensor]:
    return _top(x, k, axis, 1, 1)


@operator("TopK", since=10, host=(1,))
def top_k_10(x: Tensor, k: Tensor, *, axis: int) -> tuple[Tensor, Tensor]:
    return _top(x, int(k), axis, 1, 1)


@operator("TopK", since=11, host=(1,))
def top_k(x: Tensor, k: Tensor, *, axis: int, largest: int, sorted: int) -> tuple[Tensor, Tensor]:
    return _top(x, int(k), axis, largest, sorted)


def _top(x: Tensor, k: int, axis: int, largest: int, ordered: int) -> tuple[Tensor, Tensor]:
    # a stable sort: of equal values the one with the lower index comes first, which topk does not promise
    _, order = torch.sort(wide(x), dim=axis, descending=bool(largest), stable=True)
    indices = order.narrow(axis, 0, k)
    if x.dtype in UNSIGNED:
        return narrowed(torch.gather(wide(x), axis, indices), x.dtype), indices
    return torch.gather(x, axis, indices), indices
