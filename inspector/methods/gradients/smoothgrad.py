"""Which input numbers matter in the neighbourhood of the input? Moments of noisy gradients."""

from __future__ import annotations

import torch

from inspector.errors import BadInput
from inspector.methods.axes import axes_of
from inspector.methods.gradients.noisy import noisy_gradients
from inspector.methods.gradients.prefix import start_of
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["smoothgrad", "smoothgrad_squared", "vargrad"]


@method(
    "smoothgrad",
    family="gradients",
    paper="arXiv:1706.03825",
    unit="score per unit of input",
    needs=("gradient",),
    cost="`samples` backwards",
)
def smoothgrad(subject: Subject, *, samples: int = 50, noise: float = 0.15, exact: bool = False) -> Map:
    """The mean gradient of noisy copies; `noise` is a fraction of the input's range (Smilkov et al., eq. 1).

    `exact` runs the whole net unfolded for every copy; otherwise BatchNorm is folded and the affine start
    is pulled back once, equal up to rounding.
    """
    start = start_of(subject, exact=exact)
    gradients = noisy_gradients(start, noise, samples)
    total = next(gradients).clone()
    for gradient in gradients:
        total += gradient
    return Map(start.leave(total / samples), axes_of(subject.x))


@method(
    "smoothgrad-squared",
    family="gradients",
    paper="arXiv:1806.10758",
    unit="(score per unit of input)²",
    needs=("gradient",),
    cost="`samples` backwards",
)
def smoothgrad_squared(subject: Subject, *, samples: int = 50, noise: float = 0.15) -> Map:
    """The mean squared gradient of noisy copies; never negative (Hooker et al., section 4)."""
    total = torch.zeros_like(subject.x)
    for gradient in noisy_gradients(start_of(subject, linear=False), noise, samples):
        total += gradient.square()
    return Map(total / samples, axes_of(subject.x))


@method(
    "vargrad",
    family="gradients",
    paper="arXiv:1810.03292",
    unit="(score per unit of input)²",
    needs=("gradient",),
    cost="`samples` backwards",
)
def vargrad(subject: Subject, *, samples: int = 50, noise: float = 0.15) -> Map:
    """The variance of the gradient over noisy copies (Adebayo et al., appendix), by Welford's update.

    The divisor is `samples - 1`; the update never subtracts two large squares, so no variance is negative.
    """
    if samples < 2:
        raise BadInput(f"vargrad needs at least 2 samples, got {samples}.")
    mean, spread = torch.zeros_like(subject.x), torch.zeros_like(subject.x)
    for count, gradient in enumerate(noisy_gradients(start_of(subject, linear=False), noise, samples), 1):
        away = gradient - mean
        mean += away / count
        spread += away * (gradient - mean)
    return Map(spread / (samples - 1), axes_of(subject.x))
