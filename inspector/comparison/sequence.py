"""How are two node sequences laid side by side? Branch-wise order, context labels, dynamic programming."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from inspector.comparison.alignment import Atom, CanonicalGraph
from inspector.comparison.block_alignment import traced

__all__ = ["COMMUTATIVE", "aligned_order", "details", "family", "labels", "ordered"]

Array = np.ndarray[Any, np.dtype[Any]]
Around = list[list[tuple[int, int]]]

_RECTIFIERS = ("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Clip")
_CURVES = ("Sigmoid", "Tanh", "Gelu", "Silu", "HardSwish", "HardSigmoid", "Softplus", "Mish")
_ACTIVATIONS = frozenset((*_RECTIFIERS, *_CURVES))
_POOLS = frozenset(("MaxPool", "AveragePool", "LpPool"))
COMMUTATIVE = frozenset(("Add", "Mul", "Max", "Min", "Sum", "Equal", "And", "Or"))
"""Operators whose operands may stand in any order."""
_RADII = (1, 2, 4, 8)
_MASK = 2**64 - 1
_GAP = -0.6
_CONTEXT = 0.15
"""Worth of an equal neighbourhood at one radius, against 1 for an equal class."""


def family(op: str) -> str:
    """Class of an operator in which a match of different operators makes sense."""
    return "activation" if op in _ACTIVATIONS else "pool" if op in _POOLS else op


def ordered(graph: CanonicalGraph) -> list[str]:
    """Topological order by depth-first search from the ends, deepest operand first: branches stay whole."""
    operands: dict[str, list[str]] = {key: [] for key in graph.atoms}
    read: set[str] = set()
    for edge in graph.edges:
        if edge.source in operands:
            operands[edge.target].append(edge.source)
            read.add(edge.source)
    depth: dict[str, int] = {}
    for key in graph.atoms:
        depth[key] = 1 + max((depth[source] for source in operands[key]), default=0)
    found: dict[str, None] = {}
    for end in (key for key in graph.atoms if key not in read):
        stack = [(end, False)]
        while stack:
            key, done = stack.pop()
            if done:
                found[key] = None
            elif key not in found:
                stack.append((key, True))
                stack.extend((s, False) for s in sorted(operands[key], key=depth.__getitem__))
    return list(found)


def labels(graph: CanonicalGraph, order: list[str]) -> Array:
    """One row of stable 64-bit labels an atom: class, operator, details, then context at growing radius."""
    place = {key: i for i, key in enumerate(order)}
    above: Around = [[] for _ in order]
    below: Around = [[] for _ in order]
    for edge in graph.edges:
        if edge.source in place:
            position = -1 if graph.atoms[edge.target].op in COMMUTATIVE else edge.operand
            above[place[edge.target]].append((place[edge.source], position))
            below[place[edge.source]].append((place[edge.target], position))
    atoms = [graph.atoms[key] for key in order]
    columns = [[_hash(family(x.op)) for x in atoms], [_hash(x.op) for x in atoms]]
    widths = _widths(graph, order)
    columns.append([_hash((details(graph, x), widths[x.key])) for x in atoms])
    for start in columns[:2]:
        columns += _contexts(start, above, below)
    return np.array(columns, np.uint64).T.reshape(len(order), len(columns))


def _contexts(start: list[int], above: Around, below: Around) -> list[list[int]]:
    """Hashes of what stands above and below at growing radius, from one label an atom."""
    found: list[list[int]] = []
    up = down = start
    for radius in range(1, _RADII[-1] + 1):
        up = [_mixed(start[i], [(up[j], p) for j, p in near]) for i, near in enumerate(above)]
        down = [_mixed(start[i], [(down[j], p) for j, p in near]) for i, near in enumerate(below)]
        if radius in _RADII:
            found += [up, down]
    return found


def _widths(graph: CanonicalGraph, order: list[str]) -> dict[str, int]:
    """Output channels by atom, as far as the weights above it tell."""
    operands: dict[str, list[str]] = {}
    for edge in graph.edges:
        operands.setdefault(edge.target, []).append(edge.source)
    found: dict[str, int] = {}
    for key in order:
        weight = graph.arrays.get(key, {}).get("weight")
        above = [found.get(source, 0) for source in operands.get(key, [])]
        if weight is not None and graph.atoms[key].op in ("Conv", "Dense"):
            found[key] = weight.shape[0]
        else:
            found[key] = (sum if graph.atoms[key].op == "Concat" else max)(above or [0])
    return found


def details(graph: CanonicalGraph, atom: Atom) -> tuple[object, ...]:
    """Operator, shape of the weight and attributes: what equal copies have in common."""
    weight = graph.arrays.get(atom.key, {}).get("weight")
    shape = () if weight is None else weight.shape
    return atom.op, shape, str(sorted(atom.attributes.items(), key=lambda item: item[0]))


def _mixed(start: int, near: list[tuple[int, int]]) -> int:
    """A hash of whole numbers alone, which Python keeps the same in every run."""
    return hash((start, *sorted(near))) & _MASK


def _hash(content: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(content).encode(), digest_size=8).digest(), "little")


def aligned_order(a: Array, b: Array, bonus: dict[int, int]) -> list[tuple[int, int]]:
    """Index pairs of the best monotone alignment; `bonus` maps anchored rows of `a` to rows of `b`."""
    rows, columns = len(a), len(b)
    weights = np.array([1.0, 0.6, 0.6, *[_CONTEXT] * (a.shape[1] - 3)])
    taken = np.zeros(columns, bool)
    taken[list(bonus.values())] = True
    total = np.zeros(columns + 1) + _GAP * np.arange(columns + 1)
    moves = np.zeros((rows + 1, columns + 1), np.int8)
    moves[0] = 2
    ramp = _GAP * np.arange(columns + 1)
    for i in range(rows):
        equal = a[i] == b
        score = np.where(equal[:, 0], equal @ weights, -1e6)
        if i in bonus:
            score[:] = -1e6
            score[bonus[i]] = 20.0
        else:
            score[taken] = -1e6
        best = np.empty(columns + 1)
        best[0] = total[0] + _GAP
        diagonal, vertical = total[:-1] + score, total[1:] + _GAP
        best[1:] = np.maximum(diagonal, vertical)
        moves[i + 1, 1:] = diagonal < vertical
        moves[i + 1, 0] = 1
        final = np.maximum.accumulate(best - ramp) + ramp
        moves[i + 1][final > best + 1e-9] = 2
        total = final
    return traced(moves, rows, columns)
