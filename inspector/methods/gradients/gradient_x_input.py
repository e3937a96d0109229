"""How much does each input number contribute to first order? Gradient times input."""

from __future__ import annotations

from inspector.methods.axes import axes_of
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["gradient_x_input"]


@method(
    "gradient-x-input",
    family="gradients",
    paper="arXiv:1605.01713",
    unit="part of the score",
    needs=("gradient",),
    cost="1 backward",
)
def gradient_x_input(subject: Subject) -> Map:
    """The signed gradient times the input (Shrikumar et al. 2016); LRP-0 on ReLU nets without biases."""
    return Map(subject.gradient() * subject.x, axes_of(subject.x))
