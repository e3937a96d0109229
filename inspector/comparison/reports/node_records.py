"""What became of each node of either file? State, partners, reasons, and how far weights and values moved."""

from __future__ import annotations

from typing import Any

from inspector.comparison.activations import ActivationChange
from inspector.comparison.comparing import Comparison
from inspector.comparison.reports.rows import Row, rows_of
from inspector.comparison.weight_changes import WeightChange
from inspector.comparison.weight_pairs import keeps_values
from inspector.model import Model

__all__ = ["node_records"]

_STATES = {"equal": "same", "only_a": "only", "only_b": "only", "ignored": "ignored"}
_KINDS = ("node", "weights", "values", "only_a", "only_b", "equal")
"""What a node that stands in several pairs is called: the first of these that one of them has."""


def node_records(found: Comparison) -> dict[str, list[dict[str, Any]]]:
    """One record for every node of A and of B, in the order of the files."""
    rows = rows_of(found)
    return {
        "a": _side(found, rows, found.alignment.a.model, 0),
        "b": _side(found, rows, found.alignment.b.model, 1),
    }


def _side(found: Comparison, rows: list[Row], model: Model, side: int) -> list[dict[str, Any]]:
    of: dict[str, list[Row]] = {}
    for row in rows:
        atom = (row.a, row.b)[side]
        for key in atom.origins if atom is not None else ():
            of.setdefault(key, []).append(row)
    pairs = {pair.a.key: i for i, pair in enumerate(found.pairs)}
    weights = {id(change): i for i, change in enumerate(found.weights)}
    values = {id(change): i for i, change in enumerate(found.activations)}
    records: list[dict[str, Any]] = []
    for key, node in model.nodes.items():
        owner = key
        while owner not in of and owner in model.nodes and model.nodes[owner].body:
            owner = model.nodes[owner].body.rpartition(".")[0]
        mine = of.get(owner, [])
        kind = next((k for k in _KINDS if any(row.state == k for row in mine)), "ignored")
        others = [(row.b, row.a)[side] for row in mine]
        first = next((row for row in mine if row.a is not None and row.b is not None), None)
        changes = [change for row in mine for change in row.weights]
        run = next((row.activation for row in mine if row.activation is not None), None)
        records.append(
            {
                "key": key,
                "operator": node.op,
                "state": _STATES.get(kind, "changed"),
                "kind": kind,
                "partners": list(dict.fromkeys(o for atom in others if atom for o in atom.origins)),
                "pair": None if first is None or first.a is None else pairs[first.a.key],
                "reasons": list(dict.fromkeys(word for row in mine for word in row.changes))
                or ["layout, constant or pass-through node; only its effect is compared"] * (not mine),
                "first_divergence": any(row.parts for row in mine),
                "weights": _weights(found, changes, weights),
                "activation": _activation(run, values),
            }
        )
    return records


def _weights(found: Comparison, changes: list[WeightChange], places: dict[int, int]) -> dict[str, Any] | None:
    """The largest differences among the weights of a node; `at` are their places in `weights`."""
    if not changes:
        return None
    known = [change.difference for change in changes if change.difference is not None]
    return {
        "states": list(dict.fromkeys(change.state for change in changes)),
        "differ": sum(not keeps_values(change, found.bare) for change in changes),
        "max_abs": max((d.max_abs for d in known), default=None),
        "relative_l2": max((d.relative for d in known), default=None),
        "cosine": min((d.cosine for d in known), default=None),
        "at": [places[id(change)] for change in changes],
    }


def _activation(change: ActivationChange | None, places: dict[int, int]) -> dict[str, Any] | None:
    """How far the value of a node moved; `at` is its place in `activations`."""
    if change is None:
        return None
    measured = change.difference
    return {
        "agrees": change.agrees,
        "max_abs": None if measured is None else measured.max_abs,
        "relative_l2": None if measured is None else measured.relative,
        "cosine": None if measured is None else measured.cosine,
        "at": places[id(change)],
    }
