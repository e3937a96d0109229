"""How do many pictures stand side by side, with headings for rows and columns and a line under each?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import (
    FAINT,
    MUTED,
    SMALL,
    Canvas,
    line_height,
    notice,
    shorten,
    text_width,
    wrap,
)
from inspector.views.figure import PNG, Figure, Media
from inspector.views.pictures import Pixels, as_picture, fit
from inspector.views.wording import sentences

__all__ = ["draw_sheet", "place_sheet"]

GAP = 10
HEADING_WIDTH = 190  # row headings wider than this are wrapped


def draw_sheet(
    rows: Sequence[Sequence[npt.ArrayLike | None]],
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    texts: Sequence[Sequence[str]] | None = None,
    title: str = "",
    note: str = "",
    side: int = 160,
    sharp: bool = False,
    media: Media = PNG,
) -> Figure:
    """Rows of pictures (see `as_picture`), units × images say; None leaves a place empty.

    `texts` has one line under each picture. `side`: pixels of the longer side of each picture;
    `sharp` keeps cells square when enlarging instead of smoothing.
    """
    cells = [[None if p is None else as_picture(p) for p in row] for row in rows]
    if not any(p is not None for row in cells for p in row):
        return notice("nothing to show", title=title, media=media)
    canvas = Canvas()
    place_sheet(
        canvas,
        cells,
        row_labels=row_labels,
        column_labels=column_labels,
        texts=texts,
        side=side,
        smooth=not sharp,
    )
    return canvas.figure(title=title, caption=sentences(note), media=media)


def place_sheet(
    canvas: Canvas,
    cells: Sequence[Sequence[Pixels | None]],
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    texts: Sequence[Sequence[str]] | None = None,
    side: int = 160,
    gap: int = GAP,
    smooth: bool = True,
    frames: bool = False,
) -> tuple[int, int]:
    """Put the grid on a canvas, its pictures starting at (0, 0); gives the pictures' width and height."""
    columns = max(len(row) for row in cells)
    _check_labels(len(cells), columns, row_labels, column_labels)
    sizes = [fit(p.shape[0], p.shape[1], side) for row in cells for p in row if p is not None]
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    foot = line_height(SMALL) if texts is not None else 0
    for r, row in enumerate(cells):
        y = r * (height + foot + gap)
        for c, picture in enumerate(row):
            x = c * (width + gap)
            if picture is None:
                canvas.box(x, y, width, height, outline=FAINT)
            else:
                h, w = fit(picture.shape[0], picture.shape[1], side)
                larger = h >= picture.shape[0]
                place = (x + (width - w) // 2, y + (height - h) // 2)
                canvas.picture(*place, picture, w, h, smooth=smooth or not larger)
                if frames:
                    canvas.box(place[0] - 1, place[1] - 1, w + 2, h + 2, outline=FAINT)
            if texts is not None and texts[r][c]:
                words = shorten(texts[r][c], width + gap - 4, SMALL)
                canvas.text(x + width / 2, y + height + 2, words, size=SMALL, color=MUTED, align="middle")
        if row_labels is not None:
            _row_heading(canvas, row_labels[r], y + height / 2)
    if column_labels is not None:
        _column_headings(canvas, column_labels, width, gap)
    return columns * (width + gap) - gap, len(cells) * (height + foot + gap) - gap


def _check_labels(
    rows: int, columns: int, row_labels: Sequence[str] | None, column_labels: Sequence[str] | None
) -> None:
    if row_labels is not None and len(row_labels) != rows:
        raise BadInput(f"{len(row_labels)} row labels for {rows} rows.")
    if column_labels is not None and len(column_labels) != columns:
        raise BadInput(f"{len(column_labels)} column labels for {columns} columns.")


def _row_heading(canvas: Canvas, words: str, middle: float) -> None:
    lines = wrap(words, HEADING_WIDTH, SMALL)
    top = middle - len(lines) * line_height(SMALL) / 2
    for i, line in enumerate(lines):
        canvas.text(-14, top + i * line_height(SMALL), line, size=SMALL, align="right")


def _column_headings(canvas: Canvas, labels: Sequence[str], width: int, gap: int) -> None:
    """Above the pictures, wrapped; upright when the columns are too narrow for words."""
    if max(text_width(word, SMALL) for label in labels for word in label.split() or [""]) > width + gap - 2:
        for c, label in enumerate(labels):
            words = shorten(label, 220, SMALL)
            canvas.text(c * (width + gap) + width / 2, -10, words, size=SMALL, at="middle", upright=True)
        return
    wrapped = [wrap(label, width + gap - 4, SMALL) for label in labels]
    deepest = max(len(lines) for lines in wrapped)
    for c, lines in enumerate(wrapped):
        for i, line in enumerate(lines):
            y = -8 - (deepest - i) * line_height(SMALL)
            canvas.text(c * (width + gap) + width / 2, y, line, size=SMALL, align="middle")
