"""Which input numbers does the score react to? The plain gradient."""

from __future__ import annotations

from inspector.methods.axes import axes_of
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["gradient"]


@method(
    "gradient",
    family="gradients",
    paper="arXiv:1312.6034",
    unit="score per unit of input",
    needs=("gradient",),
    cost="1 backward",
)
def gradient(subject: Subject) -> Map:
    """The signed derivative of the score by every input number (Simonyan et al., section 3)."""
    return Map(subject.gradient(), axes_of(subject.x))
