"""Which parts of a picture count? An attribution map beside and over its input."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import SMALL, Canvas, notice, resize
from inspector.views.colorbar import add_color_bar
from inspector.views.colors import colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import Scale, scale_of
from inspector.views.pictures import Pixels, as_picture, enlarge, fit, gray
from inspector.views.values import Array, as_floats, facts_of
from inspector.views.wording import not_finite_text, number, sentences, shape_text

__all__ = ["CLIP", "OverChannels", "draw_heatmap", "flatten_channels", "map_size", "overlay", "paint_map"]

OverChannels = Literal["sum", "sum-abs", "max-abs"]
CHANNEL_WORDS = {
    "sum": "summed over {} channels",
    "sum-abs": "magnitudes summed over {} channels",
    "max-abs": "the largest magnitude of {} channels",
}
PANEL = 448  # pixels of the longer side of each panel: cells of the usual 224 stay square
CLIP = 0.5  # per cent; gradients have few, far outliers


def draw_heatmap(
    values: npt.ArrayLike,
    picture: npt.ArrayLike | None = None,
    *,
    title: str = "",
    note: str = "",
    method: str = "",
    target: str = "",
    score: float | None = None,
    layer: str = "",
    residual: float | None = None,
    label: str = "relevance",
    over_channels: OverChannels = "sum",
    signed: bool | None = None,
    clip: float = CLIP,
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """A raw map (h, w) or (c, h, w) beside the input, alone, and over the input (see `as_picture`).

    The map may be coarser than the picture: alone it shows its cells, over the picture it is enlarged
    bilinearly. A map of both signs is drawn blue and orange around zero. Title and caption are made of
    `method`, `target` with `score`, `layer` and `residual` (what the map misses of the score).
    """
    cells, reduced = flatten_channels(values, over_channels)
    title = title or " for ".join(part for part in (method, target) if part)
    if cells.size == 0:
        return notice(f"empty: {shape_text(cells.shape)}", title=title, media=media)
    scale = scale_of(cells, signed=signed, clip=clip)
    palette = colors or scale.colors
    original = None if picture is None else as_picture(picture)
    height, width = map_size(cells, original, PANEL)
    flat = paint_map(cells, height, width, scale, palette)
    panels = [("map", flat)]
    if original is not None:
        small = resize(original, width, height, smooth=True)
        panels = [("input", small), *panels, ("map over input", overlay(cells, small, scale, palette))]
    canvas = Canvas()
    for i, (heading, panel) in enumerate(panels):
        canvas.picture(i * (width + 14), 0, panel)
        canvas.text(i * (width + 14) + width / 2, -10, heading, size=SMALL, align="middle", at="base")
    add_color_bar(canvas, len(panels) * (width + 14) + 8, 0, max(90, height), scale, palette, label)
    facts = facts_of(cells)
    caption = sentences(
        note,
        _made_how(target, score, method, layer, residual),
        f"Map {shape_text(cells.shape)}{reduced}",
        "It is zero everywhere" if facts.zero == facts.size else f"Scale: {scale.sentence}",
        not_finite_text(facts.nan, facts.inf),
    )
    return canvas.figure(title=title, caption=caption, media=media)


def flatten_channels(values: npt.ArrayLike, over_channels: OverChannels = "sum") -> tuple[Array, str]:
    """(h, w) as it is, (c, h, w) reduced to (h, w), with the words that say how."""
    floats = as_floats(values)
    if floats.ndim == 2:
        return floats, ""
    if floats.ndim != 3:
        raise BadInput(
            f"a heat map is (h, w) or (c, h, w), got shape {tuple(floats.shape)}. Index the batch."
        )
    if over_channels not in CHANNEL_WORDS:
        raise BadInput(f"over_channels is one of {', '.join(CHANNEL_WORDS)}, not {over_channels!r}.")
    words = ", " + CHANNEL_WORDS[over_channels].format(floats.shape[0])
    if over_channels == "sum":
        return floats.sum(axis=0), words
    magnitude = np.abs(floats)
    return (magnitude.sum(axis=0) if over_channels == "sum-abs" else magnitude.max(axis=0)), words


def paint_map(cells: Array, height: int, width: int, scale: Scale, palette: str) -> Pixels:
    """The map (h, w) alone: cells stay sharp when enlarged; where it is reduced, values are averaged.

    Colours are not: blue and orange would mix to a dark one that means another value.
    """
    if height < cells.shape[0] or width < cells.shape[1]:
        return colorize(scale.place(enlarge(cells, height, width)), palette)
    return resize(colorize(scale.place(cells), palette), width, height)


def overlay(cells: Array, picture: Pixels, scale: Scale, palette: str) -> Pixels:
    """The map (h, w) over the picture (H, W, 3) in grey: the stronger, the less of the picture shows."""
    unit = scale.place(enlarge(cells, *picture.shape[:2]))
    strength = np.abs(2 * unit - 1) if scale.signed else unit
    alpha = np.nan_to_num(0.15 + 0.65 * strength**0.7, nan=1.0)[..., None]
    base = 40 + gray(picture).astype(np.float64) * (200 / 255)
    mixed = (1 - alpha) * base + alpha * colorize(unit, palette)
    return np.round(mixed).astype(np.uint8)


def map_size(cells: Array, original: Pixels | None, side: int) -> tuple[int, int]:
    """Drawn (height, width): proportions of the picture, else of the map."""
    shape = cells.shape if original is None else original.shape
    return fit(shape[0], shape[1], side)


def _made_how(target: str, score: float | None, method: str, layer: str, residual: float | None) -> str:
    scored = " = ".join([target] * bool(target) + ([number(score, 4)] if score is not None else []))
    return sentences(
        f"Target: {scored}" if scored else "",
        f"Method: {method}" if method else "",
        f"Layer: {layer}" if layer else "",
        f"Residual: {number(residual)}" if residual is not None else "",
    )
