"""What is each part's fair share of the score? Shapley values, exact or from sampled orders."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from inspector.errors import TooLarge
from inspector.methods.perturbation.parts import Labels, Parts, by_rows
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["shapley", "shapley_sampling"]

MOST_EXACT = 16
"""Parts up to which all 2^parts coalitions are run."""


@method(
    "shapley-sampling",
    family="perturbation",
    paper="doi:10.1016/j.cor.2008.04.004",
    unit="part of the score",
    cost="`orders` × parts forwards",
)
def shapley_sampling(
    subject: Subject,
    *,
    orders: int = 20,
    parts: str = "",
    count: int = 25,
    baseline: str = "zero",
    labels: Labels = None,
) -> Map:
    """The mean rise of the score as parts are shown one by one in random orders (Castro 2009, section 3).

    Orders come in pairs, each with its reverse. Unbiased; every order sums to the score minus the baseline's.
    """

    def solve(cut: Parts) -> tuple[Tensor, Tensor]:
        total = torch.zeros(cut.count, dtype=torch.float64)
        gained = torch.zeros((), dtype=torch.float64)
        for order in track(_orders(cut.count, orders, subject.seed), "Drawing orders"):
            scores = cut.scores(_growing(order))
            total[order] += scores.diff()
            gained += scores[-1] - scores[0]
        return total / orders, (gained - total.sum()) / orders

    return by_rows(subject, solve, parts=parts, count=count, baseline=baseline, labels=labels)


@method(
    "shapley", family="perturbation", paper="Shapley 1953", unit="part of the score", cost="2^parts forwards"
)
def shapley(
    subject: Subject, *, parts: str = "", count: int = 10, baseline: str = "zero", labels: Labels = None
) -> Map:
    """Exact Shapley values over all coalitions of at most 16 parts.

    Raises:
        TooLarge: more parts.
    """
    return by_rows(subject, _exact, parts=parts, count=count, baseline=baseline, labels=labels)


def _exact(cut: Parts) -> tuple[Tensor, Tensor]:
    """Part i gets the sum over coalitions S without it of |S|! (m - |S| - 1)! / m! (v(S + i) - v(S))."""
    m = cut.count
    if m > MOST_EXACT:
        raise TooLarge(
            f"{m} parts are 2^{m} coalitions; shapley takes {MOST_EXACT}. Use count=10 or shapley-sampling."
        )
    codes = torch.arange(2**m)
    shown = (codes[:, None] >> torch.arange(m)) & 1 == 1
    scores = cut.scores(shown)
    sizes = shown.sum(1)
    orders = [math.factorial(s) * math.factorial(m - s - 1) / math.factorial(m) for s in range(m)]
    weight = torch.tensor(orders, dtype=torch.float64)
    values = torch.stack([_share(i, codes, shown, scores, weight, sizes) for i in range(m)])
    return values, scores[-1] - scores[0] - values.sum()


def _share(i: int, codes: Tensor, shown: Tensor, scores: Tensor, weight: Tensor, sizes: Tensor) -> Tensor:
    without = codes[~shown[:, i]]
    return (weight[sizes[without]] * (scores[without + 2**i] - scores[without])).sum()


def _orders(count: int, orders: int, seed: int) -> list[Tensor]:
    """Random orders, every second one the reverse of the one before; each order once where few exist."""
    if count <= 6 and orders == math.factorial(count):
        return [torch.tensor(order) for order in itertools.permutations(range(count))]
    generator = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    while len(found) < orders:
        order = torch.randperm(count, generator=generator)
        found += [order, order.flip(0)]
    return found[:orders]


def _growing(order: Tensor) -> Tensor:
    """Coalitions (count + 1, count) from none to all in this order."""
    rank = order.argsort()
    return rank[None, :] < torch.arange(len(order) + 1)[:, None]
