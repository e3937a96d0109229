"""Which channels does the score depend on, by activation? XGrad-CAM."""

from __future__ import annotations

import torch

from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["xgrad_cam"]


@method(
    "xgrad-cam",
    family="cams",
    paper="arXiv:2008.02312",
    unit="score",
    needs=("gradient", "layer"),
    cost="1 forward, 1 tail backward",
)
def xgrad_cam(subject: Subject, *, rectified: bool = True) -> Map:
    """Channels weighted by the mean of their gradient, weighted by their share of activation (eq. 8)."""
    tail = subject.tail(subject.layer.key)
    activations = as_places(tail.activations, subject)
    gradient = as_places(tail.slopes, subject)
    total = activations.sum((2, 3), keepdim=True)
    share = torch.where(total != 0, activations / torch.where(total != 0, total, 1), 0)
    weights = (share * gradient).sum((2, 3), keepdim=True)
    return finish(weighted_map(weights, activations), subject, rectified=rectified)
