"""How high is the score of what a channel shows of the input? Score-CAM."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["score_cam"]


@method(
    "score-cam",
    family="cams",
    paper="arXiv:1910.01279",
    unit="activation",
    needs=("layer",),
    cost="1 forward, `channels` forwards",
)
def score_cam(subject: Subject, *, channels: int = 0, rectified: bool = True) -> Map:
    """Channels weighted by the softmax of the score of the input masked by each (algorithm 1); no gradient.

    A mask is a channel upsampled and scaled to 0 … 1 (eq. 6). A channel that is the same everywhere masks
    nothing and has no weight. `channels` > 0 tries only those that vary most. The score of the empty input,
    which eq. 5 subtracts, is common to all channels and drops out of the softmax.

    Raises:
        BadInput: the input is no picture or signal with channels first.
    """
    activations = as_places(subject.tail(subject.layer.key).activations, subject)
    x, size = subject.x, subject.input_size()
    if subject.is_embedding or x.ndim not in (3, 4):
        raise BadInput(f"score-cam masks places of (n, c, h, w) or (n, c, t); {subject.entry!r} has none.")
    spread = activations.amax((2, 3)) - activations.amin((2, 3))
    chosen = (spread > 0).any(0).nonzero()[:, 0]
    if channels > 0:
        chosen = spread.mean(0).topk(min(channels, spread.shape[1])).indices.sort().values
    scores = torch.full_like(spread, -torch.inf)
    for channel in track(chosen.tolist(), "Masking by channels"):
        masks = _mask(activations[:, channel : channel + 1], size)
        scores[:, channel] = subject.score(x * masks)
    scores = torch.where(spread > 0, scores, -torch.inf)
    weights = torch.softmax(scores, 1).nan_to_num(0.0)  # algorithm 1: alpha; a layer all constant has none
    return finish(weighted_map(weights[..., None, None], activations), subject, rectified=rectified)


def _mask(channel: Tensor, size: tuple[int, ...]) -> Tensor:
    """(n, 1, h, w) upsampled to the input's places and scaled to 0 … 1, row by row (eq. 6)."""
    places = size if len(size) == 2 else (1, *size)
    up = torch.nn.functional.interpolate(channel, places, mode="bilinear", align_corners=False)
    low, high = up.amin((2, 3), keepdim=True), up.amax((2, 3), keepdim=True)
    scaled = (up - low) / torch.where(high > low, high - low, 1)
    return scaled if len(size) == 2 else scaled[:, :, 0]
