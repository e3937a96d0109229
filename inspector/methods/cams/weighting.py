"""How does a class activation map come from channel weights? Weighted, rectified, brought to input size."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.methods.registry import Map
from inspector.methods.subject import Subject

__all__ = ["as_places", "finish", "weighted_map"]


def as_places(values: Tensor, subject: Subject) -> Tensor:
    """A layer's value or gradient as (n, c, h, w): tokens laid out on their grid, class tokens left out."""
    layer = subject.layer
    first = values if layer.layout == "first" else values.movedim(-1, 1)
    if not layer.joined:
        return first
    height, width = layer.grid
    return first[:, :, layer.skip :].reshape(values.shape[0], -1, height, width)


def weighted_map(weights: Tensor, activations: Tensor) -> Tensor:
    """Sum over channels of weight (n, c, 1, 1) or (n, c, h, w) × activation (n, c, h, w) → (n, h, w)."""
    return (weights * activations).sum(1)


def finish(at_layer: Tensor, subject: Subject, *, rectified: bool, notes: tuple[str, ...] = ()) -> Map:
    """Rectify where the paper does, and upsample bilinearly to the input's places. Nothing is normalised.

    A layer with places in two directions behind a signal (its spectrum over time) keeps them: nothing says
    which of the two is time.
    """
    raw = at_layer.clamp(min=0) if rectified else at_layer
    size = subject.input_size()
    if len(size) == 2:
        up = torch.nn.functional.interpolate(raw[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        return Map(up, ("n", "h", "w"), at_layer=raw, notes=notes)
    if raw.shape[1] > 1:
        grid = "×".join(map(str, raw.shape[1:]))
        note = f"The layer's places, {grid}, are not those of the signal: the map is that of the layer."
        return Map(raw, ("n", "h", "w"), at_layer=raw, notes=(*notes, note))
    line = raw[:, 0]
    if subject.entry in subject.feeds:  # a signal (n, c, t); tokens are places themselves
        line = torch.nn.functional.interpolate(line[:, None], size, mode="linear", align_corners=False)[:, 0]
    return Map(line, ("n", "t"), at_layer=raw, notes=notes)
