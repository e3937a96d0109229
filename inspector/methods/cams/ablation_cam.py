"""How far does the score fall when a channel is switched off? Ablation-CAM."""

from __future__ import annotations

import torch

from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["ablation_cam"]


@method(
    "ablation-cam",
    family="cams",
    paper="doi:10.1109/WACV45572.2020.9093360",
    unit="activation",
    needs=("layer",),
    cost="1 forward, `channels` tail forwards",
)
def ablation_cam(subject: Subject, *, rectified: bool = True) -> Map:
    """Channels weighted by the relative fall of the score without them (eq. 3); needs no gradient."""
    tail = subject.tail(subject.layer.key)
    activations = tail.activations
    axis = 1 if subject.layer.layout == "first" else -1
    weights = activations.new_zeros(activations.shape[0], subject.layer.channels)
    with torch.no_grad():
        full = tail.score(activations)
        for channel in track(range(subject.layer.channels), "Ablating", subject.layer.channels):
            without = activations.clone()
            without.select(axis, channel).zero_()
            weights[:, channel] = (full - tail.score(without)) / full
    at_layer = weighted_map(weights[..., None, None], as_places(activations, subject))
    return finish(at_layer, subject, rectified=rectified)
