"""What became of a weight? Equal, laid out, rounded, scaled or ordered in another way, or changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np

from inspector.comparison.differences import Difference, aligned, difference, layouts
from inspector.comparison.distributions import Distributions, Histogram, change_histogram, distributions

__all__ = ["State", "WeightChange", "by_change", "weight_change"]

Array = np.ndarray[Any, np.dtype[Any]]
State = Literal[
    "equal", "folded", "layout", "rounded", "quantised", "scaled", "permuted", "changed", "incomparable"
]

_SAME = 1e-6
"""Relative L2 up to which two arrays hold the same float32 numbers, computed in another order."""

_LEVELS = 256
"""Distinct values that eight bits can hold."""

_SAMPLE = 4096
"""Elements looked at first: most explanations fail there, and the whole need not be read."""


@dataclass(frozen=True)
class WeightChange:
    """How the weight `b` of one model differs from its partner `a` of the other.

    `state` is the weakest claim that explains b fully: "folded" equal once a BatchNorm is folded in, "layout"
    the same values with axes in another order, "rounded" a narrower float, "quantised" at most half a step
    from a, "scaled" one factor per output channel (what folding a BatchNorm does), "permuted" channels in
    another order. `order` are the axes of a in the order of b; `difference` and `histogram` (counts, edges of
    the bins of b − a) are taken after it, and are None where the shapes do not fit. `values` counts elements
    that are not equal, where the state is "changed". `distributions` are those of a and b themselves; None
    where the numbers are the same.
    """

    a: str
    b: str
    state: State
    detail: str
    order: tuple[int, ...]
    difference: Difference | None
    histogram: Histogram | None = None
    values: int = 0
    distributions: Distributions | None = None

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON-able data."""
        return {
            "a": self.a,
            "b": self.b,
            "state": self.state,
            "detail": self.detail,
            "values": self.values,
            "order": list(self.order),
            "difference": None if self.difference is None else self.difference.to_dict(),
            "histogram": None if self.histogram is None else [list(part) for part in self.histogram],
            "distributions": None if self.distributions is None else self.distributions.to_dict(),
        }


def weight_change(a: Array, b: Array, names: tuple[str, str] = ("a", "b"), *, bins: int = 31) -> WeightChange:
    """Compare two weights; output channels are on the first axis where that matters (ONNX kernels)."""
    best = aligned(a, b, _SAME)
    if best is None:
        detail = f"shape {list(a.shape)} against {list(b.shape)}"
        spread = distributions(a, b, bins)
        return WeightChange(*names, "incomparable", detail, (), None, distributions=spread)
    found, order = best
    first = a.transpose(order) if len(order) == a.ndim and b.ndim == a.ndim else a.reshape(b.shape)
    moved = order != tuple(range(len(order)))
    if found.equal or (found.relative <= _SAME and not found.unlike):
        state: State = "layout" if moved or a.shape != b.shape else "equal"
        return WeightChange(*names, state, _moved(a.shape, order) if moved else "", order, found)
    for other in [order, *(o for o in layouts(a.shape, b.shape) if o != order)]:
        laid = a.transpose(other) if len(other) == a.ndim == b.ndim else first
        for explain in _EXPLANATIONS:
            said = explain(laid, b)
            if said is None:
                continue
            where = "" if other == tuple(range(len(other))) else f", {_moved(a.shape, other)}"
            counts = change_histogram(laid, b, bins), 0, distributions(a, b, bins)
            return WeightChange(*names, said[0], said[1] + where, other, difference(laid, b), *counts)
    counts = change_histogram(first, b, bins), int(np.count_nonzero(first != b)), distributions(a, b, bins)
    return WeightChange(*names, "changed", "", order, found, *counts)


def by_change(changes: Iterable[WeightChange]) -> list[WeightChange]:
    """What cannot be compared first, then the largest relative change first; equal ones keep their order."""
    return sorted(changes, key=lambda c: -(np.inf if c.difference is None else c.difference.relative))


def _moved(shape: tuple[int, ...], order: tuple[int, ...]) -> str:
    rank = len(order)
    if rank == len(shape) == 4 and order == (0, 1, 3, 2):
        return "height and width swapped"
    if rank == 2:
        return "transposed"
    return f"axes {', '.join(map(str, order))}"


Said = tuple[State, str] | None


def _rounded(a: Array, b: Array) -> Said:
    first, second = _few(a), _few(b)
    for name, kind in (("float16", np.dtype(np.float16)), ("bfloat16", np.dtype(ml_dtypes.bfloat16))):
        for wide, narrow, side in ((a, b, "b"), (b, a, "a")):
            with np.errstate(over="ignore"):
                sample = (first, second) if side == "b" else (second, first)
                if _is_rounding(*sample, kind) and _is_rounding(wide, narrow, kind):
                    return "rounded", f"{side} is rounded to {name}"
    return None


