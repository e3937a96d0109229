"""Which pattern of an image made a unit answer? Its activation projected back as Zeiler and Fergus did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from inspector.autograd.overrides import deconvolution, rectifier_overrides
from inspector.errors import BadInput, NoGradientPath
from inspector.methods.dissection.receptive import receptive_window
from inspector.methods.maximize.stage import Stage, shown
from inspector.methods.rules.unpooling import overwriting_pools

__all__ = ["Projection", "project"]

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """What of one picture the kept channels of a layer project back to.

    `picture` (h, w, 3) is what the model saw, `whole` (h, w, 3) the signed projection of all kept channels
    together, `alone` (channels, h, w, 3) that of each one's strongest place. `windows` are the regions
    (top, left, bottom, right) that these places see.
    """

    layer: str
    channels: tuple[int, ...]
    maxima: tuple[float, ...]
    places: tuple[tuple[int, ...], ...]
    windows: tuple[tuple[int, int, int, int] | None, ...]
    picture: npt.NDArray[np.uint8] = field(repr=False)
    whole: Array = field(repr=False)
    alone: Array = field(repr=False)
    overlaps: str

    def to_dict(self) -> dict[str, Any]:
        """Channels, maxima, places and windows."""
        return {
            "layer": self.layer,
            "overlaps": self.overlaps,
            "channels": [
                {"channel": c, "maximum": m, "place": list(p), "window": list(w) if w else None}
                for c, m, p, w in zip(self.channels, self.maxima, self.places, self.windows, strict=True)
            ],
        }


def project(
    stage: Stage,
    picture: npt.NDArray[np.uint8],
    layer: str,
    *,
    channels: Sequence[int] | int = 9,
    overlaps: Literal["sum", "overwrite"] = "sum",
) -> Projection:
    """Keep the strongest channels of a layer, set the others to zero, and go back to the pixels.

    Max pooling goes back to its switches, every rectifier passes what is positive, convolutions are
    transposed (section 2.1 of arXiv:1311.2901). Where pooling windows overlap, `overlaps` sums, or lets the
    later window overwrite. `channels` names them, or says how many of the strongest are kept.

    Raises:
        NoGradientPath: the layer does not depend differentiably on the picture.
        BadInput: a channel that the layer does not have.
    """
    key = stage.key(layer)
    rules: dict[Any, Any] = dict(rectifier_overrides(stage.net, deconvolution))
    if overlaps == "overwrite":
        rules |= overwriting_pools(stage.net)
    leaf = shown(stage, picture).requires_grad_()
    values = stage.values(leaf, [key], rules)[key]
    if not values.requires_grad:
        raise NoGradientPath(f"layer {key!r} has no gradient to the picture. Choose an earlier layer.")
    flat = values.detach()[0].flatten(1) if values.ndim > 2 else values.detach()[0][:, None]
    kept = _kept(flat, channels, key)
    seed = torch.zeros_like(values)
    seed[:, kept] = values.detach()[:, kept]
    whole = _back(stage, values, leaf, seed)
    alone: list[Array] = []
    places: list[tuple[int, ...]] = []
    for channel in kept:
        at = int(flat[channel].argmax())
        places.append(tuple(int(i) for i in np.unravel_index(at, tuple(values.shape[2:]) or (1,))))
        seed = torch.zeros_like(values)
        seed[0, channel].view(-1)[at] = flat[channel, at]
        alone.append(_back(stage, values, leaf, seed))
    seen = leaf.detach()[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).cpu().numpy()
    return Projection(
        key, tuple(kept), tuple(float(flat[c].max()) for c in kept), tuple(places),
        _windows(stage, key, places), seen, whole, np.stack(alone), overlaps,
    )  # fmt: skip


def _kept(flat: Tensor, channels: Sequence[int] | int, key: str) -> list[int]:
    count = len(flat)
    if isinstance(channels, int):
        if channels < 1:
            raise BadInput(f"{channels} channels asked for; keep at least 1.")
        order = flat.amax(1).argsort(descending=True, stable=True)
        return [int(index) for index in order[:channels]]
    wrong = [channel for channel in channels if not 0 <= channel < count]
    if wrong:
        raise BadInput(f"channel {wrong[0]}: layer {key} has {count} channels, 0 to {count - 1}.")
    return list(channels)


def _back(stage: Stage, values: Tensor, leaf: Tensor, seed: Tensor) -> Array:
    """The vector-Jacobian product under the rules, in units of the model's input, (h, w, 3) RGB."""
    (found,) = torch.autograd.grad(values, leaf, seed, retain_graph=True)
    factor, _ = stage.recipe.affine
    colours = np.resize(factor[:3], 3)
    ordered = colours[::-1] if stage.recipe.channels == "BGR" else colours
    return (found[0].permute(1, 2, 0).cpu().numpy() / (255 * ordered)).astype(np.float32)


def _windows(
    stage: Stage, key: str, places: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, int, int, int] | None, ...]:
    shapes = stage.shapes
    if len(shapes.get(key, ())) != 4 or stage.recipe.layout not in ("", "NCHW"):
        return (None,) * len(places)
    found = [receptive_window(stage.model, key, place, stage.entry, shapes) for place in places]
    return tuple((top, left, bottom, right) for (top, bottom), (left, right) in found)
