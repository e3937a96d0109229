"""Do the bodies of matched If, Loop and Scan nodes hold the same? Operators and stored weights, counted."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from inspector.comparison.alignment import Alignment, Edit
from inspector.model import Model

__all__ = ["compare_bodies"]

_CONTROL = ("If", "Loop", "Scan", "SequenceMap")


def compare_bodies(alignment: Alignment) -> tuple[Edit, ...]:
    """An edit for every matched control-flow node whose bodies differ in operators or weights."""
    found: list[Edit] = []
    for pair in alignment.pairs:
        if pair.a.op not in _CONTROL or pair.b.op != pair.a.op:
            continue
        one, other = _content(alignment.a.model, pair.a.key), _content(alignment.b.model, pair.b.key)
        keys = (pair.a.key,), (pair.b.key,)
        if one[0] != other[0]:
            counts = f"{one[0].total()} nodes in A, {other[0].total()} in B"
            found.append(Edit("operator", f"bodies of {pair.a.op} {pair.a.key} differ: {counts}", *keys, 1.0))
        elif one[1] != other[1]:
            lost = (one[1] - other[1]).total()
            text = f"weights differ inside {pair.a.op} {pair.a.key}: {lost} of {one[1].total()}"
            found.append(Edit("weights", text, *keys, 1.0))
    return tuple(found)


def _content(model: Model, key: str) -> tuple[Counter[str], Counter[str]]:
    """Operators, and digests of float weights, of all bodies below a node."""
    inside = [node for node in model.nodes.values() if node.body.startswith(f"{key}.")]
    operators = Counter(node.op for node in inside if node.op != "Constant")
    weights: Counter[str] = Counter()
    for weight in model.weights.values():
        if weight.key.startswith(f"{key}.") and weight.dtype.startswith("float") and weight.size:
            values = np.sort(np.asarray(weight.array(), np.float32), axis=None)
            weights[hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()] += 1
    return operators, weights
