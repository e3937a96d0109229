"""What does an encoded picture hold? ImageDecoder: bytes of a JPEG, PNG, WebP, … file → (h, w, c) pixels."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from inspector.autograd.registry import operator

MODES = {"RGB": "RGB", "BGR": "RGB", "Grayscale": "L"}


@operator("ImageDecoder", since=20, host=(0,), differentiable=False)
def image_decoder(encoded: Tensor, *, pixel_format: str) -> Tensor:
    if pixel_format not in MODES:
        raise ValueError(f"pixel_format is {pixel_format!r}; it is one of {', '.join(MODES)}")
    try:
        with Image.open(io.BytesIO(encoded.cpu().numpy().tobytes())) as picture:
            pixels = np.array(picture.convert(MODES[pixel_format]))
    except UnidentifiedImageError as cause:
        raise ValueError("the bytes are no picture that Pillow can read") from cause
    if pixel_format == "Grayscale":
        pixels = pixels[:, :, None]
    if pixel_format == "BGR":
        pixels = pixels[:, :, ::-1].copy()
    return torch.from_numpy(pixels)
