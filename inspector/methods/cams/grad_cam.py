"""Where does a layer hold what speaks for the class? Channels weighted by their mean gradient."""

from __future__ import annotations

from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["grad_cam"]


@method(
    "grad-cam",
    family="cams",
    paper="arXiv:1610.02391",
    unit="score",
    needs=("gradient", "layer"),
    cost="1 forward, 1 tail backward",
)
def grad_cam(subject: Subject, *, rectified: bool = True) -> Map:
    """Channels of a layer weighted by the mean of their gradient, summed, rectified (eq. 1 and 2)."""
    tail = subject.tail(subject.layer.key)
    gradient = as_places(tail.slopes, subject)
    weights = gradient.mean((2, 3), keepdim=True)  # eq. 1: alpha_k = 1/Z sum over places of dy/dA
    return finish(weighted_map(weights, as_places(tail.activations, subject)), subject, rectified=rectified)
