"""What do trees of decisions predict? TreeEnsemble and its older regressor and classifier (ai.onnx.ml).

Their derivative is 0 almost everywhere, so they are declared not differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.narrow import Strings, Value, to_array
from inspector.autograd.ops.ml_scores import labels_of, transformed
from inspector.autograd.registry import operator

DOMAIN = "ai.onnx.ml"

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
LEAF = len(MODES)
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees in flat arrays over nodes and leaves; `weights` is (node, target), `votes` its mask."""

    roots: Array
    mode: Array
    feature: Array
    value: Array
    yes: Array
    no: Array
    missing_is_yes: Array
    members: dict[int, frozenset[float]]
    weights: Array
    votes: Array

    def leaves(self, x: Array) -> Array:
        """The leaf that each row reaches in each tree, (n, trees)."""
        place = np.broadcast_to(self.roots, (len(x), len(self.roots))).copy()
        rows = np.arange(len(x))[:, None]
        while True:
            mode = self.mode[place]
            if (mode == LEAF).all():
                return place
            entry = x[rows, self.feature[place]]
            value = self.value[place]
            tests = (
                entry <= value,
                entry < value,
                entry >= value,
                entry > value,
                entry == value,
                entry != value,
                self._belongs(place, entry),
                np.ones_like(mode, dtype=bool),
            )
            taken = np.choose(mode, tests) | (np.isnan(entry) & self.missing_is_yes[place])
            place = np.where(mode == LEAF, place, np.where(taken, self.yes[place], self.no[place]))

    def _belongs(self, place: Array, entry: Array) -> Array:
        if not self.members:
            return np.zeros(place.shape, dtype=bool)
        flat = [
            float(item) in self.members.get(int(node), ())
            for node, item in zip(place.ravel(), entry.ravel(), strict=True)
        ]
        return np.array(flat).reshape(place.shape)

    def scores(self, x: Array, aggregate: str) -> tuple[Array, Array]:
        """(n, targets) aggregated over trees, and which targets got a vote."""
        place = self.leaves(x)
        weight, vote = self.weights[place], self.votes[place]
        voted: Array = np.asarray(vote.any(1))
        if aggregate in ("SUM", "AVERAGE"):
            total = weight.sum(1)
            return (total / len(self.roots) if aggregate == "AVERAGE" else total), voted
        worst = np.inf if aggregate == "MIN" else -np.inf
        best = (np.min if aggregate == "MIN" else np.max)(np.where(vote, weight, worst), axis=1)
        return np.where(np.isinf(best), 0, best), voted


def _rows(x: Value) -> Array:
    array = to_array(x)
    return np.atleast_2d(array if array.dtype.kind == "f" else array.astype(np.float32))


def _table(count: int, targets: int, nodes: Array, ids: Array, weights: Array) -> tuple[Array, Array]:
    table = np.zeros((count, targets), dtype=weights.dtype)
    votes = np.zeros((count, targets), dtype=bool)
    np.add.at(table, (nodes, ids), weights)
    votes[nodes, ids] = True
    return table, votes


def _keyed_forest(attributes: dict[str, Any], prefix: str, targets: int) -> Forest:
    """The forest of the attribute spelling up to ai.onnx.ml 3, where nodes are known by tree and node id."""
    trees, nodes = attributes["nodes_treeids"], attributes["nodes_nodeids"]
    number = {key: place for place, key in enumerate(zip(trees, nodes, strict=True))}
    mode = np.array([(*MODES, "LEAF").index(name) for name in attributes["nodes_modes"]])
    yes_ids, no_ids = attributes["nodes_truenodeids"], attributes["nodes_falsenodeids"]
    yes = np.array([number.get(key, 0) for key in zip(trees, yes_ids, strict=True)])
    no = np.array([number.get(key, 0) for key in zip(trees, no_ids, strict=True)])
    value = _floats(attributes, "nodes_values")
    children = {place for places in (yes[mode != LEAF], no[mode != LEAF]) for place in places.tolist()}
    first: dict[int, int] = {}
    for place, tree in enumerate(trees):
        if place not in children:
            first.setdefault(tree, place)
    keys = zip(attributes[f"{prefix}_treeids"], attributes[f"{prefix}_nodeids"], strict=True)
    places = np.array([number[key] for key in keys])
    weights = _floats(attributes, f"{prefix}_weights")
    ids = np.array(attributes[f"{prefix}_ids"])
    table, votes = _table(len(nodes), targets, places, ids, weights)
    missing = np.array(attributes["nodes_missing_value_tracks_true"] or [0] * len(nodes), dtype=bool)
    feature = np.array(attributes["nodes_featureids"])
    roots = np.array(list(first.values()))
    return Forest(roots, mode, feature, value, yes, no, missing, {}, table, votes)


def _floats(attributes: dict[str, Any], name: str) -> Array:
    """An attribute given as floats or, for doubles, as a tensor."""
    tensor = attributes.get(f"{name}_as_tensor")
    if tensor is not None:
        return to_array(tensor)
    return np.array(attributes.get(name) or [], dtype=np.float32)


