"""Which details of the input would raise the score along rectifiers that are on? Guided backpropagation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspector.autograd.overrides import guided, rectifier_overrides
from inspector.methods.axes import axes_of
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["guided_backprop", "notes_on"]

INSANE = (
    "Guided backpropagation draws edges of the input even when the weights are random (arXiv:1810.03292): "
    "sharp details are no evidence that the model uses them."
)
NO_RECTIFIER = "The net has no rectifier, so this is the plain gradient."


@method(
    "guided-backprop",
    family="rules",
    paper="arXiv:1412.6806",
    unit="score per unit of input",
    needs=("gradient",),
    cost="1 backward",
)
def guided_backprop(subject: Subject) -> Map:
    """The gradient where every rectifier also drops negative gradients (Springenberg et al., figure 1).

    Rectifiers are nodes of the graph, so functional, reused and exported ones are all found.
    """
    rules = rectifier_overrides(subject.net, guided)
    return Map(subject.gradient(overrides=rules), axes_of(subject.x), notes=notes_on(subject, rules))


def notes_on(subject: Subject, rules: Mapping[Any, Any]) -> tuple[str, ...]:
    """What a map by these rules for rectifiers does not show; edges are drawn in pictures alone."""
    if not rules:
        return (NO_RECTIFIER,)
    return (INSANE,) if subject.x.ndim == 4 and not subject.is_embedding else ()
