"""What did a convolution learn? Kernels as colour pictures, or one grid of output × input channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import SMALL, Canvas, line_height, notice, resize
from inspector.views.colorbar import add_color_bar
from inspector.views.colors import NOT_FINITE, colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.grid import grid_for, room_for, zoom_for
from inspector.views.matrix import draw_matrix
from inspector.views.normalize import Scale, scale_of
from inspector.views.pictures import Pixels
from inspector.views.sheet import place_sheet
from inspector.views.strip import draw_strip
from inspector.views.tiles import chosen, draw_tiles, shown_text
from inspector.views.values import Array, as_floats, facts_of
from inspector.views.wording import not_finite_text, number, sentences, shape_text

__all__ = ["draw_kernels"]

PART = 0.75  # a kernel has few cells: its tile is smaller than a feature map's


def draw_kernels(
    kernels: npt.ArrayLike,
    *,
    title: str = "",
    note: str = "",
    order: Literal["rgb", "bgr"] = "rgb",
    start: int = 0,
    limit: int | None = None,
    inputs: int = 16,
    shared: bool | None = None,
    clip: float = 0.0,
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """Kernels (out, in, *space) of a convolution with 1, 2 or 3 axes of space, or a matrix (out, in).

    Three input channels and two axes of space: each kernel is one colour picture, zero is mid grey
    (`order` says how the model wants its colours). One input channel: grey tiles become signed tiles.
    Otherwise a grid, a row for each of `limit` outputs and a column for each of `inputs` inputs (and
    depth). `shared` scale for all: by default everywhere but on colour pictures.
    """
    values = as_floats(kernels)
    if values.size == 0:
        return notice(f"empty: {shape_text(values.shape)}", title=title, media=media)
    if not 2 <= values.ndim <= 5:
        raise BadInput(f"draw_kernels: expected (out, in, *space), got shape {tuple(values.shape)}.")
    space = values.shape[2:]
    note = sentences(note, f"Kernels {shape_text(values.shape)} (out × in{' × space' if space else ''})")
    look = _Look(title, note, clip, colors, media)
    if all(n == 1 for n in space):
        return _pointwise(values.reshape(values.shape[:2]), look)
    if sum(n > 1 for n in space) == 1:  # also 1×7
        values = values.reshape(*values.shape[:2], max(space))
        return _one_dimensional(values, start, limit or 64, look)
    if len(space) == 2 and values.shape[1] == 3:
        picked = chosen(values.shape[0], None, start, limit or 96)
        return _color_tiles(values, picked, order, bool(shared), look)
    if len(space) == 2 and values.shape[1] == 1:
        return _tiles(values[:, 0], start, limit or 96, shared is not False, look)
    picked = chosen(values.shape[0], None, start, limit or 16)
    return _grid(values, picked, inputs, shared is not False, look)


@dataclass(frozen=True)
class _Look:
    title: str
    note: str
    clip: float
    colors: str | None
    media: Media


def _pointwise(values: Array, look: _Look) -> Figure:
    """(out, in): a matrix of weights."""
    return draw_matrix(
        values,
        title=look.title,
        note=look.note,
        row_title="output",
        column_title="input",
        signed=True,
        colors=look.colors,
        media=look.media,
    )


def _tiles(values: Array, start: int, limit: int, shared: bool, look: _Look) -> Figure:
    """(out, h, w): numbered tiles, white at zero."""
    return draw_tiles(
        values,
        title=look.title,
        note=look.note,
        start=start,
        limit=limit,
        shared=shared,
        signed=True,
        clip=look.clip,
        colors=look.colors,
        noun="kernel",
        media=look.media,
    )


def _one_dimensional(values: Array, start: int, limit: int, look: _Look) -> Figure:
    """(out, in, taps): one heat strip when there is one input channel, else a tile (in × taps) an output."""
    if values.shape[1] > 1:
        rows = "Each tile is one output channel: rows are input channels, columns are taps"
        return _tiles(values, start, limit, True, replace(look, note=sentences(look.note, rows)))
    return draw_strip(
        values[:, 0],
        row_axis="kernel",
        column_axis="tap",
        title=look.title,
        note=look.note,
        signed=True,
        clip=look.clip,
        colors=look.colors,
        label="weight",
        media=look.media,
    )


def _rgb(kernel: Array, bound: float) -> Pixels:
    """(3, h, w) -> (h, w, 3): zero is mid grey, ±bound are 0 and 255."""
    bad = ~np.isfinite(kernel).all(axis=0)
    unit = np.where(np.isfinite(kernel), kernel, 0.0) / (2 * bound if bound > 0 else 1.0) + 0.5
    pixels = np.round(255 * np.clip(unit, 0.0, 1.0)).astype(np.uint8).transpose(1, 2, 0).copy()
    pixels[bad] = NOT_FINITE
    return pixels


def _color_tiles(values: Array, picked: list[int], order: str, shared: bool, look: _Look) -> Figure:
    colored = values[:, ::-1] if order == "bgr" else values
    height, width = zoom_for(*values.shape[2:], target=round(PART * room_for(len(picked))[0]))
    grid = grid_for(len(picked), height, width, head=line_height(SMALL))
    whole = scale_of(values, signed=True, clip=look.clip)
    canvas = Canvas()
    sheet = np.full((grid.size[1], grid.size[0], 3), 255, np.uint8)
    for k, channel in enumerate(picked):
        x, y = grid.corner(k)
        bound = whole.high if shared else scale_of(values[channel], signed=True, clip=look.clip).high
        sheet[y : y + height, x : x + width] = resize(_rgb(colored[channel], bound), width, height)
    canvas.picture(0, 0, sheet)
    for k, channel in enumerate(picked):
        x, y = grid.corner(k)
        canvas.text(x, y - line_height(SMALL), str(channel), size=SMALL)
    facts = facts_of(values)
    range_text = f"±{number(whole.high)}" if shared else "each kernel's largest weight"
    caption = sentences(
        look.note,
        shown_text(picked, values.shape[0], "kernel"),
        f"Red, green and blue are the three input channels{' (stored as BGR)' if order == 'bgr' else ''};"
        f" zero is mid grey, full colour is {range_text}",
        not_finite_text(facts.nan, facts.inf),
    )
    return canvas.figure(title=look.title, caption=caption, media=look.media)


def _grid(values: Array, picked: list[int], inputs: int, shared: bool, look: _Look) -> Figure:
    """Rows are outputs, columns inputs; with depth, columns are the depth slices of each input."""
    deep = values if values.ndim == 5 else values[:, :, None]
    depth, across = deep.shape[2], min(deep.shape[1], max(1, inputs // deep.shape[2]))
    whole = scale_of(values, signed=True, clip=look.clip)
    scales: list[Scale] = [
        whole if shared else scale_of(deep[o], signed=True, clip=look.clip) for o in picked
    ]
    palette = look.colors or whole.colors
    cells = [
        [colorize(scale.place(deep[o, i, d]), palette) for i in range(across) for d in range(depth)]
        for o, scale in zip(picked, scales, strict=True)
    ]
    labels = [f"{i}" if depth == 1 else f"{i} d{d}" for i in range(across) for d in range(depth)]
    canvas = Canvas()
    side = max(zoom_for(*deep.shape[3:], target=54))
    size = place_sheet(
        canvas,
        cells,
        row_labels=[str(o) for o in picked],
        column_labels=labels,
        side=side,
        gap=6,
        smooth=False,
        frames=True,
    )
    left, top, _, _ = canvas.extent()
    canvas.text(size[0] / 2, top - 30, "input channel", size=SMALL, bold=True, align="middle")
    canvas.text(
        left - 16,
        size[1] / 2,
        "output channel",
        size=SMALL,
        bold=True,
        align="middle",
        upright=True,
        at="base",
    )
    if shared:
        add_color_bar(canvas, size[0] + 24, 0, min(max(size[1], 90), 420), whole, palette)
    facts = facts_of(values)
    caption = sentences(
        look.note,
        shown_text(picked, values.shape[0], "output"),
        f"{shown_text(range(across), deep.shape[1], 'input')}",
        f"One scale: {whole.sentence}" if shared else "Each row on its own scale, symmetric about zero",
        not_finite_text(facts.nan, facts.inf),
    )
    return canvas.figure(title=look.title, caption=caption, media=look.media)
