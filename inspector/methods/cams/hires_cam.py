"""Which places raised the score, exactly? HiRes-CAM, gradient × activation summed over channels."""

from __future__ import annotations

from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["hires_cam"]


@method(
    "hires-cam",
    family="cams",
    paper="arXiv:2011.08891",
    unit="score",
    needs=("gradient", "layer"),
    cost="1 forward, 1 tail backward",
)
def hires_cam(subject: Subject, *, rectified: bool = False) -> Map:
    """Gradient × activation at every place, summed over channels; signed (section 3.3).

    Where the head is linear, its sum plus the head's bias is the score.
    """
    tail = subject.tail(subject.layer.key)
    gradient = as_places(tail.slopes, subject)
    return finish(weighted_map(gradient, as_places(tail.activations, subject)), subject, rectified=rectified)
