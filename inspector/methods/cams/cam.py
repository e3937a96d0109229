"""What does the linear head weigh at every place? CAM, behind global average pooling and a linear layer."""

from __future__ import annotations

import torch

from inspector.errors import NoGradientPath
from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["cam"]

TOLERANCE = 1e-4
"""Relative; a head is linear in the pooled values when doubling and mixing them says so."""


@method(
    "cam",
    family="cams",
    paper="arXiv:1512.04150",
    unit="score",
    needs=("gradient", "layer", "linear head"),
    cost="1 forward, 1 tail backward, 3 tail forwards",
)
def cam(subject: Subject) -> Map:
    """Channels of the last layer weighted by the class's row of the linear head, signed (eq. 2).

    Raises:
        NoGradientPath: what follows the layer is not global average pooling and a linear layer.
    """
    tail = subject.tail(subject.layer.key)
    activations = tail.activations
    slopes = as_places(tail.slopes, subject)
    other = activations.flip(0).roll(1, -1) * 0.5 + activations.mean()
    elsewhere = as_places(tail.gradient(other), subject)
    size = slopes.abs().amax() + torch.finfo(slopes.dtype).tiny
    pooled = (slopes - slopes.mean((2, 3), keepdim=True)).abs().amax() / size
    linear = (slopes - elsewhere).abs().amax() / size
    if float(pooled) > TOLERANCE or float(linear) > TOLERANCE:
        raise NoGradientPath(
            f"the head behind {subject.layer.key!r} is not global average pooling and one linear layer, "
            "which "
            "CAM needs. Use grad-cam, which equals it up to a factor, or choose another --layer."
        )
    places = slopes.shape[2] * slopes.shape[3]
    weights = slopes.mean((2, 3), keepdim=True) * places  # w_k^c: the pooled value's weight
    return finish(weighted_map(weights, as_places(activations, subject)), subject, rectified=False)
