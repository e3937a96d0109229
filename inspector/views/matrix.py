"""How alike is everything to everything? A labelled matrix picture (CKA, confusion, distances)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import FAINT, SMALL, Canvas, notice, resize, shorten, text_width
from inspector.views.colorbar import add_color_bar
from inspector.views.colors import colorize, hexadecimal, text_color
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import Scale, scale_of
from inspector.views.values import Array, expect_axes, facts_of
from inspector.views.wording import not_finite_text, number, sentences, shape_text

__all__ = ["draw_matrix", "place_matrix"]

SIDE = 760  # pixels of the longer side, about
NUMBERED = 14  # up to so many rows and columns the numbers stand in the cells
LABEL_WIDTH = 260


def draw_matrix(
    values: npt.ArrayLike,
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    row_title: str = "",
    column_title: str = "",
    title: str = "",
    note: str = "",
    label: str = "",
    limits: tuple[float, float] | None = None,
    signed: bool | None = None,
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """A matrix (rows, columns) in pseudo-colour with a colour bar.

    `limits` fixes the ends of the scale ((0, 1) for similarities, so that pictures compare). Labels are
    thinned where they would overlap; small matrices carry their numbers.
    """
    cells = expect_axes(values, "row column", "draw_matrix")
    if cells.size == 0:
        return notice(f"empty: {shape_text(cells.shape)}", title=title, media=media)
    for labels, count, what in (
        (row_labels, cells.shape[0], "row"),
        (column_labels, cells.shape[1], "column"),
    ):
        if labels is not None and len(labels) != count:
            raise BadInput(f"{len(labels)} {what} labels for {count} {what}s.")
    scale = scale_of(cells, signed=signed) if limits is None else _fixed(limits, signed)
    canvas = Canvas()
    width, height = place_matrix(canvas, 0, 0, cells, scale, colors, row_labels, column_labels)
    left, top, _, _ = canvas.extent()
    if row_title:
        canvas.text(
            left - 26, height / 2, row_title, bold=True, size=SMALL, align="middle", at="middle", upright=True
        )
    if column_title:
        canvas.text(width / 2, top - 34, column_title, bold=True, size=SMALL, align="middle")
    add_color_bar(canvas, width + 24, 0, min(max(height, 90), 420), scale, colors, label)
    facts = facts_of(cells)
    caption = sentences(note, f"Scale: {scale.sentence}", not_finite_text(facts.nan, facts.inf))
    return canvas.figure(title=title, caption=caption, media=media)


def place_matrix(
    canvas: Canvas,
    x: int,
    y: int,
    cells: Array,
    scale: Scale,
    colors: str | None = None,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    *,
    side: int = SIDE,
) -> tuple[int, int]:
    """Put the coloured cells at (x, y) with labels left and above; gives their width and height."""
    rows, columns = cells.shape
    most = max(rows, columns)
    zoom = min(64, side // most)
    width, height = (
        (columns * zoom, rows * zoom) if zoom else (side * columns // most or 1, side * rows // most or 1)
    )
    rgb = colorize(scale.place(cells), colors or scale.colors)
    canvas.picture(x, y, resize(rgb, width, height))
    canvas.box(x - 1, y - 1, width + 2, height + 2, outline=FAINT)
    if zoom >= 46 and most <= NUMBERED:
        for (r, c), value in np.ndenumerate(cells):
            red, green, blue = (int(v) for v in rgb[r, c])
            ink = text_color(hexadecimal((red, green, blue)))
            middle = (x + (c + 0.5) * zoom, y + (r + 0.5) * zoom)
            canvas.text(*middle, number(value, 2), size=SMALL - 2, color=ink, align="middle", at="middle")
    for at, words in _spaced(row_labels, rows, height):
        canvas.text(x - 8, y + at, words, size=SMALL, align="right", at="middle")
    flat = column_labels is None or all(text_width(words, SMALL) <= zoom - 4 for words in column_labels)
    for at, words in _spaced(column_labels, columns, width, flat):
        if flat:
            canvas.text(x + at, y - 7, words, size=SMALL, align="middle", at="base")
        else:
            canvas.text(x + at, y - 8, words, size=SMALL, at="middle", upright=True)
    return width, height


def _spaced(
    labels: Sequence[str] | None, count: int, length: int, flat: bool = False
) -> list[tuple[float, str]]:
    """Position along the side and text of every label that has room, evenly thinned."""
    room = text_width(str(count - 1), SMALL) + 8 if flat and labels is None else SMALL + 4
    needed = room * count / length
    step = next(n * 10**p for p in range(20) for n in (1, 2, 5) if n * 10**p >= needed)
    given = labels if labels is not None else [str(i) for i in range(count)]
    return [
        ((i + 0.5) * length / count, shorten(given[i], LABEL_WIDTH, SMALL)) for i in range(0, count, step)
    ]


def _fixed(limits: tuple[float, float], signed: bool | None) -> Scale:
    low, high = limits
    both = low == -high if signed is None else signed
    return Scale(low, high, both, f"{number(low)} … {number(high)}")
