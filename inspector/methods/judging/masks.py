"""Where does the object lie? A mask from a file, cut and scaled as the picture was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.execution import read_picture
from inspector.methods.subject import Subject

__all__ = ["read_mask"]


def read_mask(path: str | Path, subject: Subject) -> npt.NDArray[np.bool_]:
    """True where the mask is: white in a picture, not zero in a .npy, in the places of the model's input.

    A mask as large as the input picture is cut and scaled by the input's recipe.

    Raises:
        BadInput: missing, unreadable or of another size.
    """
    size = subject.input_size()
    picture = subject.inputs.pictures.get(subject.entry)
    recipe = subject.inputs.recipes.get(subject.entry)
    pixels = _read(Path(path))
    if picture is not None and recipe is not None and pixels.shape == picture.shape[:2]:
        pixels = recipe.place(np.repeat(pixels[..., None], 3, 2))[..., 0]
    if pixels.shape != size:
        expected = "×".join(map(str, size)) + (
            "" if picture is None else f" or {picture.shape[0]}×{picture.shape[1]}"
        )
        raise BadInput(f"mask {path}: expected {expected} places, got {'×'.join(map(str, pixels.shape))}.")
    return pixels > 127


def _read(path: Path) -> npt.NDArray[np.uint8]:
    if path.suffix.lower() != ".npy":
        return read_picture(path).mean(2).astype(np.uint8)
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as cause:
        raise BadInput(f"mask {path} cannot be read: {cause}.") from None
    return np.where(np.asarray(values) != 0, np.uint8(255), np.uint8(0))
