"""What are the gradients of many noisy copies of an input? Their moments, a few copies at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.gradients.prefix import Start
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["noise_width", "noisy_gradients", "noisy_inputs"]


def noise_width(subject: Subject, noise: float) -> Tensor:
    """The standard deviation for every row (n, 1, …): `noise` times the row's max - min (section 3.1)."""
    low, high = subject.x.flatten(1).aminmax(dim=1)
    return (noise * (high - low)).reshape(-1, *[1] * (subject.x.ndim - 1))


def noisy_inputs(start: Start, noise: float, samples: int) -> Iterator[Tensor]:
    """Batches (k·n, …) of noisy inputs; equal for equal seeds however many go in one pass.

    Raises:
        BadInput: no samples, or a negative noise.
    """
    if samples < 1 or noise < 0:
        raise BadInput(f"samples must be at least 1 and noise at least 0; got {samples} and {noise:g}.")
    x = start.subject.x
    width = noise_width(start.subject, noise)
    generator = torch.Generator().manual_seed(start.subject.seed)
    for piece in track(list(start.passes(samples)), "samples"):
        drawn = [torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device) for _ in piece]
        yield torch.cat([x + width * draw for draw in drawn])


def noisy_gradients(start: Start, noise: float, samples: int) -> Iterator[Tensor]:
    """The gradient (n, …) of each noisy copy in turn, behind the affine start where there is one."""
    rows = start.subject.x.shape[0]
    for batch in noisy_inputs(start, noise, samples):
        yield from start.gradient(start.enter(batch)).split(rows)
