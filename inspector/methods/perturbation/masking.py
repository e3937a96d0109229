"""What stands where a part of the input is hidden? A baseline; zeros where inputs are whole numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.baselines import baseline_of
from inspector.methods.subject import Subject

__all__ = ["hidden_input"]


def hidden_input(subject: Subject, baseline: str) -> Tensor:
    """What is put in place of the explained value, in its shape.

    Raises:
        BadInput: a baseline of averages or noise for token ids.
        UnknownName: not one of the baselines.
    """
    x = subject.x
    if x.is_floating_point():
        return baseline_of(subject, baseline)[0]
    if baseline != "zero":
        raise BadInput(f"baseline {baseline!r}: the input holds whole numbers (token ids); use zero.")
    return torch.zeros_like(x)
