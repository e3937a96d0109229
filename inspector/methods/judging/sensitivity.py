"""How far does the map move when the input hardly does? Max-sensitivity."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from inspector.errors import BadInput
from inspector.methods.judging.measures import Judged, Measurement, measure

__all__ = ["max_sensitivity"]

SAMPLES, RADIUS = 5, 0.02
"""Draws, and the largest change of an input number as a fraction of the input's range."""


@measure("max-sensitivity", paper="arXiv:1901.09392", better="lower")
def max_sensitivity(judged: Judged) -> Measurement:
    """The largest relative change of the map over random inputs in a small cube (definition 3.1).

    Raises:
        BadInput: the input holds whole numbers, or the map is zero everywhere.
    """
    subject = judged.subject
    before = judged.made.values[0]
    size = float(np.linalg.norm(before))
    if not subject.x.is_floating_point() or subject.entry not in subject.feeds:
        raise BadInput("max-sensitivity moves the input a little; token ids cannot be moved.")
    if size == 0:
        raise BadInput("max-sensitivity divides by the map, which is zero everywhere.")
    generator = torch.Generator().manual_seed(subject.seed)
    reach = RADIUS * float(subject.x.max() - subject.x.min())
    worst = 0.0
    for _ in range(SAMPLES):
        step = (2 * torch.rand(subject.x.shape, generator=generator, dtype=subject.x.dtype) - 1) * reach
        moved = subject.x + step.to(subject.x.device)
        near = dataclasses.replace(
            subject, x=moved, feeds={**subject.feeds, subject.entry: subject.as_fed(moved)}
        )
        worst = max(worst, float(np.linalg.norm(judged.again(near) - before)) / size)
    return Measurement(worst)