def _is_rounding(wide: Array, narrow: Array, kind: np.dtype[Any]) -> bool:
    """Whether one array holds narrow floats and none is further than half a step from the other's.

    A folded BatchNorm is multiplied in another order, which may tip a tie: so the nearest is not demanded.
    Converters keep the smallest numbers from becoming zero: below two of the smallest steps any of them fits.
    """
    few = narrow.astype(kind)
    near = few.astype(np.float64)
    if not np.array_equal(near, narrow.astype(np.float64), equal_nan=True):
        return False
    step = np.spacing(np.abs(few)).astype(np.float64)
    apart = np.abs(wide.astype(np.float64) - near)
    tiny = 2 * float(np.spacing(kind.type(0)))
    lifted = (np.abs(near) <= tiny) & (np.abs(wide) <= tiny) & (wide * near >= 0)
    return bool(np.all((apart <= 0.501 * step) | lifted | (wide == narrow)))


def _few(array: Array) -> Array:
    """Elements from all over the array; the same places in every array of one shape."""
    flat = array.reshape(-1) if array.size <= _SAMPLE else array[:: max(1, len(array) // 64)].reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLE)]


def _quantised(a: Array, b: Array) -> Said:
    if a.ndim < 2:
        return None
    for fine, coarse, side in ((a, b, "b"), (b, a, "a")):
        rows = coarse.reshape(coarse.shape[0], -1)
        if len(np.unique(rows[0, :_SAMPLE])) > _LEVELS:
            continue
        if _on_steps(fine.reshape(1, -1), coarse.reshape(1, -1)):
            return "quantised", f"{side} is quantised with one step"
        rows = (fine.reshape(fine.shape[0], -1), coarse.reshape(coarse.shape[0], -1))
        if rows[0].shape[1] > _LEVELS and _on_steps(*rows):
            return "quantised", f"{side} is quantised with a step per output channel"
    return None


def _on_steps(fine: Array, coarse: Array) -> bool:
    """Whether each row takes few values on a grid, and none lies more than half a step from its origin."""
    for one, other in zip(fine.astype(np.float64), coarse.astype(np.float64), strict=True):
        levels = np.unique(other)
        if not 1 < len(levels) <= min(_LEVELS, other.size // 2):
            return False
        step = float(np.diff(levels).min())
        off_grid = np.abs(levels / step - np.round(levels / step)).max()
        if off_grid > 1e-3 or np.abs(one - other).max() > 0.5 * step * (1 + 1e-3):
            return False
    return True


def _scaled(a: Array, b: Array) -> Said:
    if a.ndim < 2:
        return None
    one, other = a.reshape(a.shape[0], -1), b.reshape(b.shape[0], -1)
    if one.shape[1] < 2 or not _parallel(one[0], other[0]):
        return None
    one, other = one.astype(np.float64), other.astype(np.float64)
    norms = (one * one).sum(1)
    factor = np.divide((one * other).sum(1), norms, out=np.zeros_like(norms), where=norms > 0)
    if not np.isfinite(factor).all() or difference(one * factor[:, None], other).relative > 1e-5:
        return None
    return "scaled", f"one factor per output channel, {factor.min():.4g} … {factor.max():.4g}"


def _parallel(x: Array, y: Array) -> bool:
    """Whether one row is a multiple of the other, with room for rounding."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    return bool((x @ y) ** 2 >= 0.9999 * (x @ x) * (y @ y))


def _permuted(a: Array, b: Array) -> Said:
    if a.ndim < 2 or not math.isclose(np.abs(a).sum(dtype=float), np.abs(b).sum(dtype=float), rel_tol=1e-5):
        return None
    if a.shape[1] > 1 and difference(a[:, ::-1], b).relative <= _SAME:
        return "permuted", "input channels reversed, as between RGB and BGR"
    rows = _partners(a.reshape(len(a), -1), b.reshape(len(b), -1))
    after = a[rows]
    swapped = (np.moveaxis(after, 1, 0), np.moveaxis(b, 1, 0))
    columns = _partners(swapped[0].reshape(a.shape[1], -1), swapped[1].reshape(a.shape[1], -1))
    after = after[:, columns]
    if difference(after, b).relative > _SAME:
        return None
    sides = [
        f"{int((order != np.arange(len(order))).sum())} of {len(order)} {side} channels"
        for order, side in ((rows, "output"), (columns, "input"))
        if (order != np.arange(len(order))).any()
    ]
    return "permuted", f"{' and '.join(sides)} in another place"


def _partners(a: Array, b: Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """For each row of b the row of a with the same sorted values; the caller verifies."""
    one = np.lexsort(np.sort(a, axis=1).T[::-1])
    other = np.lexsort(np.sort(b, axis=1).T[::-1])
    found = np.empty(len(a), np.int64)
    found[other] = one
    return found


_EXPLANATIONS: tuple[Callable[[Array, Array], Said], ...] = (_rounded, _permuted, _scaled, _quantised)
