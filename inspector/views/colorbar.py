"""How does a sheet of pictures say which number a colour means?"""

from __future__ import annotations

import numpy as np

from inspector.views.canvas import INK, MUTED, SMALL, Canvas, line_height, text_width
from inspector.views.colors import colorize
from inspector.views.normalize import Scale
from inspector.views.wording import number

__all__ = ["STRIP_HEIGHT", "add_color_bar", "add_color_strip"]

BAR_WIDTH = 24
STRIP = 8
STRIP_HEIGHT = STRIP + 6 + line_height(SMALL)
"""Pixels that a lying strip takes with its numbers and the space above it."""


def add_color_bar(
    canvas: Canvas, x: float, y: float, height: int, scale: Scale, colors: str | None = None, label: str = ""
) -> int:
    """A vertical bar, high values on top, five ticks; gives the width it took with its numbers."""
    steps = np.repeat(np.linspace(1.0, 0.0, height)[:, None], BAR_WIDTH, axis=1)
    canvas.picture(x, y, colorize(steps, colors or scale.colors))
    canvas.box(x, y, BAR_WIDTH, height, outline=INK)
    widest = 0
    count = 5 if height >= 110 else 3
    for part in np.linspace(0.0, 1.0, count):
        words = number((1 - part) * scale.low + part * scale.high)
        if part == 0.0 and scale.clipped[0]:
            words = f"≤ {words}"
        if part == 1.0 and scale.clipped[1]:
            words = f"≥ {words}"
        level = y + (1.0 - part) * (height - 1)
        canvas.line(x + BAR_WIDTH, level, x + BAR_WIDTH + 5, level)
        canvas.text(x + BAR_WIDTH + 9, level, words, size=SMALL, at="middle")
        widest = max(widest, text_width(words, SMALL))
    if label:
        canvas.text(
            x + BAR_WIDTH + 9 + widest + 6, y + height / 2, label, size=SMALL, align="middle", upright=True
        )
        widest += 6 + SMALL + 8
    return BAR_WIDTH + 9 + widest


def add_color_strip(canvas: Canvas, x: float, y: float, width: int, scale: Scale) -> None:
    """A lying strip, low values on the left, with its ends below; words alone for a scale of no width."""
    foot = y + STRIP + 1
    if scale.low == scale.high:
        words = "zero everywhere" if scale.high == 0 else f"{number(scale.high)} everywhere"
        canvas.text(x + width / 2, foot, words, size=SMALL, color=MUTED, align="middle")
        return
    colors = colorize(np.linspace(0.0, 1.0, width)[None], scale.colors)
    canvas.picture(x, y, np.repeat(colors, STRIP, axis=0))
    low, high = number(scale.low), number(scale.high)
    canvas.text(x, foot, low, size=SMALL, color=MUTED)
    canvas.text(x + width, foot, high, size=SMALL, color=MUTED, align="right")
    if scale.signed and width > 3 * SMALL + 2 * text_width(low, SMALL):
        canvas.text(x + width / 2, foot, "0", size=SMALL, color=MUTED, align="middle")
