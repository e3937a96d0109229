"""What varies most in what speaks for the class? EigenGrad-CAM."""

from __future__ import annotations

from inspector.methods.cams.principal import principal_map
from inspector.methods.cams.weighting import as_places, finish
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["eigengrad_cam"]


@method(
    "eigengrad-cam",
    family="cams",
    paper="arXiv:2008.00299, applied to gradient × activation",
    unit="score",
    needs=("gradient", "layer"),
    cost="1 forward, 1 tail backward, 1 eigenvector",
)
def eigengrad_cam(subject: Subject, *, rectified: bool = False) -> Map:
    """The first principal component over places of gradient × activation."""
    tail = subject.tail(subject.layer.key)
    gradient = as_places(tail.slopes, subject)
    at_layer = principal_map(gradient * as_places(tail.activations, subject))
    return finish(at_layer, subject, rectified=rectified)
