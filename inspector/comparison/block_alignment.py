"""Which block of one model is which block of the other? Shared labels, shared weights, one cheapest path."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["aligned_blocks"]

Array = np.ndarray[Any, np.dtype[Any]]

_LEVELS = (0.1, 0.15, 0.75)
"""Worth of a node whose class, operator and details (attributes, shapes) are found in the other block."""
_RARE = 2.0
"""Extra worth of details that occur once in a model: stems, heads and stage borders hold the rest."""
_GAP = 0.3
"""Price of a node in a block without partner."""
_TORN = 0.5
"""Price of a node without partner inside a matched block: whole blocks come and go rather than parts."""
_ANCHOR = 4.0
"""Worth of a pair of equal weights, and price of one that another block claims."""


def aligned_blocks(
    a: Array, b: Array, blocks_a: list[range], blocks_b: list[range], anchored: dict[int, int]
) -> list[tuple[int, int]]:
    """Block index pairs of the best monotone alignment.

    `a` and `b` are the label rows of the nodes, `anchored` maps rows of `a` to rows of `b` by weights.
    """
    size_a, size_b = (np.array([len(block) for block in blocks]) for blocks in (blocks_a, blocks_b))
    score = np.zeros((len(blocks_a), len(blocks_b)))
    common = score
    for level, worth in enumerate(_LEVELS):
        rare = _RARE if level == len(_LEVELS) - 1 else 0.0
        shared = _shared(a[:, level], b[:, level], blocks_a, blocks_b, rare)
        common = shared if level == 0 else common
        score = score + worth * shared
    score -= _TORN * (size_a[:, None] + size_b[None, :] - 2 * common)
    score += _ANCHOR * _claims(blocks_a, blocks_b, anchored)
    return _path(score, _GAP * size_a, _GAP * size_b)


def _shared(a: Array, b: Array, blocks_a: list[range], blocks_b: list[range], rare: float) -> Array:
    """Labels in common of every pair of blocks, each worth more the rarer it is."""
    names, numbers = np.unique(np.concatenate([a, b]), return_inverse=True)
    counts_a, counts_b = _counts(numbers[: len(a)], blocks_a), _counts(numbers[len(a) :], blocks_b)
    found = np.zeros((len(blocks_a), len(blocks_b)))
    for label in range(len(names)):
        in_a, in_b = counts_a.get(label), counts_b.get(label)
        if in_a is None or in_b is None:
            continue
        often = max(in_a[1].sum(), in_b[1].sum())
        least = np.minimum(in_a[1][:, None], in_b[1][None, :])
        found[np.ix_(in_a[0], in_b[0])] += least * (1 + rare / often)
    return found


def _counts(numbers: Array, blocks: list[range]) -> dict[int, tuple[Array, Array]]:
    found: dict[int, dict[int, int]] = {}
    for index, block in enumerate(blocks):
        for row in block:
            counts = found.setdefault(int(numbers[row]), {})
            counts[index] = counts.get(index, 0) + 1
    return {label: (np.array(list(c)), np.array(list(c.values()))) for label, c in found.items()}


def _claims(blocks_a: list[range], blocks_b: list[range], anchored: dict[int, int]) -> Array:
    owner_a = {row: i for i, block in enumerate(blocks_a) for row in block}
    owner_b = {row: i for i, block in enumerate(blocks_b) for row in block}
    links = np.zeros((len(blocks_a), len(blocks_b)))
    for row, other in anchored.items():
        links[owner_a[row], owner_b[other]] += 1
    return 3 * links - links.sum(axis=1, keepdims=True) - links.sum(axis=0, keepdims=True)


def _path(score: Array, gap_a: Array, gap_b: Array) -> list[tuple[int, int]]:
    rows, columns = score.shape
    ramp = np.concatenate([[0.0], -np.cumsum(gap_b)])
    total = ramp.copy()
    moves = np.zeros((rows + 1, columns + 1), np.int8)
    moves[0] = 2
    for i in range(rows):
        best = np.empty(columns + 1)
        best[0] = total[0] - gap_a[i]
        diagonal, vertical = total[:-1] + score[i], total[1:] - gap_a[i]
        best[1:] = np.maximum(diagonal, vertical)
        moves[i + 1, 1:] = diagonal < vertical - 1e-9
        moves[i + 1, 0] = 1
        final = np.maximum.accumulate(best - ramp) + ramp
        moves[i + 1][final > best + 1e-9] = 2
        total = final
    return traced(moves, rows, columns)


def traced(moves: Array, i: int, j: int) -> list[tuple[int, int]]:
    """The pairs on the path that the moves (0 both, 1 only a, 2 only b) describe, from the end back."""
    found: list[tuple[int, int]] = []
    while i and j:
        move = moves[i, j]
        if move == 0:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif move == 1:
            i -= 1
        else:
            j -= 1
    return found[::-1]
