"""What is in a small array, or one no picture fits? Its values as a table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspector.views.canvas import FAINT, MUTED, SMALL, Canvas, notice, shorten, text_width
from inspector.views.colors import NOT_FINITE, hexadecimal
from inspector.views.figure import PNG, Figure, Media
from inspector.views.values import facts_of, is_numeric
from inspector.views.wording import not_finite_text, number, sentences, shape_text

__all__ = ["draw_values"]

ROWS, COLUMNS = 16, 8
CELL_WIDTH = 260  # longer texts are shortened


def draw_values(array: npt.ArrayLike, *, title: str = "", note: str = "", media: Media = PNG) -> Figure:
    """The first values of an array of any shape and type, row by row of its last axis."""
    values = np.asarray(array)
    if values.size == 0:
        return notice(f"empty: {shape_text(values.shape)}, {values.dtype}", title=title, media=media)
    table = values.reshape(1, 1) if values.ndim == 0 else values.reshape(-1, values.shape[-1])
    rows, columns = min(table.shape[0], ROWS), min(table.shape[1], COLUMNS)
    words = [[_word(table[r, c]) for c in range(columns)] for r in range(rows)]
    widths = [max(text_width(words[r][c]) for r in range(rows)) + 26 for c in range(columns)]
    canvas = Canvas()
    for r in range(rows):
        index = np.unravel_index(r, values.shape[:-1]) if values.ndim > 1 else ()
        name = ", ".join(str(i) for i in (*index, "…")) if values.ndim > 1 else ""
        canvas.text(-12, r * 34 + 17, name, size=SMALL, color=MUTED, align="right", at="middle")
        for c in range(columns):
            x = sum(widths[:c])
            canvas.box(x, r * 34, widths[c] + 1, 35, fill=_fill(table[r, c]), outline=FAINT)
            canvas.text(x + widths[c] / 2, r * 34 + 17, words[r][c], align="middle", at="middle")
    if values.ndim:
        for c in range(columns):
            canvas.text(
                sum(widths[:c]) + widths[c] / 2,
                -6,
                str(c),
                size=SMALL,
                color=MUTED,
                align="middle",
                at="base",
            )
    shown = rows * columns
    left_out = f"{shown:,} of {values.size:,} values shown" if shown < values.size else ""
    bad = ""
    if is_numeric(values.dtype):
        facts = facts_of(values)
        bad = not_finite_text(facts.nan, facts.inf)
    caption = sentences(note, f"{shape_text(values.shape)}, {values.dtype}", left_out, bad)
    return canvas.figure(title=title, caption=caption, media=media)


def _word(value: object) -> str:
    if isinstance(value, (bool, np.bool_, str, bytes)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        return shorten(text or '""', CELL_WIDTH)
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (complex, np.complexfloating)):
        sign = "−" if value.imag < 0 else "+"
        return f"{number(float(value.real), 4)} {sign} {number(abs(float(value.imag)), 4)}i"
    try:
        return number(float(value), 6)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return shorten(str(value), CELL_WIDTH)


def _fill(value: object) -> str:
    if isinstance(value, (str, bytes, bool, np.bool_)):
        return "#ffffff"
    try:
        finite = bool(np.isfinite(value))  # pyright: ignore[reportCallIssue, reportArgumentType]
    except TypeError:
        return "#ffffff"
    return "#ffffff" if finite else hexadecimal(NOT_FINITE)
