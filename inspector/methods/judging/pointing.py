"""Does the map's peak lie on the object? The pointing game, and how much of the map does."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inspector.errors import BadInput
from inspector.methods.judging.measures import Judged, Measurement, measure

__all__ = ["inside_mask", "pointing_game"]

TOLERANCE = 15
"""Places at 224: the peak may lie this far from the mask (section 4.2)."""


@measure("pointing-game", paper="arXiv:1608.00507", better="higher", needs=("mask",))
def pointing_game(judged: Judged) -> Measurement:
    """1 where the largest value lies on the mask or within 15 of 224 places of it, else 0."""
    mask = _mask(judged)
    reach = TOLERANCE * max(mask.shape) / 224
    distance = np.asarray(ndimage.distance_transform_edt(~mask))
    peak = np.unravel_index(int(judged.places.argmax()), mask.shape)
    return Measurement(float(distance[peak] <= reach))


@measure("inside-mask", paper="arXiv:1910.07387", better="higher", needs=("mask",))
def inside_mask(judged: Judged) -> Measurement:
    """The share of the map's positive values that lies on the mask."""
    positive = judged.places.clip(min=0)
    total = float(positive.sum())
    return Measurement(float(positive[_mask(judged)].sum()) / total if total else 0.0)


def _mask(judged: Judged) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if judged.mask is None or judged.mask.shape != judged.places.shape:
        got = "none" if judged.mask is None else list(judged.mask.shape)
        raise BadInput(f"the mask has places {got}, the map {list(judged.places.shape)}. Give --mask.")
    if not judged.mask.any():
        raise BadInput("the mask is empty: nothing of the picture belongs to the object.")
    return judged.mask
