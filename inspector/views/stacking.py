"""How do finished pictures make one sheet? One below the other."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from PIL import Image

from inspector.errors import BadInput
from inspector.views.canvas import png_bytes
from inspector.views.figure import HTML, PNG, Figure

__all__ = ["stack"]

SIZE = re.compile(rb'\s(?:width|height)="[^"]*"')


def stack(figures: Sequence[Figure]) -> Figure:
    """Figures of one medium from top to bottom, each with its own title and caption.

    Raises:
        BadInput: there is none, or they are of several media.
    """
    media = {figure.media for figure in figures}
    if len(media) != 1:
        raise BadInput(f"only pictures of one medium make a sheet, not {', '.join(sorted(media)) or 'none'}.")
    first = figures[0]
    if len(figures) == 1:
        return first
    width, height = max(f.width for f in figures), sum(f.height for f in figures)
    draw = {HTML: _html, PNG: _png}.get(first.media, _svg)
    captions = " ".join(f.caption for f in figures if f.caption)
    return Figure(draw(figures, width, height), first.media, width, height, first.title, captions)


def _html(figures: Sequence[Figure], _width: int, _height: int) -> bytes:
    return b"\n".join(figure.data for figure in figures)


def _png(figures: Sequence[Figure], width: int, height: int) -> bytes:
    sheet, top = Image.new("RGB", (width, height), "#ffffff"), 0
    for figure in figures:
        with Image.open(io.BytesIO(figure.data)) as picture:
            sheet.paste(picture, (0, top))
        top += figure.height
    return png_bytes(sheet)


def _svg(figures: Sequence[Figure], width: int, height: int) -> bytes:
    """Each picture is nested whole; its root gets a place, and a size in the units of the sheet."""
    parts: list[bytes] = []
    top = 0
    for figure in figures:
        root, end, body = figure.data[figure.data.index(b"<svg") :].partition(b">")
        place = f'<svg y="{top}" width="{figure.width}" height="{figure.height}"'
        parts.append(SIZE.sub(b"", root).replace(b"<svg", place.encode(), 1) + end + body)
        top += figure.height
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}"><rect width="{width}" height="{height}" fill="#ffffff"/>'
    )
    return b"\n".join([head.encode(), *parts, b"</svg>\n"])
