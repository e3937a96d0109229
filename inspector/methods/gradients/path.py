"""What is the mean gradient along a straight path, and where does the path need more steps?"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from inspector.methods.gradients.prefix import Start
from inspector.methods.gradients.quadrature import nodes_of
from inspector.progress import report, track

__all__ = ["Path", "Piece", "mean_gradient", "refined"]

PIECE = 5
"""Gradients in one piece of a refined path: what goes through the net together."""
SHORTEST = 1e-13
"""Pieces are not halved below this part of the path: rounding is all that is left."""


@dataclass(frozen=True, eq=False)
class Path:
    """A straight line from `begin` to `begin + way`, both (n, …), behind the affine start of a net."""

    start: Start
    begin: Tensor
    way: Tensor
    rule: str

    def at(self, places: list[float]) -> Tensor:
        """The points at places in [0, 1], all n rows of the first place, then of the second."""
        return torch.cat([self.begin + place * self.way for place in places])

    def score(self, place: float) -> Tensor:
        """Scores (n,) at one place."""
        return self.start.score(self.at([place]))


@dataclass(frozen=True, order=True)
class Piece:
    """A part of a path; `badness` is minus how much of the score's change its quadrature misses."""

    badness: float
    left: float
    right: float


def mean_gradient(path: Path, pieces: list[tuple[float, float]], steps: int) -> Tensor:
    """The quadrature of the gradient over all pieces, `steps` points in each, (n, …)."""
    places, weights = nodes_of(path.rule, steps)
    along = np.concatenate([a + (b - a) * places for a, b in pieces])
    shares = np.concatenate([(b - a) * weights for a, b in pieces])
    rows = path.begin.shape[0]
    total = torch.zeros_like(path.begin)
    for piece in track(list(path.start.passes(len(along))), "path steps"):
        gradients = path.start.gradient(path.at([float(along[i]) for i in piece])).split(rows)
        for index, gradient in zip(piece, gradients, strict=True):
            total += float(shares[index]) * gradient
    return total


def refined(path: Path, steps: int, tolerance: float, most: int) -> tuple[list[tuple[float, float]], bool]:
    """Pieces of the path over which `PIECE` points each leave a completeness error within `tolerance`, and
    whether that was reached with at most `most` points.

    The change of the score over a piece is known exactly, so the piece that misses most of it is halved.
    `tolerance` is a fraction of the whole change, for the worst row.
    """
    count = max(1, steps // PIECE)
    edges = [float(edge) for edge in np.linspace(0, 1, count + 1)]
    scores = {edge: path.score(edge) for edge in edges}
    change = (scores[1.0] - scores[0.0]).abs().clamp(min=torch.finfo(path.way.dtype).tiny)
    heap = [_piece(path, scores, change, a, b) for a, b in pairwise(edges)]
    heapq.heapify(heap)
    while PIECE * (len(heap) + 1) <= most:
        error = -sum(piece.badness for piece in heap)
        report("refining", len(heap), None)
        if error <= tolerance or heap[0].right - heap[0].left < SHORTEST:
            break
        worst = heapq.heappop(heap)
        middle = (worst.left + worst.right) / 2
        scores[middle] = path.score(middle)
        for a, b in ((worst.left, middle), (middle, worst.right)):
            heapq.heappush(heap, _piece(path, scores, change, a, b))
    pieces = sorted((piece.left, piece.right) for piece in heap)
    return pieces, -sum(piece.badness for piece in heap) <= tolerance


def _piece(path: Path, scores: dict[float, Tensor], change: Tensor, left: float, right: float) -> Piece:
    got = (mean_gradient(path, [(left, right)], PIECE) * path.way).flatten(1).sum(1)
    missing = (scores[right] - scores[left] - got).abs() / change
    return Piece(-float(missing.max()), left, right)
