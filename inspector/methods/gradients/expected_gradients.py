"""How is the score's change from a whole background spread over the input? Gradients at random points."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.axes import axes_of
from inspector.methods.baselines import Baseline, background_of
from inspector.methods.gradients.prefix import start_of
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["expected_gradients"]


@method(
    "expected-gradients",
    family="gradients",
    paper="arXiv:1906.10670",
    unit="part of the score",
    needs=("gradient",),
    cost="`samples` backwards",
)
def expected_gradients(
    subject: Subject, *, baseline: Baseline = "zero", samples: int = 50, noise: float = 0.0
) -> Map:
    """The mean of (x - b) · gradient over baselines b and places on the way to x (Erion et al., eq. 3).

    An array of several rows is a background: b is one of them, drawn by chance, and its place uniform; with
    `noise` b is blurred by that fraction of the input's range (GradientSHAP). Complete in expectation only;
    the residual says how far this draw is off, and it shrinks with the root of `samples`.
    """
    if samples < 1:
        raise BadInput(f"samples must be at least 1, got {samples}.")
    background, name = background_of(subject, baseline)
    start = start_of(subject, linear=False)
    total = torch.zeros_like(subject.x)
    drawn = _draws(subject, background, samples, noise)
    for piece in start.passes(samples):
        pairs = [next(drawn) for _ in piece]
        points = torch.cat([b + place * (subject.x - b) for b, place in pairs])
        gradients = start.gradient(points).split(subject.x.shape[0])
        for (b, _), gradient in zip(pairs, gradients, strict=True):
            total += (subject.x - b) * gradient
    values = total / samples
    before = torch.stack([subject.score(row.expand_as(subject.x)) for row in background.split(1)]).mean(0)
    residual = subject.score() - before - values.flatten(1).sum(1)
    return Map(values, axes_of(subject.x), residual, baseline=name)


def _draws(
    subject: Subject, background: Tensor, samples: int, noise: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """A baseline for every row and its place (n, 1, …) on the way to the input; equal for equal seeds."""
    generator = torch.Generator().manual_seed(subject.seed)
    x, ones = subject.x, (1,) * (subject.x.ndim - 1)
    low, high = x.flatten(1).aminmax(dim=1)
    width = (noise * (high - low)).reshape(-1, *ones)
    for _ in range(samples):
        chosen = torch.randint(background.shape[0], (x.shape[0],), generator=generator)
        place = torch.rand((x.shape[0], *ones), generator=generator, dtype=x.dtype).to(x.device)
        begin = background[chosen.to(x.device)]
        if noise:
            begin = begin + width * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        yield begin, place
