"""Which node of one model is which node of the other? Weights anchor, context and order fill in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.comparison.alignment import Alignment, CanonicalGraph, Pair
from inspector.comparison.canonical import canonical
from inspector.comparison.fingerprints import anchors
from inspector.comparison.sequence import aligned_order, labels, ordered

if TYPE_CHECKING:
    from inspector.model.model import Model

__all__ = ["align", "align_graphs"]


def align(model_a: Model, model_b: Model) -> Alignment:
    """Match the canonical nodes of two models; names play no part."""
    return align_graphs(canonical(model_a), canonical(model_b))


def align_graphs(a: CanonicalGraph, b: CanonicalGraph) -> Alignment:
    """Match two canonical views."""
    order_a, order_b = ordered(a), ordered(b)
    fixed = anchors(a, b)
    labels_a, labels_b = labels(a, order_a), labels(b, order_b)
    place_b = {key: i for i, key in enumerate(order_b)}
    bonus = {i: place_b[fixed[key]] for i, key in enumerate(order_a) if key in fixed}
    matched = dict(fixed)
    context: dict[str, int] = {}
    taken = set(fixed.values())
    for i, j in aligned_order(labels_a, labels_b, bonus):
        key, other = order_a[i], order_b[j]
        context[key] = int((labels_a[i] == labels_b[j]).sum())
        if key not in matched and other not in taken:
            matched[key] = other
            taken.add(other)
    pairs = tuple(
        _pair(a, b, key, matched[key], key in fixed, context.get(key, 0), labels_a.shape[1])
        for key in order_a
        if key in matched
    )
    equal = sum(pair.a.op == pair.b.op for pair in pairs)
    total = len(a.atoms) + len(b.atoms)
    return Alignment(
        a,
        b,
        pairs,
        tuple(a.atoms[key] for key in order_a if key not in matched),
        tuple(b.atoms[key] for key in order_b if key not in taken),
        2 * equal / total if total else 1.0,
    )


def _pair(
    a: CanonicalGraph, b: CanonicalGraph, key: str, other: str, anchored: bool, context: int, full: int
) -> Pair:
    evidence = (("weights",) if anchored else ()) + (("context",) if context == full else ())
    confidence = 1.0 if anchored else 0.5 + 0.4 * context / full
    return Pair(a.atoms[key], b.atoms[other], evidence or ("order",), confidence)
