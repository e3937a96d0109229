"""Which arrays count as a picture, and how do they become RGB bytes?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inspector.errors import BadInput

__all__ = ["Pixels", "as_picture", "enlarge", "fit", "gray"]

Pixels = npt.NDArray[np.uint8]


def as_picture(array: npt.ArrayLike) -> Pixels:
    """(h, w), (h, w, 1), (h, w, 3) or (h, w, 4) -> (h, w, 3); uint8, or floats in 0..1; alpha over white."""
    values: npt.NDArray[Any] = np.asarray(array)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4) or 0 in values.shape:
        raise BadInput(
            f"a picture is an array (height, width, 1, 3 or 4), got shape {tuple(np.shape(array))}."
            " Move the channels to the end and index the batch."
        )
    if values.dtype.kind == "f":
        values = np.round(255 * np.clip(np.nan_to_num(values.astype(np.float64)), 0.0, 1.0)).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise BadInput(f"a picture holds uint8, or floats in 0..1, not {values.dtype}.")
    if values.shape[2] == 4:
        alpha = values[..., 3:].astype(np.float64) / 255
        values = np.round(values[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def gray(picture: Pixels) -> Pixels:
    """The picture without its colours (Rec. 601 luma), (h, w, 3)."""
    luma = picture.astype(np.float64) @ [0.299, 0.587, 0.114]
    return np.repeat(np.round(luma).astype(np.uint8)[..., None], 3, axis=2)


def enlarge(values: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """A map (h, w) of floats resampled bilinearly, cell centres kept; a cell that is not finite stays so."""
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def fit(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) with the same proportions and the longer side equal to `side`."""
    factor = side / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))
