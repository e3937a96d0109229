"""How do the changes from a reference add up to the score's change? DeepLIFT and DeepSHAP."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.axes import axes_of
from inspector.methods.baselines import Baseline, background_of, baseline_of
from inspector.methods.registry import Map, method
from inspector.methods.rules.multipliers import rule_between
from inspector.methods.rules.relevance import recorded, seeds_of, walked_back
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["deep_shap", "deeplift"]


@method(
    "deeplift",
    family="rules",
    paper="arXiv:1704.02685",
    unit="part of the score",
    needs=("gradient",),
    cost="2 forwards, about 2 backwards",
)
def deeplift(subject: Subject, *, baseline: Baseline = "zero") -> Map:
    """(x - baseline) times the multipliers of the rescale rule (Shrikumar et al., eq. 5 and 12).

    Complete for every differentiable operator: GELU, SiLU, ReLU6 and Hardswish too, fused or written out.
    """
    begin, name = baseline_of(subject, baseline)
    values = _contributions(subject, begin)
    residual = subject.score() - subject.score(begin) - values.flatten(1).sum(1)
    return Map(values, axes_of(subject.x), residual, baseline=name)


@method(
    "deep-shap",
    family="rules",
    paper="arXiv:1705.07874",
    unit="part of the score",
    needs=("gradient",),
    cost="2 forwards, about 2 backwards for each background row",
)
def deep_shap(subject: Subject, *, baseline: Baseline = "noise") -> Map:
    """DeepLIFT averaged over a background, an array of references (Lundberg and Lee, section 4.2)."""
    background, name = background_of(subject, baseline)
    total, before = torch.zeros_like(subject.x), torch.zeros_like(subject.score())
    for row in track(background.split(1), "references"):
        begin = row.expand_as(subject.x)
        total += _contributions(subject, begin)
        before += subject.score(begin)
    values, before = total / len(background), before / len(background)
    residual = subject.score() - before - values.flatten(1).sum(1)
    return Map(values, axes_of(subject.x), residual, baseline=name)


def _contributions(subject: Subject, begin: Tensor) -> Tensor:
    """(x - begin) · multiplier, the shape of x."""
    here, there = recorded(subject, subject.x), recorded(subject, begin)
    if [call.step.key for call in here.calls] != [call.step.key for call in there.calls]:
        raise BadInput("the model takes another branch for the baseline: DeepLIFT cannot compare both runs.")
    half_way = {key: (value + there.scored[key]) / 2 for key, value in here.scored.items()}
    found = walked_back(here.calls, seeds_of(subject, half_way), rule_between(here.calls, there.calls))
    multiplier = found.get(subject.entry)
    way = subject.x - begin
    return torch.zeros_like(way) if multiplier is None else way * subject.as_seen(multiplier)
