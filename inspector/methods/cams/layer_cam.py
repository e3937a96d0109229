"""Which places of any layer speak for the class? Layer-CAM, every place weighted by its own gradient."""

from __future__ import annotations

from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["layer_cam"]


@method(
    "layer-cam",
    family="cams",
    paper="doi:10.1109/TIP.2021.3089943",
    unit="score",
    needs=("gradient", "layer"),
    cost="1 forward, 1 tail backward",
)
def layer_cam(subject: Subject, *, rectified: bool = True) -> Map:
    """Positive gradient × activation at every place, summed over channels (eq. 4 to 6)."""
    tail = subject.tail(subject.layer.key)
    gradient = as_places(tail.slopes, subject)
    at_layer = weighted_map(gradient.clamp(min=0), as_places(tail.activations, subject))
    return finish(at_layer, subject, rectified=rectified)
