"""What does a layer respond to most, whatever the class? Eigen-CAM."""

from __future__ import annotations

from inspector.methods.cams.principal import principal_map
from inspector.methods.cams.weighting import as_places, finish
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["eigen_cam"]


@method(
    "eigen-cam",
    family="cams",
    paper="arXiv:2008.00299",
    unit="activation",
    needs=("layer",),
    cost="1 forward, 1 eigenvector",
)
def eigen_cam(subject: Subject, *, rectified: bool = False) -> Map:
    """The layer's first principal component over places; the same for every target (section III)."""
    tail = subject.tail(subject.layer.key)
    note = "Eigen-CAM does not depend on the target."
    at_layer = principal_map(as_places(tail.activations, subject))
    return finish(at_layer, subject, rectified=rectified, notes=(note,))
