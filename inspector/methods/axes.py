"""What are the axes of an explained value called?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from inspector.methods.channels import channel_axis

if TYPE_CHECKING:
    from inspector.methods.subject import Subject

__all__ = ["axes_of", "stated_axes"]

_NAMES = {
    1: ("n",),
    2: ("n", "f"),
    3: ("n", "c", "t"),
    4: ("n", "c", "h", "w"),
    5: ("n", "c", "d", "h", "w"),
}


def axes_of(value: Tensor) -> tuple[str, ...]:
    """Names by rank, channels first as in ONNX: (n, f), (n, c, t), (n, c, h, w), (n, c, d, h, w)."""
    return _NAMES.get(value.ndim, ("n", *(f"axis {i}" for i in range(1, value.ndim))))


def stated_axes(subject: Subject) -> tuple[str, ...]:
    """The axes of the explained value as the model has it: pictures (n, h, w, c) and signals (n, t, c)
    where it takes them so, (n, t) for token ids and (n, t, e) for their embedding. A signal of which neither
    the graph nor the size of its axes tells the channels has (n, axis 1, axis 2).
    """
    if subject.last:
        return ("n", "h", "w", "c") if subject.x.ndim == 4 else ("n", "t", "c")
    if subject.is_embedding and subject.x.ndim == 3:
        return ("n", "t", "e")
    if not subject.x.is_floating_point() and subject.x.ndim == 2:
        return ("n", "t")
    if subject.x.ndim == 3 and not _has_few_channels(subject):
        return ("n", "axis 1", "axis 2")
    return axes_of(subject.x)


def _has_few_channels(subject: Subject) -> bool:
    _, channels, steps = subject.x.shape
    return channels * 8 <= steps or channel_axis(subject.model, subject.entry, 3) == 1
