"""Which unmatched nodes follow from their matched neighbours? Operands by position, consumers when unique."""

from __future__ import annotations

from collections import Counter

from inspector.comparison.alignment import CanonicalGraph
from inspector.comparison.sequence import COMMUTATIVE, family

__all__ = ["neighbours", "propagate"]

Around = dict[str, list[tuple[str, str, int]]]


def neighbours(graph: CanonicalGraph) -> Around:
    """What stands around every atom: direction, other end, operand position."""
    found: Around = {key: [] for key in graph.atoms}
    for edge in graph.edges:
        if edge.source in graph.atoms:
            position = -1 if graph.atoms[edge.target].op in COMMUTATIVE else edge.operand
            found[edge.target].append(("above", edge.source, position))
            found[edge.source].append(("below", edge.target, position))
    return found


def propagate(
    a: CanonicalGraph, b: CanonicalGraph, order: list[str], matched: dict[str, str]
) -> dict[str, str]:
    """New pairs among what is unmatched: most matched neighbours in common wins, ties are left alone."""
    around_a, around_b = neighbours(a), neighbours(b)
    taken, found = set(matched.values()), dict[str, str]()
    for direction in ("above", "below"):
        for key in order if direction == "above" else reversed(order):
            if key in matched or key in found:
                continue
            votes: Counter[str] = Counter()
            for way, other, position in around_a[key]:
                partner = matched.get(other) or found.get(other)
                if way != direction or partner is None:
                    continue
                back = "below" if way == "above" else "above"
                for turn, candidate, place in around_b[partner]:
                    if turn == back and place == position and candidate not in taken:
                        votes[candidate] += 1
            best = _best(a, b, key, votes)
            if best:
                found[key] = best
                taken.add(best)
    return found


def _best(a: CanonicalGraph, b: CanonicalGraph, key: str, votes: Counter[str]) -> str:
    kind = family(a.atoms[key].op)
    fit = [(count, other) for other, count in votes.most_common() if family(b.atoms[other].op) == kind]
    same = [(count, other) for count, other in fit if b.atoms[other].op == a.atoms[key].op] or fit
    if not same or (len(same) > 1 and same[0][0] == same[1][0]):
        return ""
    return same[0][1]
