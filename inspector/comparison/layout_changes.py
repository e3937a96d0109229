"""Where do two models hand data on in another order? Layout notes of matched edges, compared."""

from __future__ import annotations

import math

import numpy as np

from inspector.comparison.alignment import Alignment, CanonicalGraph, Edge, Edit, Pair
from inspector.comparison.layout import Order, net_order

__all__ = ["layout_changes"]


def layout_changes(alignment: Alignment, mirrored: bool = False) -> list[Edit]:
    """Edges between matched nodes whose transposes and reshapes amount to different orders.

    Transposes at the inputs of the model are the layout of its files and not told; neither is a flatten in
    another order whose weights are permuted to fit. Where B is `mirrored`, its axes 2 and 3 trade places.
    """
    into_a, into_b = _into(alignment.a), _into(alignment.b)
    partner = {pair.a.key: pair.b.key for pair in alignment.pairs}
    groups: dict[str, list[Pair]] = {}
    for pair in alignment.pairs:
        for edge in into_a.get(pair.a.key, []):
            source = partner.get(edge.source)
            others = [e for e in into_b.get(pair.b.key, []) if e.source == source]
            if source is None or not others:
                continue
            other = min(others, key=lambda e: e.operand != edge.operand)
            first, second = net_order(edge.notes), net_order(other.notes)
            second = _mirror(second) if mirrored and second is not None else second
            if first is None or second is None or _equal(first, second) or _fitted(alignment, pair):
                continue
            text = f"{pair.a.op} reads its operand in another order: {_shown(first)} -> {_shown(second)}"
            groups.setdefault(text, []).append(pair)
    found: list[Edit] = []
    for text, pairs in groups.items():
        where = f" at {len(pairs)} places" if len(pairs) > 1 else ""
        keys = tuple(p.a.key for p in pairs), tuple(p.b.key for p in pairs)
        found.append(Edit("layout", text + where, *keys, min(p.confidence for p in pairs)))
    return found


def _into(graph: CanonicalGraph) -> dict[str, list[Edge]]:
    found: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        found.setdefault(edge.target, []).append(edge)
    return found


def _mirror(order: Order) -> Order:
    """An order of pictures whose height and width are exchanged, in terms of those that are not."""
    return tuple({"2": "3", "3": "2"}.get(name, name) for name in order[0]), order[1]


def _equal(first: Order, second: Order) -> bool:
    """Equal orders; equal cuts too where the whole has the same size (4 heads of 8 or 8 of 4)."""
    if first[0] != second[0]:
        return False
    sizes = [[s for s in order[1] if isinstance(s, int)] for order in (first, second)]
    whole = [math.prod(size) for size in sizes]
    return whole[0] != whole[1] or len(sizes[0]) != len(sizes[1]) or sizes[0] == sizes[1]


def _fitted(alignment: Alignment, pair: Pair) -> bool:
    """Whether the weights of a dense layer are permuted, which makes up for another order."""
    x = alignment.a.arrays.get(pair.a.key, {}).get("weight")
    y = alignment.b.arrays.get(pair.b.key, {}).get("weight")
    if pair.a.op != "Dense" or x is None or y is None or x.shape != y.shape or "weights" not in pair.evidence:
        return False
    near = 1e-3 * float(np.abs(x).max(initial=0.0))
    return not np.allclose(x, y, atol=near) and np.allclose(np.sort(x, None), np.sort(y, None), atol=near)


def _shown(order: Order) -> str:
    return " ".join(order[0]) or "as it lies"
