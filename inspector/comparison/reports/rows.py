"""Which node stands beside which? Rows of both models in order, with the state of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from inspector.comparison.alignment import Atom, CanonicalGraph
from inspector.comparison.comparing import Comparison
from inspector.comparison.sequence import ordered
from inspector.comparison.weight_pairs import keeps_values, pair_weights

__all__ = ["COLORS", "NAMES", "NodeState", "Row", "rows_of"]

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
    """A node of A, of B, or a pair; `changes` says in words what differs, `parts` that values part here."""

    a: Atom | None
    b: Atom | None
    state: NodeState
    changes: tuple[str, ...] = ()
    parts: bool = False
    relative: float | None = None


def rows_of(found: Comparison) -> list[Row]:
    """Pairs in the order of A; nodes without partner where their own model has them."""
    graph_a, graph_b = found.alignment.a, found.alignment.b
    partner = {pair.a.key: pair for pair in found.pairs}
    matched_b = {pair.b.key for pair in found.pairs}
    waiting = ordered(graph_b)
    place = {key: i for i, key in enumerate(waiting)}
    edited = _edited(found)
    values = {change.a: change for change in found.activations}
    first = found.first_divergence
    rows: list[Row] = []
    done = 0
    for key in ordered(graph_a):
        pair = partner.get(key)
        if pair is None:
            rows.append(Row(graph_a.atoms[key], None, "only_a"))
            continue
        upto = place[pair.b.key]
        rows += _alone(graph_b, waiting[done:upto], matched_b)
        done = max(done, upto)
        change = values.get(pair.a.value)
        relative = None if change is None or change.difference is None else change.difference.relative
        weights = [c for c in pair_weights(found.alignment, pair) if not keeps_values(c, found.bare)]
        words = [*edited.get(key, ()), *(_weight_words(c.state, c.detail, c.a) for c in weights)]
        differs = change is not None and not change.agrees
        if differs and relative is not None:
            words.append(f"values differ by {relative:.2g}")
        state: NodeState = (
            "node" if key in edited else "weights" if weights else "values" if differs else "equal"
        )
        rows.append(
            Row(pair.a, pair.b, state, tuple(words), first is not None and first.pair is pair, relative)
        )
    return rows + _alone(graph_b, waiting[done:], matched_b)


def _alone(graph: CanonicalGraph, keys: list[str], matched: set[str]) -> list[Row]:
    return [Row(None, graph.atoms[key], "only_b") for key in keys if key not in matched]


def _edited(found: Comparison) -> dict[str, list[str]]:
    """Words of every edit that touches a matched node, by its key in A."""
    words: dict[str, list[str]] = {}
    for edit in found.edits:
        if edit.a_keys and edit.b_keys:
            for key in edit.a_keys:
                words.setdefault(key, []).append(edit.text)
    return words


def _weight_words(state: str, detail: str, name: str) -> str:
    return f"{name}: {state}{': ' if detail else ''}{detail}"
