"""What does folding hide? Epsilons of BatchNorms, and biases that only one of two equal layers has."""

from __future__ import annotations

import numpy as np

from inspector.comparison.alignment import Alignment, Atom, CanonicalGraph, Edit, Pair
from inspector.model import Node

__all__ = ["folded_changes"]

_DEFAULT = 1e-5
"""Epsilon of a BatchNormalization that does not state one."""
_BIASED = ("Conv", "ConvTranspose", "Gemm")


def folded_changes(alignment: Alignment) -> list[Edit]:
    """Epsilons that differ, and biases in front of a BatchNorm that only one side has."""
    groups: dict[str, list[Pair]] = {}
    layers = 0
    for pair in alignment.pairs:
        norms = _only(alignment.a, pair.a), _only(alignment.b, pair.b)
        if norms[0] is None or norms[1] is None:
            continue
        layers += 1
        before, after = (f"{float(norm.attributes.get('epsilon', _DEFAULT)):.4g}" for norm in norms if norm)
        if before != after:
            groups.setdefault(f"BatchNormalization epsilon {before} -> {after}", []).append(pair)
        biased = _biased(alignment.a, pair.a), _biased(alignment.b, pair.b)
        if biased[0] != biased[1]:
            side = "A" if biased[0] else "B"
            groups.setdefault(f"{pair.a.op} adds a bias before its BatchNorm only in {side}", []).append(pair)
    found: list[Edit] = []
    for text, pairs in groups.items():
        where = "everywhere" if len(pairs) == layers > 1 else f"at {len(pairs)} of {layers}"
        keys = tuple(p.a.key for p in pairs), tuple(p.b.key for p in pairs)
        found.append(Edit("attribute", f"{text} {where}", *keys, min(p.confidence for p in pairs)))
    return found


def _only(graph: CanonicalGraph, atom: Atom) -> Node | None:
    """The one BatchNorm that a node absorbed."""
    nodes = [graph.model.nodes[key] for key in atom.origins if key in graph.model.nodes]
    norms = [node for node in nodes if node.op == "BatchNormalization"]
    return norms[0] if len(norms) == 1 else None


def _biased(graph: CanonicalGraph, atom: Atom) -> bool:
    """Whether the layer in front of the BatchNorm adds a bias that is not zero."""
    for key in atom.origins:
        node = graph.model.nodes.get(key)
        if node is None or node.op not in _BIASED or len(node.inputs) < 3 or not node.inputs[2]:
            continue
        weight = graph.model.weight_behind(node.inputs[2])
        if weight is not None and np.any(weight.array()):
            return True
    return False
