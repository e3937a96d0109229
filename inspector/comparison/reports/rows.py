"""Which node stands beside which? Rows of both models in order, with the state of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from inspector.comparison.activations import ActivationChange
from inspector.comparison.alignment import Atom, CanonicalGraph
from inspector.comparison.comparing import Comparison
from inspector.comparison.sequence import ordered
from inspector.comparison.weight_changes import WeightChange
from inspector.comparison.weight_pairs import keeps_values

__all__ = ["COLORS", "NAMES", "NodeState", "Row", "rows_of"]

Words = dict[str, list[str]]
NodeState = Literal["equal", "weights", "values", "node", "only_a", "only_b"]

COLORS: Mapping[NodeState, tuple[str, str]] = {
    "equal": ("#8a94a0", "#ffffff"),
    "weights": ("#b26a00", "#fff3dc"),
    "values": ("#7a3fa8", "#f4ebfb"),
    "node": ("#0b66c3", "#e4f0fd"),
    "only_a": ("#c0262d", "#fde8e8"),
    "only_b": ("#1a7f37", "#e3f6e7"),
}
"""Ink and ground of every state."""

NAMES: Mapping[NodeState, str] = {
    "equal": "equal",
    "weights": "weights differ",
    "values": "only values differ",
    "node": "operator or attribute differs",
    "only_a": "only in A",
    "only_b": "only in B",
}


@dataclass(frozen=True)
class Row:
    """A node of A, of B, or a pair; `changes` says in words what differs, `parts` that values part here.

    `weights` and `activation` are what was measured of a pair.
    """

    a: Atom | None
    b: Atom | None
    state: NodeState
    changes: tuple[str, ...] = ()
    parts: bool = False
    weights: tuple[WeightChange, ...] = ()
    activation: ActivationChange | None = None


def rows_of(found: Comparison) -> list[Row]:
    """Pairs in the order of A; nodes without partner where their own model has them."""
    graph_a, graph_b = found.alignment.a, found.alignment.b
    partner = {pair.a.key: pair for pair in found.pairs}
    matched_b = {pair.b.key for pair in found.pairs}
    waiting = ordered(graph_b)
    place = {key: i for i, key in enumerate(waiting)}
    edited = _edited(found, "a"), _edited(found, "b")
    values = {change.a: change for change in found.activations}
    first = found.first_divergence
    rows: list[Row] = []
    done = 0
    for key in ordered(graph_a):
        pair = partner.get(key)
        if pair is None:
            rows.append(Row(graph_a.atoms[key], None, "only_a", tuple(edited[0].get(key, ()))))
            continue
        upto = place[pair.b.key]
        rows += _alone(graph_b, waiting[done:upto], matched_b, edited[1])
        done = max(done, upto)
        change = values.get(pair.a.value)
        weights = found.node_weights.get(key, ())
        odd = [c for c in weights if not keeps_values(c, found.bare)]
        words = [*edited[0].get(key, ()), *map(_weight_words, odd)]
        differs = change is not None and not change.agrees
        if differs and change is not None:
            words.append(_value_words(change))
        state: NodeState = (
            "node" if key in edited[0] else "weights" if odd else "values" if differs else "equal"
        )
        parts = first is not None and first.pair is pair
        rows.append(Row(pair.a, pair.b, state, tuple(words), parts, weights, change))
    return rows + _alone(graph_b, waiting[done:], matched_b, edited[1])


def _alone(graph: CanonicalGraph, keys: list[str], matched: set[str], words: Words) -> list[Row]:
    return [
        Row(None, graph.atoms[key], "only_b", tuple(words.get(key, ()))) for key in keys if key not in matched
    ]


def _edited(found: Comparison, side: Literal["a", "b"]) -> Words:
    """Words of every edit that touches a node of one side."""
    words: Words = {}
    for edit in found.edits:
        for key in edit.a_keys if side == "a" else edit.b_keys:
            words.setdefault(key, []).append(edit.text)
    return words


def _value_words(change: ActivationChange) -> str:
    measured = change.difference
    return "values of another shape" if measured is None else f"values differ by {measured.relative:.2g}"


def _weight_words(change: WeightChange) -> str:
    measured = change.difference
    if change.state == "changed" and measured is not None:
        counted = f"{change.values:,} of {measured.size:,} values changed"
        return f"{change.a}: {counted}, relative {measured.relative:.2g}"
    return f"{change.a}: {change.state}{': ' if change.detail else ''}{change.detail}"
