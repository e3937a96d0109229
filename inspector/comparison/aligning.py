"""Which node of one model is which node of the other? Weights anchor, blocks and context fill in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.comparison.alignment import Alignment, CanonicalGraph, Pair
from inspector.comparison.block_alignment import aligned_blocks
from inspector.comparison.blocks import blocks
from inspector.comparison.canonical import canonical
from inspector.comparison.collecting import collector_paused
from inspector.comparison.fingerprints import anchors
from inspector.comparison.propagation import propagate
from inspector.comparison.sequence import aligned_order, family, labels, ordered

if TYPE_CHECKING:
    from inspector.model.model import Model

__all__ = ["align", "align_graphs"]

Array = np.ndarray[Any, np.dtype[Any]]
_DETAILS = 2
"""Column of the labels that holds attributes and shapes."""


def align(model_a: Model, model_b: Model) -> Alignment:
    """Match the canonical nodes of two models; names play no part."""
    return align_graphs(canonical(model_a), canonical(model_b))


def align_graphs(a: CanonicalGraph, b: CanonicalGraph) -> Alignment:
    """Match two canonical views."""
    with collector_paused():
        return _matched(a, b)


def _matched(a: CanonicalGraph, b: CanonicalGraph) -> Alignment:
    order_a, order_b = ordered(a), ordered(b)
    fixed = anchors(a, b)
    rows_a, rows_b = labels(a, order_a), labels(b, order_b)
    place_b = {key: i for i, key in enumerate(order_b)}
    anchored = {i: place_b[fixed[key]] for i, key in enumerate(order_a) if key in fixed}
    cut_a, cut_b = _cut(a, order_a), _cut(b, order_b)
    block_pairs = aligned_blocks(rows_a, rows_b, cut_a, cut_b, anchored)
    found = _inside(rows_a, rows_b, cut_a, cut_b, block_pairs, anchored)
    matched = dict(fixed)
    taken = set(fixed.values())
    for i, j in found.items():
        if order_a[i] not in matched and order_b[j] not in taken:
            matched[order_a[i]] = order_b[j]
            taken.add(order_b[j])
    spread = propagate(a, b, order_a, matched)
    matched |= spread
    copies = _copies(rows_a, rows_b, cut_a, cut_b, block_pairs, anchored)
    pairs: list[Pair] = []
    for i, key in enumerate(order_a):
        if key in matched:
            row = rows_b[place_b[matched[key]]]
            context = int((rows_a[i] == row).sum()) / len(row)
            evidence = "neighbours" if key in spread else "context" if context == 1 else "order"
            how = key in fixed, evidence, context
            pairs.append(_pair(a, b, (key, matched[key]), how, i in copies))
    equal = sum(pair.a.op == pair.b.op for pair in pairs)
    total = len(a.atoms) + len(b.atoms)
    reached = set(matched.values())
    return Alignment(
        a,
        b,
        tuple(pairs),
        tuple(a.atoms[key] for key in order_a if key not in matched),
        tuple(b.atoms[key] for key in order_b if key not in reached),
        2 * equal / total if total else 1.0,
    )


def _cut(graph: CanonicalGraph, order: list[str]) -> list[range]:
    return blocks(graph, order, [family(graph.atoms[key].op) for key in order])


def _inside(
    a: Array,
    b: Array,
    cut_a: list[range],
    cut_b: list[range],
    block_pairs: list[tuple[int, int]],
    anchored: dict[int, int],
) -> dict[int, int]:
    """Row pairs inside matched blocks, then in the gaps between them where both sides have rows left."""
    found: dict[int, int] = {}
    owner = {j: i for i, j in anchored.items()}
    after_a = after_b = 0
    for x, y in [*block_pairs, (len(cut_a), len(cut_b))]:
        left = [i for block in cut_a[after_a:x] for i in block]
        right = [j for block in cut_b[after_b:y] for j in block]
        found |= _sequence(a, b, left, right, (anchored, owner))
        if x < len(cut_a):
            found |= _sequence(a, b, list(cut_a[x]), list(cut_b[y]), (anchored, owner))
        after_a, after_b = x + 1, y + 1
    return found


def _sequence(
    a: Array, b: Array, left: list[int], right: list[int], links: tuple[dict[int, int], dict[int, int]]
) -> dict[int, int]:
    """Pairs of two lists of rows; rows whose weights `links` to another place stay out."""
    anchored, owner = links
    inside, mine = set(right), set(left)
    left = [i for i in left if anchored.get(i, right[0] if right else -1) in inside]
    right = [j for j in right if owner.get(j) is None or owner[j] in mine]
    if not left or not right:
        return {}
    here = {j: n for n, j in enumerate(right)}
    bonus = {n: here[anchored[i]] for n, i in enumerate(left) if i in anchored}
    return {left[i]: right[j] for i, j in aligned_order(a[left], b[right], bonus)}


def _copies(
    a: Array,
    b: Array,
    cut_a: list[range],
    cut_b: list[range],
    block_pairs: list[tuple[int, int]],
    anchored: dict[int, int],
) -> set[int]:
    """Rows of `a` whose block, without weights in common, could as well be an unmatched equal copy."""
    partner = dict(block_pairs)
    sides = [(_runs(a, cut_a), set(partner)), (_runs(b, cut_b), set(partner.values()))]
    loose: list[set[int]] = []
    for runs, matched in sides:
        loose.append({run for block, run in enumerate(runs) if block not in matched})
    found: set[int] = set()
    for x, y in block_pairs:
        if sides[0][0][x] in loose[0] or sides[1][0][y] in loose[1]:
            found.update(i for i in cut_a[x] if not any(k in anchored for k in cut_a[x]))
    return found


def _runs(rows: Array, cut: list[range]) -> list[int]:
    """The number of the run of equal blocks, next to each other, that each block belongs to."""
    signs = [tuple(sorted(rows[block.start : block.stop, _DETAILS].tolist())) for block in cut]
    found, run = list[int](), 0
    for i, sign in enumerate(signs):
        run += bool(i and sign != signs[i - 1])
        found.append(run)
    return found


def _pair(
    a: CanonicalGraph,
    b: CanonicalGraph,
    keys: tuple[str, str],
    how: tuple[bool, str, float],
    ambiguous: bool,
) -> Pair:
    anchored, evidence, context = how
    said = (*["weights"] * anchored, *[evidence] * (not anchored or evidence == "context"))
    confidence = 1.0 if anchored else 0.5 + 0.4 * context
    return Pair(a.atoms[keys[0]], b.atoms[keys[1]], said, confidence, ambiguous)
