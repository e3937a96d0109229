"""How far does the score fall when one part of the input is hidden? Feature ablation."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.methods.perturbation.parts import Labels, Parts, by_rows
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["feature_ablation"]


@method(
    "feature-ablation",
    family="perturbation",
    paper="arXiv:1311.2901",
    unit="fall of the score",
    cost="1 forward a part",
)
def feature_ablation(
    subject: Subject, *, parts: str = "", count: int = 50, baseline: str = "zero", labels: Labels = None
) -> Map:
    """The score minus the score without a part: superpixels, tokens, pieces of time or numbers of a table.

    `labels` gives own parts: a whole number for every place.
    """
    return by_rows(subject, _falls, parts=parts, count=count, baseline=baseline, labels=labels)


def _falls(cut: Parts) -> tuple[Tensor, None]:
    everything = torch.ones(1, cut.count, dtype=torch.bool)
    scores = cut.scores(torch.cat([everything, ~torch.eye(cut.count, dtype=torch.bool)]))
    return scores[0] - scores[1:], None
