"""Which pixels are in a picture file? Any mode, turned as EXIF says, transparency on white, 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from inspector.errors import BadInput

__all__ = ["PICTURE_SUFFIXES", "as_picture", "read_picture"]

PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".ico", ".avif")
)

LARGEST = 200_000_000
"""Pixels; above this a file is more likely hostile than a photograph."""


def read_picture(path: str | Path | BinaryIO) -> npt.NDArray[np.uint8]:
    """The picture as (h, w, 3) uint8 in RGB; the first frame of an animation.

    Raises:
        BadInput: missing, unreadable, truncated or absurdly large.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > LARGEST:
                raise BadInput(
                    f"picture {path}: {image.width}×{image.height} pixels; at most {LARGEST:,} are read."
                )
            turned = ImageOps.exif_transpose(image)
            return _rgb(turned)
    except FileNotFoundError:
        raise BadInput(f"picture {path} does not exist.") from None
    except UnidentifiedImageError:
        raise BadInput(f"{path} is not a picture that Pillow can read. Convert it to PNG or JPEG.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as cause:
        raise BadInput(f"picture {path} cannot be read: {cause}.") from None


def as_picture(array: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """An array (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) as (h, w, 3) uint8; floats of 0 … 1 are scaled.

    Raises:
        BadInput: other shapes.
    """
    values = np.asarray(array)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        raise BadInput(f"a picture array must be (h, w), (h, w, 3) or (h, w, 4), got {values.shape}.")
    if values.dtype.kind == "f":
        top = float(np.nanmax(values)) if values.size else 0.0
        values = np.clip(np.nan_to_num(values) * (255 if top <= 1 else 1), 0, 255)
    elif values.dtype.kind in "iu" and values.dtype.itemsize > 1:
        values = np.clip(values, 0, 255)
    return _rgb(Image.fromarray(np.rint(values).astype(np.uint8)))


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        return np.repeat(_eight_bits(image)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, clear)
    return np.asarray(image.convert("RGB"))


def _eight_bits(image: Image.Image) -> npt.NDArray[np.uint8]:
    """16-bit greys by their upper byte, other wide greys by their range: 0 … 1 or 0 … 255."""
    values: npt.NDArray[Any] = np.asarray(image).astype(np.float64)
    low, top = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    wide = image.mode.startswith("I;16") or (image.mode == "I" and top > 255)
    if not 0 <= low <= top <= (65535 if wide else 255):
        raise ValueError(
            f"its pixels lie between {low:.4g} and {top:.4g}, expected 0 … 1, 0 … 255 or whole numbers up to "
            "65,535. Rescale it, or feed the numbers as .npy"
        )
    return (values / 257 if wide else values * (255 if 0 < top <= 1 else 1)).round().astype(np.uint8)
