"""Which details lie where the class is? Guided backpropagation times the upsampled Grad-CAM."""

from __future__ import annotations

from inspector.errors import BadInput
from inspector.methods.axes import axes_of
from inspector.methods.cams.grad_cam import grad_cam
from inspector.methods.registry import Map, method
from inspector.methods.rules.guided_backprop import guided_backprop
from inspector.methods.subject import Subject

__all__ = ["guided_grad_cam"]


@method(
    "guided-grad-cam",
    family="rules",
    paper="arXiv:1610.02391",
    unit="score² per unit of input",
    needs=("gradient", "layer"),
    cost="2 forwards, 1 backward, 1 tail backward",
)
def guided_grad_cam(subject: Subject) -> Map:
    """The elementwise product of both maps (Selvaraju et al., section 3.2), channel by channel."""
    places = grad_cam(subject)
    details = guided_backprop(subject)
    if places.values.shape[1:] != subject.input_size():
        expected, got = list(places.values.shape[1:]), list(subject.input_size())
        raise BadInput(f"the class map has places {expected}, the input {got}. Choose another layer.")
    cam = places.values.unsqueeze(-1 if subject.is_embedding else 1)
    return Map(details.values * cam, axes_of(subject.x), at_layer=places.at_layer, notes=details.notes)
