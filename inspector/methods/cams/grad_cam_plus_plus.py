"""Where do several objects of one class lie? Grad-CAM++, places weighted by higher derivatives."""

from __future__ import annotations

import torch

from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["grad_cam_plus_plus"]


@method(
    "grad-cam++",
    family="cams",
    paper="arXiv:1710.11063",
    unit="score",
    needs=("gradient", "layer"),
    cost="1 forward, 1 tail backward",
)
def grad_cam_plus_plus(subject: Subject, *, rectified: bool = True) -> Map:
    """Channels weighted by positive gradients with coefficients that count each object once (eq. 5 and 19).

    The class score is exp(logit), as in the paper: its factor exp(S) is common to all places and left out.
    """
    tail = subject.tail(subject.layer.key)
    activations = as_places(tail.activations, subject)
    gradient = as_places(tail.slopes, subject)
    square = gradient**2
    below = 2 * square + activations.sum((2, 3), keepdim=True) * gradient**3
    alpha = torch.where(below != 0, square / torch.where(below != 0, below, 1), 0)  # eq. 19
    weights = (alpha * gradient.clamp(min=0)).sum((2, 3), keepdim=True)  # eq. 5
    return finish(weighted_map(weights, activations), subject, rectified=rectified)
