"""What is each part's fair share of the score, by regression over coalitions? KernelSHAP."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.perturbation.parts import Labels, Parts, by_rows
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["kernel_shap"]


@method(
    "kernel-shap",
    family="perturbation",
    paper="arXiv:1705.07874",
    unit="part of the score",
    cost="`samples` forwards",
)
def kernel_shap(
    subject: Subject,
    *,
    samples: int = 500,
    parts: str = "",
    count: int = 50,
    baseline: str = "zero",
    labels: Labels = None,
) -> Map:
    """Shapley values from a least-squares fit weighted by the Shapley kernel (theorem 2), efficiency exact.

    With `samples` ≥ 2^parts − 2 every coalition is used and the values are exact; otherwise coalitions are
    drawn by the kernel, each with its complement.

    Raises:
        BadInput: fewer samples than parts.
    """

    def solve(cut: Parts) -> tuple[Tensor, Tensor]:
        return _values(cut, samples, subject.seed)

    return by_rows(subject, solve, parts=parts, count=count, baseline=baseline, labels=labels)


def _values(cut: Parts, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Shapley values (parts,), and what they miss of the difference between everything and nothing shown."""
    count = cut.count
    edges = torch.stack([torch.zeros(count, dtype=torch.bool), torch.ones(count, dtype=torch.bool)])
    ends = cut.scores(edges)
    if count == 1:
        return ends[1:] - ends[:1], ends.new_zeros(())
    if count <= 20 and samples >= 2**count - 2:
        shown, weight = _every(count)
    else:
        if samples < count:
            raise BadInput(
                f"kernel-shap: {samples} samples for {count} parts; take more samples or fewer parts."
            )
        shown, weight = _drawn(count, samples, seed)
    z, y = shown.to(torch.float64), cut.scores(shown) - ends[0]
    whole = ends[1] - ends[0]
    # The last part takes what the others leave, so that the values sum to `whole` (efficiency).
    design, wanted = z[:, :-1] - z[:, -1:], y - z[:, -1] * whole
    root = weight.sqrt()
    scaled, aim = root[:, None] * design, (root * wanted)[:, None]
    fitted = torch.linalg.lstsq(scaled, aim, driver="gelsd").solution[:, 0]
    values = torch.cat([fitted, (whole - fitted.sum())[None]])
    return values, whole - values.sum()


def _every(count: int) -> tuple[Tensor, Tensor]:
    """All coalitions but none and all, with the Shapley kernel of their size."""
    rows = [bits for bits in itertools.product((False, True), repeat=count) if 0 < sum(bits) < count]
    shown = torch.tensor(rows)
    weight = [(count - 1) / (math.comb(count, s) * s * (count - s)) for s in map(sum, rows)]
    return shown, torch.tensor(weight, dtype=torch.float64)


def _drawn(count: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Coalitions drawn with the kernel's distribution of sizes, in complementary pairs, equally weighted."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.arange(1, count, dtype=torch.float64)
    drawn = 1 + torch.multinomial(1 / (sizes * (count - sizes)), samples // 2, True, generator=generator)
    order = torch.rand(len(drawn), count, generator=generator).argsort(1).argsort(1)
    shown = order < drawn[:, None]
    return torch.cat([shown, ~shown]), torch.ones(2 * len(drawn), dtype=torch.float64)
