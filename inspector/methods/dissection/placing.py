"""Where do masks lie in what the model sees of their picture?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inspector.execution import Preprocess
from inspector.methods.dissection.concepts import Mask

__all__ = ["kinds_of_pixels", "place_masks"]


def place_masks(recipe: Preprocess, picture: npt.NDArray[np.uint8], masks: Mapping[str, Mask]) -> Mask:
    """Masks stretched over their picture and cut as the model sees it, (masks, h, w)."""
    seen = replace(recipe, resample="nearest")
    stretch = Preprocess(size=(picture.shape[0], picture.shape[1]), fit="stretch", resample="nearest")
    return np.stack([seen.place(stretch.place(mask.astype(np.uint8))) > 0 for mask in masks.values()])


def kinds_of_pixels(masks: Mask) -> tuple[npt.NDArray[np.unsignedinteger], Mask]:
    """Pixels that lie in the same masks (masks, h, w) are of one kind: a number for every pixel (h, w), and
    which masks each kind lies in (kinds, masks).
    """
    kinds = np.zeros(masks.shape[1:], np.intp)
    members = np.zeros((1, 0), np.bool_)
    for start in range(0, len(masks), 8):
        byte = np.zeros(kinds.shape, np.uint8)
        for bit, mask in enumerate(masks[start : start + 8]):
            byte |= mask.view(np.uint8) << bit
        kinds = kinds << 8 | byte
        used = np.flatnonzero(np.bincount(kinds.ravel()))
        number = np.zeros(used[-1] + 1, np.intp)
        number[used] = np.arange(len(used))
        kinds = number[kinds]
        bits = np.unpackbits((used & 255).astype(np.uint8)[:, None], axis=1, bitorder="little")
        members = np.concatenate([members[used >> 8], bits.view(np.bool_)], 1)
    return kinds.astype(np.min_scalar_type(len(members))), members[:, : len(masks)]
