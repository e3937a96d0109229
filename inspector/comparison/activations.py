"""Do matched values agree? The same sample through both models, every pair measured in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inspector.comparison.alignment import Alignment, Pair
from inspector.comparison.differences import Difference, aligned, difference
from inspector.comparison.distributions import Histogram, change_histogram
from inspector.comparison.probing import Probe
from inspector.execution.capturing import Prepared, prepare
from inspector.execution.parts import on_host
from inspector.model import Model
from inspector.progress import track

__all__ = ["ActivationChange", "Measured", "compare_activations"]

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-4
"""Relative L2 above which a value counts as different: clean float32 conversions stay near 1e-6."""

_ABOVE_NOISE = 20.0
"""Times the noise floor that a difference must exceed: frameworks round every sum in another order, the
floor rounds the input once."""


@dataclass(frozen=True)
class ActivationChange:
    """How the value `b` of one model differs from its partner `a`: the worst of all samples.

    `floor` is the relative change of a when every input moves by one unit in the last place; `order` are the
    axes of a in the order of b; `limit` is what the relative difference was held to. `histogram` is that of
    b − a where the two disagree.
    """

    a: str
    b: str
    difference: Difference | None
    floor: float
    limit: float
    order: tuple[int, ...] = ()
    histogram: Histogram | None = None

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the limit."""
        found = self.difference
        return found is not None and not found.unlike and found.relative <= self.limit

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON-able data."""
        return {
            "a": self.a,
            "b": self.b,
            "agrees": self.agrees,
            "difference": None if self.difference is None else self.difference.to_dict(),
            "noise_floor": self.floor,
            "limit": self.limit,
            "order": list(self.order),
            "histogram": None if self.histogram is None else [list(part) for part in self.histogram],
        }


@dataclass(frozen=True)
class Measured:
    """Changes of the matched nodes in the order of the pairs, and of the models' outputs."""

    nodes: tuple[ActivationChange, ...]
    outputs: tuple[ActivationChange, ...]


def compare_activations(
    alignment: Alignment, samples: list[Probe], *, tolerance: float = TOLERANCE, device: str = "cpu"
) -> Measured:
    """Run both models over the samples and measure every pair of values.

    Values come part by part and are dropped once measured; A runs a second time with its inputs moved by one
    unit in the last place, which tells how much rounding alone does.

    Raises:
        NotRunnable: a model cannot be executed.
    """
    a, b = alignment.a.model, alignment.b.model
    links = [(pair.a.value, pair.b.value) for pair in alignment.pairs if _is_value(pair, a, b)]
    ends = _ends(alignment)
    wanted = list(dict.fromkeys([*links, *ends]))
    worst: dict[tuple[str, str], ActivationChange] = {}
    ready: tuple[Prepared, Prepared] | None = None
    shapes: object = None
    for probe in samples if wanted else []:
        now = [array.shape for array in (*probe.a.values(), *probe.b.values())]
        if ready is None or now != shapes:
            ready, shapes = _prepared(alignment, wanted, probe, device), now
        for change in track(_one_pass(ready, probe, wanted, tolerance), "Comparing values", len(wanted)):
            known = worst.get((change.a, change.b))
            worst[change.a, change.b] = change if known is None else _worse(known, change)
    return Measured(
        tuple(worst[link] for link in links if link in worst),
        tuple(worst[link] for link in ends if link in worst),
    )


def _is_value(pair: Pair, a: Model, b: Model) -> bool:
    return pair.a.value in a.producers and pair.b.value in b.producers


def _ends(alignment: Alignment) -> list[tuple[str, str]]:
    """The outputs of both models by name where the names are the same, else in order."""
    a = [value.key for value in alignment.a.model.outputs]
    b = [value.key for value in alignment.b.model.outputs]
    if set(a) == set(b):
        return [(key, key) for key in a]
    return list(zip(a, b, strict=False)) if len(a) == len(b) else []


def _prepared(
    alignment: Alignment, wanted: list[tuple[str, str]], probe: Probe, device: str
) -> tuple[Prepared, Prepared]:
    sides = []
    for model, feeds, place in ((alignment.a.model, probe.a, 0), (alignment.b.model, probe.b, 1)):
        values = list(dict.fromkeys(link[place] for link in wanted))
        sides.append(prepare(model, feeds, values, device=device, mode="exact", strategy="segments"))
    return sides[0], sides[1]


def _one_pass(
    ready: tuple[Prepared, Prepared], probe: Probe, wanted: list[tuple[str, str]], tolerance: float
) -> Iterator[ActivationChange]:
    moved = {name: _nudged(array) for name, array in probe.a.items()}
    partners: dict[str, list[str]] = {}
    for one, other in wanted:
        partners.setdefault(one, []).append(other)
    left = _values(ready[0], probe.a)
    again = dict[str, Array]()
    nudged = _values(ready[0], moved)
    right, seen = _values(ready[1], probe.b), dict[str, Array]()
    last = {other: one for one, other in wanted}
    for key, value in left:
        shifted = _until(key, nudged, again)
        floor = _floor(value, shifted)
        for other in partners.get(key, []):
            partner = _until(other, right, seen, keep=last[other] != key)
            if partner is None:
                continue
            limit = max(tolerance, _ABOVE_NOISE * floor)
            found = _measured(value, partner, limit)
            change = ActivationChange(key, other, found[0], floor, limit, found[1])
            yield change if change.agrees else replace(change, histogram=_spread(value, partner, found[1]))


def _values(ready: Prepared, feeds: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    for found, _ in ready.runner.stream(feeds):
        while found:
            key = next(iter(found))
            value = on_host(found.pop(key))
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                yield key, value


def _until(
    key: str, values: Iterator[tuple[str, Array]], seen: dict[str, Array], keep: bool = False
) -> Array | None:
    """The value from a stream; what comes before it waits in `seen`."""
    while key not in seen:
        item = next(values, None)
        if item is None:
            return None
        seen[item[0]] = item[1]
    return seen[key] if keep else seen.pop(key)


def _nudged(array: Array) -> Array:
    if array.dtype.kind != "f":
        return array
    up = np.random.default_rng(0).random(array.shape) < 0.5
    return np.nextafter(array, np.where(up, np.inf, -np.inf).astype(array.dtype)).astype(array.dtype)


def _floor(value: Array, shifted: Array | None) -> float:
    if shifted is None or shifted.shape != value.shape or value.dtype.kind != "f":
        return 0.0
    found = difference(value, shifted)
    return found.relative if np.isfinite(found.relative) and found.relative < 1e-2 else 0.0


def _measured(a: Array, b: Array, enough: float) -> tuple[Difference | None, tuple[int, ...]]:
    best = aligned(a, b, enough)
    return best if best is not None else (None, ())


def _spread(a: Array, b: Array, order: tuple[int, ...]) -> Histogram | None:
    if a.ndim == b.ndim == len(order):
        return change_histogram(a.transpose(order), b)
    return change_histogram(a.reshape(-1), b.reshape(-1)) if a.size == b.size else None


def _worse(one: ActivationChange, other: ActivationChange) -> ActivationChange:
    if one.difference is None or other.difference is None:
        return one if one.difference is None else other
    excess = [c.difference.relative / c.limit if c.difference else 0.0 for c in (one, other)]
    return other if excess[1] > excess[0] or other.difference.unlike > one.difference.unlike else one
