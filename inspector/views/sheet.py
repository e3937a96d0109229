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
from inspector.views.colorbar import STRIP_HEIGHT, add_color_strip
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import Scale
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

    `texts` has a line, or several, under each picture. `side`: pixels of the longer side of each picture;
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
    scales: Sequence[Sequence[Scale | None]] | None = None,
    per_row: int | None = None,
    side: int = 160,
    gap: int = GAP,
    smooth: bool = True,
    frames: bool = False,
) -> tuple[int, int]:
    """Put the grid on a canvas, its pictures starting at (0, 0); gives the pictures' width and height.

    With `per_row` the columns go on below, so many at a time, headings and rows repeated. A scale of
    `scales` stands as a strip of its colours with its ends under its picture.
    """
    columns = max(len(row) for row in cells)
    _check_labels(len(cells), columns, row_labels, column_labels)
    sizes = [fit(p.shape[0], p.shape[1], side) for row in cells for p in row if p is not None]
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    lines = max((text.count("\n") + 1 for row in texts for text in row if text), default=0) if texts else 0
    foot = (STRIP_HEIGHT if scales is not None else 0) + lines * line_height(SMALL)
    step = min(per_row or columns, columns)
    y = 0
    for start in range(0, columns, step):
        band = range(start, min(start + step, columns))
        if column_labels is not None:
            headings = [column_labels[c] for c in band]
            y += _headings_height(headings, width, gap) + 2 * gap if start else 0
            _column_headings(canvas, headings, width, gap, y)
        for r, row in enumerate(cells):
            for c in band:
                x = (c - start) * (width + gap)
                picture = row[c] if c < len(row) else None
                if c < len(row):
                    _place(canvas, picture, (x, y, width, height), side, smooth=smooth, frames=frames)
                below = y + height
                if scales is not None and (scale := scales[r][c]) is not None:
                    add_color_strip(canvas, x, below + 5, width, scale)
                below += STRIP_HEIGHT if scales is not None else 0
                for k, text in enumerate(texts[r][c].splitlines() if texts is not None else ()):
                    words, down = shorten(text, width + gap - 4, SMALL), below + 2 + k * line_height(SMALL)
                    canvas.text(x + width / 2, down, words, size=SMALL, color=MUTED, align="middle")
            if row_labels is not None:
                _row_heading(canvas, row_labels[r], y + height / 2)
            y += height + foot + gap
    return step * (width + gap) - gap, y - gap


def _place(
    canvas: Canvas,
    picture: Pixels | None,
    place: tuple[int, int, int, int],
    side: int,
    *,
    smooth: bool,
    frames: bool,
) -> None:
    """One picture in the middle of its place (x, y, width, height), or the empty place."""
    x, y, width, height = place
    if picture is None:
        canvas.box(x, y, width, height, outline=FAINT)
        return
    h, w = fit(picture.shape[0], picture.shape[1], side)
    left, top = x + (width - w) // 2, y + (height - h) // 2
    canvas.picture(left, top, picture, w, h, smooth=smooth or h < picture.shape[0])
    if frames:
        canvas.box(left - 1, top - 1, w + 2, h + 2, outline=FAINT)


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


def _upright(labels: Sequence[str], width: int, gap: int) -> bool:
    """Whether the columns are too narrow for words."""
    return (
        max(text_width(word, SMALL) for label in labels for word in label.split() or [""]) > width + gap - 2
    )


def _headings_height(labels: Sequence[str], width: int, gap: int) -> int:
    if _upright(labels, width, gap):
        return 10 + min(220, max(text_width(label, SMALL) for label in labels))
    lines = max(len(wrap(label, width + gap - 4, SMALL)) for label in labels)
    return 8 + lines * line_height(SMALL)


def _column_headings(canvas: Canvas, labels: Sequence[str], width: int, gap: int, bottom: int) -> None:
    """Above the pictures, wrapped; upright when the columns are too narrow for words."""
    if _upright(labels, width, gap):
        for c, label in enumerate(labels):
            words, x = shorten(label, 220, SMALL), c * (width + gap) + width / 2
            canvas.text(x, bottom - 10, words, size=SMALL, at="middle", upright=True)
        return
    for c, label in enumerate(labels):
        lines = wrap(label, width + gap - 4, SMALL)
        for i, line in enumerate(lines):
            y = bottom - 8 - (len(lines) - i) * line_height(SMALL)
            canvas.text(c * (width + gap) + width / 2, y, line, size=SMALL, align="middle")
