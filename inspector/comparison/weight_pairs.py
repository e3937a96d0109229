"""Which weights of two matched models differ? Every pair of roles, folded BatchNorms met half-way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from inspector.comparison.alignment import Alignment, Atom, CanonicalGraph, Pair, Part
from inspector.comparison.weight_changes import WeightChange, weight_change
from inspector.progress import track

__all__ = ["compare_weights", "keeps_values"]

Array = np.ndarray[Any, np.dtype[Any]]

_EIGHT_BITS = 127
"""Steps from zero to the largest value of a row."""
_HALF = 0.51
"""Of a step: what rounding to it leaves, and the rounding of the step itself."""
_BIAS = 1e-2
"""Relative L2 that storing a bias as integers of its layer's steps may leave."""
_FOLDED = 1e-5
"""Relative L2 up to which weights are equal after folding: scales are multiplied in another order and in
single or double precision."""


def compare_weights(alignment: Alignment) -> dict[str, tuple[WeightChange, ...]]:
    """The weights of every pair that has some, by its key in A."""
    pairs = track(alignment.pairs, "Comparing weights")
    found = {pair.a.key: _pair_weights(alignment, pair) for pair in pairs}
    return {key: changes for key, changes in found.items() if changes}


def _pair_weights(alignment: Alignment, pair: Pair) -> tuple[WeightChange, ...]:
    """The weights of one pair by role; a bias that one side lacks is zero."""
    arrays_a = alignment.a.arrays.get(pair.a.key, {})
    arrays_b = alignment.b.arrays.get(pair.b.key, {})
    found: list[WeightChange] = []
    for role, other in _roles(arrays_a, arrays_b):
        a, b = arrays_a.get(role), arrays_b.get(other)
        names = _name(alignment.a, pair.a, role), _name(alignment.b, pair.b, other)
        if a is None or b is None:
            present = a if b is None else b
            if present is None or (role == "bias" and not np.any(present)):
                continue
            side = "A" if b is None else "B"
            if role != "bias":
                found.append(WeightChange(*names, "incomparable", f"only in {side}", (), None))
                continue
            one, two = (np.zeros_like(present) if array is None else array for array in (a, b))
            found.append(replace(weight_change(one, two, names), detail=f"bias only in {side}"))
            continue
        found.append(_explained(alignment, weight_change(a, b, names), pair, role))
    return tuple(found)


def _roles(a: Mapping[str, Array], b: Mapping[str, Array]) -> list[tuple[str, str]]:
    """Roles of A and of B that belong together: of one name, else (files without names) of one size."""
    found = {role: role for role in a if role in b}
    left = [role for role in b if role not in found]
    for role in a:
        fit = next((o for o in left if b[o].size == a[role].size), None) if role not in found else None
        if fit is not None:
            found[role] = fit
            left.remove(fit)
    return [(role, found.get(role, role)) for role in a] + [(role, role) for role in left]


def keeps_values(change: WeightChange, bare: bool) -> bool:
    """Whether both sides compute with the same numbers; `bare`: a side has no graph, so its axes are free."""
    return change.state in ("equal", "folded") or (bare and change.state == "layout")


def _name(graph: CanonicalGraph, atom: Atom, role: str) -> str:
    part = atom.weights.get(role)
    return part.key if part is not None else f"{atom.key}.{role}"


def _explained(alignment: Alignment, change: WeightChange, pair: Pair, role: str) -> WeightChange:
    """The change with the foldings that were needed to meet, or as the stored weights explain it."""
    change = _from_integers(alignment, change, pair, role)
    norms = [_norms(alignment.a, pair.a), _norms(alignment.b, pair.b)]
    near = change.difference is not None and change.difference.relative <= _FOLDED
    if norms[0] != norms[1] and (change.state == "equal" or near):
        side = "A" if norms[0] < norms[1] else "B"
        return replace(change, state="folded", detail=f"BatchNorm is folded into it in {side}")
    if any(norms) and near and change.state in ("changed", "scaled"):
        return replace(change, state="folded", detail="but for rounding while BatchNorm is folded in")
    parts = pair.a.weights.get(role), pair.b.weights.get(role)
    if change.state != "changed" or not any(norms) or parts[0] is None or parts[1] is None:
        return change
    sides = zip(parts, (alignment.a.model, alignment.b.model), strict=True)
    stored = [np.asarray(model.weight(part.key).array()) for part, model in sides if part is not None]
    raw = weight_change(stored[0], stored[1], (change.a, change.b))
    return raw if raw.state not in ("equal", "changed", "incomparable") else change


def _from_integers(alignment: Alignment, change: WeightChange, pair: Pair, role: str) -> WeightChange:
    """The change as one of quantising, where a file says that it stores integers and none is a step away."""
    measured = change.difference
    coarse = [s for s, atom in (("a", pair.a), ("b", pair.b)) if _is_dequantised(atom.weights.get(role))]
    if change.state not in ("changed", "scaled") or measured is None or len(coarse) != 1:
        return change
    arrays = [graph.arrays[atom.key].get(role) for graph, atom in _sides(alignment, pair)]
    whole = arrays[0] is not None and arrays[1] is not None and arrays[0].shape == arrays[1].shape
    if role == "bias":
        fits = measured.relative <= _BIAS
    else:
        fits = whole and _within_steps(*(np.asarray(array, np.float64) for array in arrays))
    return replace(change, state="quantised", detail=f"{coarse[0]} is stored as integers") if fits else change


def _sides(alignment: Alignment, pair: Pair) -> tuple[tuple[CanonicalGraph, Atom], ...]:
    return (alignment.a, pair.a), (alignment.b, pair.b)


def _is_dequantised(part: Part | None) -> bool:
    return part is not None and any(note in ("dequantised", "dequantizelinear") for note in part.notes)


def _within_steps(a: Array, b: Array) -> bool:
    """Whether no value lies further than half a step of 8 bits from its partner, a step for each row."""
    rows = len(b) if b.ndim > 1 else 1
    apart, largest = np.abs(a - b).reshape(rows, -1).max(1), np.abs(b).reshape(rows, -1).max(1)
    step = largest / _EIGHT_BITS
    return bool((apart <= _HALF * step).all() or apart.max() <= _HALF * step.max())


def _norms(graph: CanonicalGraph, atom: Atom) -> int:
    """How many BatchNorms a node absorbed."""
    nodes = graph.model.nodes
    return sum(key in nodes and nodes[key].op == "BatchNormalization" for key in atom.origins)
