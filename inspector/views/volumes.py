"""What lies inside a three-dimensional map? Its depth slices, a row for each channel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy.typing as npt

from inspector.views.canvas import SMALL, Canvas, notice
from inspector.views.colorbar import add_color_bar
from inspector.views.colors import colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.grid import zoom_for
from inspector.views.normalize import scale_of
from inspector.views.sheet import place_sheet
from inspector.views.tiles import CLIP, chosen, drawn_note, shown_text
from inspector.views.values import expect_axes, facts_of
from inspector.views.wording import not_finite_text, sentences, shape_text

__all__ = ["draw_volume"]


def draw_volume(
    values: npt.ArrayLike,
    *,
    channels: Sequence[int] | None = None,
    start: int = 0,
    limit: int = 8,
    slices: int = 10,
    title: str = "",
    note: str = "",
    signed: bool | None = None,
    clip: float = CLIP,
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """Maps (c, d, h, w): rows are channels, columns up to `slices` evenly spaced depths, one scale."""
    cells = expect_axes(values, "c d h w", "draw_volume")
    if cells.size == 0:
        return notice(f"empty: {shape_text(cells.shape)}", title=title, media=media)
    picked = chosen(cells.shape[0], channels, start, limit)
    depths = range(0, cells.shape[1], math.ceil(cells.shape[1] / max(1, slices)))
    scale = scale_of(cells, signed=signed, clip=clip)
    palette = colors or scale.colors
    canvas = Canvas()
    drawn = zoom_for(*cells.shape[2:], largest=200)
    sheet = [[colorize(scale.place(cells[c, d]), palette) for d in depths] for c in picked]
    size = place_sheet(
        canvas, sheet, row_labels=[str(c) for c in picked], column_labels=[str(d) for d in depths],
        side=max(drawn), smooth=False, frames=True,
    )  # fmt: skip
    left, top, _, _ = canvas.extent()
    canvas.text(size[0] / 2, top - 30, "depth", size=SMALL, bold=True, align="middle")
    canvas.text(
        left - 16, size[1] / 2, "channel", size=SMALL, bold=True, align="middle", upright=True, at="base"
    )
    add_color_bar(canvas, size[0] + 24, 0, min(max(size[1], 90), 420), scale, palette)
    facts = facts_of(cells)
    caption = sentences(
        note,
        shown_text(picked, cells.shape[0], "channel"),
        f"{len(depths)} of {cells.shape[1]} depth slices"
        if len(depths) < cells.shape[1]
        else "All depth slices",
        f"Each is {shape_text(cells.shape[2:])}{drawn_note(cells.shape[2:], drawn)}",
        f"One scale: {scale.sentence}",
        not_finite_text(facts.nan, facts.inf),
    )
    return canvas.figure(title=title, caption=caption, media=media)
