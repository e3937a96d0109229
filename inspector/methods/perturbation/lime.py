"""Which parts raise the score in a linear model of the neighbourhood? LIME."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.methods.perturbation.parts import Labels, Parts, by_rows
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["lime"]


@method(
    "lime",
    family="perturbation",
    paper="arXiv:1602.04938",
    unit="part of the score",
    cost="`samples` forwards",
)
def lime(
    subject: Subject,
    *,
    samples: int = 500,
    width: float = 0.25,
    ridge: float = 1.0,
    parts: str = "",
    count: int = 50,
    baseline: str = "zero",
    labels: Labels = None,
) -> Map:
    """Coefficients of a ridge regression on random choices of shown parts, near ones counting more (eq. 2).

    A sample's weight is exp(−d²/width²) with the cosine distance d to the whole input; the first sample is
    the whole input. `ridge` is the penalty on the coefficients, not on the intercept.
    """

    def solve(cut: Parts) -> tuple[Tensor, None]:
        generator = torch.Generator().manual_seed(subject.seed)
        shown = torch.rand(samples, cut.count, generator=generator) < 0.5
        shown[0] = True
        return _fit(shown, cut.scores(shown), width, ridge), None

    return by_rows(subject, solve, parts=parts, count=count, baseline=baseline, labels=labels)


def _fit(shown: Tensor, scores: Tensor, width: float, ridge: float) -> Tensor:
    """Weighted ridge regression with an intercept; coefficients (parts,)."""
    z = shown.to(torch.float64)
    distance = 1 - (z.sum(1) / z.shape[1]).sqrt()  # cosine between z and all ones is sqrt(|z| / parts)
    weight = torch.exp(-(distance**2) / width**2)
    mean_z, mean_y = (weight @ z) / weight.sum(), (weight @ scores) / weight.sum()
    centred = z - mean_z
    normal = centred.T @ (weight[:, None] * centred) + ridge * torch.eye(z.shape[1], dtype=z.dtype)
    return torch.linalg.solve(normal, centred.T @ (weight * (scores - mean_y)))
