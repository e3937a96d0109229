"""Which colour stands for which number or operator family? Tables, all readable for colour-blind eyes."""

from __future__ import annotations

from functools import cache
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

from inspector.errors import UnknownName

__all__ = [
    "FAMILY_COLORS",
    "MAPS",
    "NOT_FINITE",
    "SEQUENTIAL",
    "SERIES",
    "SIGNED",
    "color_table",
    "colorize",
    "hexadecimal",
    "text_color",
]

Pixels = npt.NDArray[np.uint8]

SEQUENTIAL = "viridis"
SIGNED = "signed"

# name -> what it is for. "signed" is built here, the others are matplotlib's.
MAPS: dict[str, str] = {
    "viridis": "perceptually even, the default for values of one sign",
    "cividis": "perceptually even, nearly the same for every kind of colour vision",
    "magma": "perceptually even, dark start",
    "inferno": "perceptually even, dark start, warmer",
    "gray": "black to white",
    "signed": "blue, white at zero, orange; equal lightness on both sides",
    "RdBu_r": "blue, white, red",
    "turbo": "rainbow: only for comparison with other tools' pictures",
}

# Cells that hold NaN or infinity. Magenta occurs in none of the maps above.
NOT_FINITE = (255, 0, 170)

# Lines and bars of one chart, in this order: distinguishable with every kind of colour vision.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b4fa2", "#16202c")

# operator family -> fill; pale for what only moves data, so that computation stands out.
FAMILY_COLORS: dict[str, str] = {
    "linear": "#0072b2",
    "activation": "#c4510a",
    "arithmetic": "#00865f",
    "normalisation": "#cc79a7",
    "pooling": "#e69f00",
    "attention": "#f0e442",
    "control": "#7cc4ee",
    "movement": "#dfe4ea",
    "unknown": "#ffffff",
}

# The signed map in OKLCh: (lightness, chroma, hue in degrees). Both arms share lightness and differ in hue.
_CENTRE_LIGHTNESS, _END_LIGHTNESS = 0.97, 0.40
_PEAK_CHROMA = 0.135
_BLUE_HUE, _ORANGE_HUE = 252.0, 47.0


def _oklch_to_srgb(lightness: npt.NDArray[Any], chroma: npt.NDArray[Any], hue: float) -> npt.NDArray[Any]:
    """OKLCh (arrays (n,), hue in degrees) -> sRGB (n, 3) in 0..1, clipped; Ottosson 2020."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    lms = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_linear @ lms**3, 0.0, 1.0).T
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _signed_table() -> Pixels:
    distance = np.linspace(1.0, 0.0, 128)
    lightness = _CENTRE_LIGHTNESS + (_END_LIGHTNESS - _CENTRE_LIGHTNESS) * distance
    chroma = _PEAK_CHROMA * np.sin(np.pi / 2 * np.minimum(1.0, 1.5 * distance)) * (1.0 - 0.35 * distance**4)
    blue = _oklch_to_srgb(lightness, chroma, _BLUE_HUE)
    orange = _oklch_to_srgb(lightness, chroma, _ORANGE_HUE)
    return np.round(255 * np.concatenate([blue, orange[::-1]])).astype(np.uint8)


@cache
def color_table(name: str) -> Pixels:
    """The 256 colours of a map, (256, 3); UnknownName lists the near ones."""
    if name not in MAPS:
        raise UnknownName.among("colour map", name, MAPS)
    if name == SIGNED:
        table = _signed_table()
    else:
        table = np.round(255 * matplotlib.colormaps[name](np.arange(256) / 255)[:, :3]).astype(np.uint8)
    table.flags.writeable = False
    return table


def colorize(unit: npt.NDArray[Any], name: str) -> Pixels:
    """Numbers in 0..1, any shape -> colours (..., 3); whatever is not finite gets `NOT_FINITE`."""
    bad = ~np.isfinite(unit)
    index = np.round(255 * np.clip(np.where(bad, 0.0, unit), 0.0, 1.0)).astype(np.intp)
    pixels = color_table(name)[index]
    pixels[bad] = NOT_FINITE
    return pixels


def hexadecimal(rgb: tuple[int, int, int]) -> str:
    """(255, 0, 170) -> '#ff00aa'."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def text_color(fill: str) -> str:
    """White or near-black, whichever has the higher WCAG contrast on a '#rrggbb' fill."""
    channels = np.array([int(fill[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    dark_luminance = 0.0140  # of #16202c
    white, dark = 1.05 / (luminance + 0.05), (luminance + 0.05) / (dark_luminance + 0.05)
    return "#ffffff" if white >= dark else "#16202c"