@operator("TreeEnsembleRegressor", since=1, domain=DOMAIN, differentiable=False)
def tree_ensemble_regressor(x: Tensor, **attributes: Any) -> Tensor:
    targets = attributes["n_targets"] or 1
    forest = _keyed_forest(attributes, "target", targets)
    scores, _ = forest.scores(_rows(x), attributes["aggregate_function"])
    base = _floats(attributes, "base_values")
    if base.size:
        scores = scores + base
    result = transformed(torch.from_numpy(scores).float(), attributes["post_transform"])
    return result.to(x.device)


@operator("TreeEnsembleClassifier", since=1, domain=DOMAIN, differentiable=False)
def tree_ensemble_classifier(x: Tensor, **attributes: Any) -> tuple[Value, Tensor]:
    labels = labels_of(attributes["classlabels_int64s"], attributes["classlabels_strings"])
    count = len(labels)
    forest = _keyed_forest(attributes, "class", max(count, 1))
    scores, voted = forest.scores(_rows(x), "SUM")
    base = _floats(attributes, "base_values")
    post = attributes["post_transform"]
    weights = _floats(attributes, "class_weights")
    if count == 2 and len(set(attributes["class_ids"])) == 1:
        only = attributes["class_ids"][0]
        score = scores[:, only] + (base[-1] if base.size else 0)
        return _binary(torch.from_numpy(score).float(), labels, post, bool((weights >= 0).all()), only)
    if base.size:
        scores = scores + base
    best = np.where(voted, scores, -np.inf).argmax(1) if voted.any() else scores.argmax(1)
    chosen = _chosen(labels, best)
    return chosen, transformed(torch.from_numpy(scores).float(), post)


def _binary(score: Tensor, labels: Array, post: str, positive: bool, only: int) -> tuple[Value, Tensor]:
    """Two classes, votes for one only: weights that are all positive are probabilities, else margins.

    Votes for class 0 stand for the second class and its complement is filled in; votes for class 1 leave the
    first score at 0 (what ONNX Runtime does).
    """
    chosen = _chosen(labels, (score > (0.5 if positive else 0)).long().numpy())
    if only == 1:
        return chosen, transformed(torch.stack([torch.zeros_like(score), score], 1), post)
    if post == "PROBIT":
        return chosen, transformed(score.unsqueeze(1), post)
    pair = torch.stack([-score, score], 1)
    if post == "LOGISTIC":
        return chosen, torch.sigmoid(pair)
    return chosen, torch.stack([1 - score, score], 1) if positive else pair


def _chosen(labels: Array, places: Array) -> Value:
    picked: Strings = labels[places]
    return picked if labels.dtype == object else torch.from_numpy(picked)


@operator("TreeEnsemble", since=5, domain=DOMAIN, differentiable=False)
def tree_ensemble(x: Tensor, **attributes: Any) -> Tensor:
    splits = to_array(attributes["nodes_splits"])
    count = len(splits)
    weights = to_array(attributes["leaf_weights"])
    leaf_count = len(weights)
    yes, no = np.array(attributes["nodes_truenodeids"]), np.array(attributes["nodes_falsenodeids"])
    yes = yes + count * np.array(attributes["nodes_trueleafs"])
    no = no + count * np.array(attributes["nodes_falseleafs"])
    mode = to_array(attributes["nodes_modes"]).astype(np.int64)
    targets = attributes["n_targets"] or 1
    ids = np.array(attributes["leaf_targetids"])
    table, votes = _table(count + leaf_count, targets, count + np.arange(leaf_count), ids, weights)
    missing = np.array(attributes["nodes_missing_value_tracks_true"] or [0] * count, dtype=bool)
    rest = np.zeros(leaf_count, dtype=np.int64)
    forest = Forest(
        np.array(attributes["tree_roots"]),
        np.concatenate([mode, rest + LEAF]),
        np.concatenate([np.array(attributes["nodes_featureids"]), rest]),
        np.concatenate([splits, rest.astype(splits.dtype)]),
        np.concatenate([yes, rest]),
        np.concatenate([no, rest]),
        np.concatenate([missing, rest.astype(bool)]),
        _member_sets(mode, attributes["membership_values"]),
        table,
        votes,
    )
    scores, _ = forest.scores(_rows(x), AGGREGATES[attributes["aggregate_function"]])
    post = TRANSFORMS[attributes["post_transform"]]
    return transformed(torch.from_numpy(scores).to(x.dtype), post).to(x.device)


def _member_sets(mode: Array, values: Tensor | None) -> dict[int, frozenset[float]]:
    """The set of each membership node: the values between NaNs, in the order of those nodes."""
    nodes = np.flatnonzero(mode == MODES.index("BRANCH_MEMBER")).tolist()
    if values is None or not nodes:
        return {}
    groups: list[list[float]] = [[]]
    for item in values.tolist():
        if np.isnan(item):
            groups.append([])
        else:
            groups[-1].append(item)
    return {node: frozenset(group) for node, group in zip(nodes, groups, strict=False)}
