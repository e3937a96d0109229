"""Where do masks lie in what the model sees of their picture?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inspector.execution import Preprocess
from inspector.methods.dissection.concepts import Mask

__all__ = ["place_masks"]


def place_masks(recipe: Preprocess, picture: npt.NDArray[np.uint8], masks: Mapping[str, Mask]) -> Mask:
    """Masks stretched over their picture and cut as the model sees it, (masks, h, w)."""
    height, width = picture.shape[:2]
    nearest = replace(recipe, resample="nearest")
    stretch = Preprocess(size=(height, width), fit="stretch", resample="nearest")
    found: dict[str, Mask] = {}
    for size in dict.fromkeys(mask.shape for mask in masks.values()):
        names = [name for name, mask in masks.items() if mask.shape == size]
        for start in range(0, len(names), 3):  # three masks are the colours of one picture
            three = names[start : start + 3]
            values = np.zeros((*size, 3), np.uint8)
            for channel, name in enumerate(three):
                values[..., channel] = masks[name]
            if size != (height, width):
                values = stretch.place(values)
            cut = nearest.place(values)
            found |= {name: cut[..., channel] > 0 for channel, name in enumerate(three)}
    return np.stack([found[name] for name in masks])
