"""Why do two matched nodes give different values? The likeliest cause, from what differs at the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from inspector.comparison.alignment import Alignment, Edge, Pair
from inspector.comparison.weight_changes import WeightChange
from inspector.model import Model, Node

__all__ = ["Cause", "likely_cause"]

Array = np.ndarray[Any, np.dtype[Any]]
Cause = Literal[
    "preprocessing", "padding", "epsilon", "layout", "channel order", "activation", "attribute", "statistics",
    "scale", "precision", "weight", "structure", "unknown",
]  # fmt: skip

_NORM_ROLES = ("", "scale", "shift", "running mean", "running variance")


def likely_cause(
    alignment: Alignment, pair: Pair, weights: tuple[WeightChange, ...], inputs_differ: str = ""
) -> tuple[Cause, str]:
    """The kind of cause and a sentence; `weights` are the changes of this pair."""
    fed: tuple[Cause, str] | None = ("preprocessing", inputs_differ) if inputs_differ else None
    for found in (
        _attributes(pair),
        _normalisation(alignment, pair),
        _weights(weights),
        fed,
        _neighbours(alignment, pair),
        _layout(alignment, pair),
    ):
        if found is not None:
            return found
    return "unknown", "attributes and weights of the node agree; look at its inputs"


def _attributes(pair: Pair) -> tuple[Cause, str] | None:
    a, b = pair.a, pair.b
    if a.op != b.op:
        return "activation", f"{a.op} in A is {b.op} in B"
    for name in sorted({*a.attributes, *b.attributes}):
        old, new = a.attributes.get(name), b.attributes.get(name)
        if old == new:
            continue
        said = f"{name} {_shown(old)} in A, {_shown(new)} in B"
        if name in ("pads", "ceil_mode", "count_include_pad"):
            return "padding", said
        return ("epsilon" if name == "epsilon" else "attribute"), said
    return None


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else f"{value}"


def _normalisation(alignment: Alignment, pair: Pair) -> tuple[Cause, str] | None:
    """What differs in the BatchNorms that were folded into the two nodes."""
    sides = alignment.a.model, alignment.b.model
    norms = [list(_norms(model, atom.origins)) for model, atom in zip(sides, (pair.a, pair.b), strict=True)]
    for one, other in zip(*norms, strict=False):
        eps = [float(node.attributes.get("epsilon", 1e-5)) for node in (one, other)]
        if not np.isclose(eps[0], eps[1], rtol=1e-3, atol=0):
            return "epsilon", f"epsilon of BatchNorm {one.key!r} is {eps[0]:g} in A, {eps[1]:g} in B"
        for place in range(1, 5):
            x, y = _stored(sides[0], one, place), _stored(sides[1], other, place)
            if x is not None and y is not None and x.shape == y.shape and not np.allclose(x, y, rtol=1e-5):
                return "statistics", f"{_NORM_ROLES[place]} of BatchNorm {one.key!r} differs"
    return None


def _norms(model: Model, keys: tuple[str, ...]) -> Iterator[Node]:
    return (model.nodes[key] for key in keys if model.nodes[key].op == "BatchNormalization")


def _stored(model: Model, node: Node, place: int) -> Array | None:
    weight = model.weight_behind(node.inputs[place]) if place < len(node.inputs) else None
    return None if weight is None else np.asarray(weight.array(), np.float64)


def _weights(changes: tuple[WeightChange, ...]) -> tuple[Cause, str] | None:
    for change in changes:
        named = change.a if change.a == change.b else f"{change.a} / {change.b}"
        if change.state == "layout":
            return "layout", f"{named}: the same numbers with {change.detail or 'axes in another order'}"
        if change.state == "permuted" and "RGB" in change.detail:
            return "channel order", f"{named}: {change.detail}"
        if change.state == "permuted":
            return "layout", f"{named}: {change.detail} (another order of flattening, or channels permuted)"
        if change.state in ("rounded", "quantised"):
            return "precision", f"{named}: {change.detail}"
        if change.state == "scaled":
            return "scale", f"{named}: {change.detail} (epsilon or variance of a folded BatchNorm)"
        if change.state in ("changed", "incomparable"):
            return "weight", f"{named} {_amount(change)}"
    return None


def _amount(change: WeightChange) -> str:
    found = change.difference
    if found is None:
        return f"cannot be compared: {change.detail}"
    return (
        f"changed: {change.values:,} of {found.size:,} values, relative {found.relative:.3g}, "
        f"largest {found.max_abs:.3g}"
    )


def _neighbours(alignment: Alignment, pair: Pair) -> tuple[Cause, str] | None:
    """Whether what feeds the node has no partner, or another one."""
    partner = {p.a.key: p.b.key for p in alignment.pairs}
    above_a, above_b = _above(alignment.a.edges, pair.a.key), _above(alignment.b.edges, pair.b.key)
    expected = {partner.get(edge.source, edge.source) for edge in above_a if edge.source in partner}
    strange = [e.source for e in above_b if e.source in alignment.b.atoms and e.source not in expected]
    missing = [e.source for e in above_a if e.source in alignment.a.atoms and e.source not in partner]
    if strange or missing:
        names = [f"{key!r} only in A" for key in missing] or [f"{key!r} in B" for key in strange]
        return "structure", f"it is fed by {', '.join(names[:3])}"
    return None


def _layout(alignment: Alignment, pair: Pair) -> tuple[Cause, str] | None:
    notes = [
        [note for edge in _above(graph.edges, key) for note in edge.notes]
        for graph, key in ((alignment.a, pair.a.key), (alignment.b, pair.b.key))
    ]
    if notes[0] == notes[1] or any("?" in note for side in notes for note in side):
        return None
    sides = [" then ".join(side) or "nothing" for side in notes]
    return "layout", f"on the way to it A does {sides[0]}, B does {sides[1]}"


def _above(edges: tuple[Edge, ...], key: str) -> list[Edge]:
    return [edge for edge in edges if edge.target == key]
