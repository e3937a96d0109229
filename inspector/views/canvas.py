"""How are pictures, boxes and text laid out without ever cropping one? Draw first, size the sheet last.

A `Canvas` only records what lies where. `figure()` measures everything, puts the title above and the
caption below, and writes the same sheet as PNG (Pillow) or SVG.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from inspector.errors import BadInput
from inspector.views.figure import PNG, SVG, Figure, Media

__all__ = [
    "BODY",
    "FAINT",
    "HEADING",
    "INK",
    "MARGIN",
    "MUTED",
    "SMALL",
    "TITLE",
    "Canvas",
    "headed",
    "line_height",
    "notice",
    "png_bytes",
    "resize",
    "shorten",
    "text_width",
    "wrap",
]

Pixels = npt.NDArray[np.uint8]
Align = Literal["left", "middle", "right"]

# Text sizes in pixels; charts use the same at 144 dots an inch.
TITLE, HEADING, BODY, SMALL = 28, 23, 20, 17
INK, MUTED, FAINT = "#16202c", "#55606e", "#c9d0d9"
MARGIN = 28
MIN_TEXT_WIDTH = 620  # a caption is not squeezed below this, however narrow the picture


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def text_width(words: str, size: int = BODY, bold: bool = False) -> int:
    """Pixels from the first to the last letter."""
    return math.ceil(_font(size, bold).getlength(words))


def line_height(size: int = BODY) -> int:
    """Pixels from one line to the next."""
    return math.ceil(size * 1.35)


def shorten(words: str, width: float, size: int = BODY, bold: bool = False) -> str:
    """The words, with the middle replaced by … when they are wider than `width`."""
    if text_width(words, size, bold) <= width:
        return words
    kept = len(words) - 1
    while kept > 1:
        head = (kept + 1) // 2
        candidate = words[:head].rstrip() + "…" + words[len(words) - (kept - head) :].lstrip()
        if text_width(candidate, size, bold) <= width:
            return candidate
        kept -= 1
    return "…"


def wrap(words: str, width: float, size: int = BODY, bold: bool = False) -> list[str]:
    """Lines no wider than `width`; a single longer word is broken."""
    lines: list[str] = []
    for paragraph in words.split("\n"):
        line = ""
        for word in paragraph.split():
            candidate = f"{line} {word}" if line else word
            if text_width(candidate, size, bold) <= width:
                line = candidate
                continue
            if line:
                lines.append(line)
            line = word
            while text_width(line, size, bold) > width and len(line) > 1:
                cut = len(line) - 1
                while cut > 1 and text_width(line[:cut], size, bold) > width:
                    cut -= 1
                joint = max(line.rfind(mark, 0, cut) for mark in "/._-:,") + 1
                cut = joint if joint > 1 else cut
                lines.append(line[:cut])
                line = line[cut:]
        if line:
            lines.append(line)
    return lines


def headed(title: str, caption: str, width: float) -> tuple[list[str], str]:
    """At most two lines of a title, and the caption, which names what was too long for them."""
    lines = wrap(title, width, TITLE, True)
    if len(lines) <= 2:
        return lines, caption
    rest = " ".join(title.split())[len(lines[0]) :].lstrip()
    return [lines[0], shorten(rest, width, TITLE, True)], f"{title.rstrip('.')}. {caption}".rstrip()


def resize(rgb: Pixels, width: int, height: int, *, smooth: bool = False) -> Pixels:
    """(h, w, 3) -> (height, width, 3): cells stay sharp when enlarged, are averaged when reduced."""
    if rgb.shape[:2] == (height, width):
        return rgb
    reduced = height < rgb.shape[0] or width < rgb.shape[1]
    rule = (
        Image.Resampling.BICUBIC if smooth else Image.Resampling.BOX if reduced else Image.Resampling.NEAREST
    )
    return np.asarray(Image.fromarray(rgb).resize((width, height), rule))


def png_bytes(image: Image.Image) -> bytes:
    """The picture as PNG without dates or program names."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


@dataclass(frozen=True)
class _Picture:
    x: int
    y: int
    rgb: Pixels

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x, self.y, self.x + self.rgb.shape[1], self.y + self.rgb.shape[0]

    def paint(self, image: Image.Image, dx: int, dy: int) -> None:
        image.paste(Image.fromarray(self.rgb), (self.x + dx, self.y + dy))

    def svg(self) -> str:
        data = base64.b64encode(png_bytes(Image.fromarray(self.rgb))).decode("ascii")
        return (
            f'<image x="{self.x}" y="{self.y}" width="{self.rgb.shape[1]}" height="{self.rgb.shape[0]}"'
            f' href="data:image/png;base64,{data}"/>'
        )


@dataclass(frozen=True)
class _Box:
    x: int
    y: int
    width: int
    height: int
    fill: str | None
    outline: str | None
    line: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        return (
            self.x - self.line,
            self.y - self.line,
            self.x + self.width + self.line,
            self.y + self.height + self.line,
        )

    def paint(self, image: Image.Image, dx: int, dy: int) -> None:
        x, y = self.x + dx, self.y + dy
        corners = (x, y, x + self.width - 1, y + self.height - 1)
        ImageDraw.Draw(image).rectangle(corners, fill=self.fill, outline=self.outline, width=self.line)

    def svg(self) -> str:
        inset = self.line / 2 if self.outline else 0
        stroke = f' stroke="{self.outline}" stroke-width="{self.line}"' if self.outline else ""
        return (
            f'<rect x="{self.x + inset:g}" y="{self.y + inset:g}" width="{self.width - 2 * inset:g}"'
            f' height="{self.height - 2 * inset:g}" fill="{self.fill or "none"}"{stroke}/>'
        )


@dataclass(frozen=True)
class _Line:
    x0: int
    y0: int
    x1: int
    y1: int
    color: str
    width: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        x0, x1 = sorted((self.x0, self.x1))
        y0, y1 = sorted((self.y0, self.y1))
        return x0 - self.width, y0 - self.width, x1 + self.width, y1 + self.width

    def paint(self, image: Image.Image, dx: int, dy: int) -> None:
        points = (self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)
        ImageDraw.Draw(image).line(points, fill=self.color, width=self.width)

    def svg(self) -> str:
        return (
            f'<line x1="{self.x0}" y1="{self.y0}" x2="{self.x1}" y2="{self.y1}"'
            f' stroke="{self.color}" stroke-width="{self.width}"/>'
        )


@dataclass(frozen=True)
class _Text:
    """`x`, `y` is a point on the base line; an upright text reads from bottom to top."""

    x: int
    y: int
    words: str
    size: int
    bold: bool
    color: str
    align: Align
    upright: bool

    @property
    def box(self) -> tuple[float, float, float, float]:
        ascent, descent = _font(self.size, self.bold).getmetrics()
        width = text_width(self.words, self.size, self.bold)
        before = {"left": 0, "middle": width / 2, "right": width}[self.align]
        if self.upright:
            return self.x - ascent, self.y - width + before, self.x + descent, self.y + before
        return self.x - before, self.y - ascent, self.x - before + width, self.y + descent

    def paint(self, image: Image.Image, dx: int, dy: int) -> None:
        font = _font(self.size, self.bold)
        anchor = {"left": "ls", "middle": "ms", "right": "rs"}[self.align]
        if not self.upright:
            ImageDraw.Draw(image).text(
                (self.x + dx, self.y + dy), self.words, font=font, fill=self.color, anchor=anchor
            )
            return
        ascent, descent = font.getmetrics()
        left, top, _, _ = self.box
        mask = Image.new("L", (text_width(self.words, self.size, self.bold) + 2, ascent + descent), 0)
        ImageDraw.Draw(mask).text((0, ascent), self.words, font=font, fill=255, anchor="ls")
        turned = mask.transpose(Image.Transpose.ROTATE_90)
        image.paste(
            Image.new("RGB", turned.size, self.color), (round(left) + dx, round(top) - 2 + dy), turned
        )

    def svg(self) -> str:
        anchor = {"left": "start", "middle": "middle", "right": "end"}[self.align]
        weight = ' font-weight="bold"' if self.bold else ""
        turn = f' transform="rotate(-90 {self.x} {self.y})"' if self.upright else ""
        return (
            f'<text x="{self.x}" y="{self.y}" font-size="{self.size}" fill="{self.color}"'
            f' text-anchor="{anchor}"{weight}{turn} xml:space="preserve">{escape(self.words)}</text>'
        )


def _printable(words: str) -> str:
    """XML 1.0 has no control characters."""
    return "".join(letter if letter.isprintable() else "�" for letter in words)


class Canvas:
    """A growing list of things at places. Coordinates are pixels, y downwards, the origin is free."""

    def __init__(self) -> None:
        self._marks: list[_Picture | _Box | _Line | _Text] = []

    def picture(
        self,
        x: float,
        y: float,
        rgb: Pixels,
        width: int | None = None,
        height: int | None = None,
        *,
        smooth: bool = False,
    ) -> None:
        """A picture (h, w, 3) uint8 with its upper left corner at (x, y), resized if asked."""
        sized = resize(rgb, width or rgb.shape[1], height or rgb.shape[0], smooth=smooth)
        self._marks.append(_Picture(round(x), round(y), np.ascontiguousarray(sized)))

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str | None = None,
        outline: str | None = None,
        line: int = 1,
    ) -> None:
        """A rectangle, filled, outlined (inside its edge) or both."""
        self._marks.append(_Box(round(x), round(y), round(width), round(height), fill, outline, line))

    def line(self, x0: float, y0: float, x1: float, y1: float, *, color: str = INK, width: int = 1) -> None:
        """A straight line."""
        self._marks.append(_Line(round(x0), round(y0), round(x1), round(y1), color, width))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = BODY,
        bold: bool = False,
        color: str = INK,
        align: Align = "left",
        at: Literal["top", "middle", "base"] = "top",
        upright: bool = False,
    ) -> None:
        """One line of text; `at` says which height of the letters lies at y (at x when upright)."""
        ascent, descent = _font(size, bold).getmetrics()
        shift = round({"top": ascent, "middle": (ascent - descent) / 2, "base": 0}[at])
        px, py = round(x) + (shift if upright else 0), round(y) + (0 if upright else shift)
        self._marks.append(_Text(px, py, _printable(words), size, bold, color, align, upright))

    def paragraph(
        self,
        x: float,
        y: float,
        words: str,
        width: float,
        *,
        size: int = BODY,
        bold: bool = False,
        color: str = INK,
    ) -> int:
        """Wrapped text; gives the height it took."""
        lines = wrap(words, width, size, bold)
        for row, line in enumerate(lines):
            self.text(x, y + row * line_height(size), line, size=size, bold=bold, color=color)
        return len(lines) * line_height(size)

    def extent(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of everything recorded."""
        if not self._marks:
            return 0, 0, 0, 0
        boxes = np.array([mark.box for mark in self._marks])
        low, high = np.floor(boxes[:, :2].min(axis=0)), np.ceil(boxes[:, 2:].max(axis=0))
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def figure(self, *, title: str = "", caption: str = "", media: Media = PNG) -> Figure:
        """Title above, caption below, white margin around: PNG or SVG."""
        left, top, right, bottom = self.extent()
        width = max(right - left, MIN_TEXT_WIDTH)
        lines, words = headed(title, caption, width)
        for row, line in enumerate(lines):
            y = top - 8 - (len(lines) - row) * line_height(TITLE)
            self.text(left, y, line, size=TITLE, bold=True)
        self.paragraph(left, bottom + 14, words, width, size=SMALL, color=MUTED)
        left, top, right, bottom = self.extent()
        size = (right - left + 2 * MARGIN, bottom - top + 2 * MARGIN)
        dx, dy = MARGIN - left, MARGIN - top
        if media == PNG:
            return Figure(self._png(size, dx, dy), PNG, *size, title, caption)
        if media == SVG:
            return Figure(self._svg(size, dx, dy, title), SVG, *size, title, caption)
        raise BadInput(f"this picture is drawn as {PNG} or {SVG}, not as {media!r}.")

    def _png(self, size: tuple[int, int], dx: int, dy: int) -> bytes:
        image = Image.new("RGB", size, "#ffffff")
        for mark in self._marks:
            mark.paint(image, dx, dy)
        return png_bytes(image)

    def _svg(self, size: tuple[int, int], dx: int, dy: int, title: str) -> bytes:
        width, height = size
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" font-family="DejaVu Sans, Verdana, Arial, sans-serif"'
            f' role="img" aria-label={quoteattr(_printable(title) or "picture")}>'
        )
        body = "\n".join(mark.svg() for mark in self._marks)
        background = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
        return f'{head}\n{background}\n<g transform="translate({dx} {dy})">\n{body}\n</g>\n</svg>\n'.encode()


def notice(words: str, *, title: str = "", media: Media = PNG) -> Figure:
    """A sheet that only says something: 'empty', 'nothing to draw'."""
    canvas = Canvas()
    canvas.box(0, 0, MIN_TEXT_WIDTH, 110, fill="#f6f7f9", outline=FAINT)
    lines = wrap(words, MIN_TEXT_WIDTH - 40)
    top = 55 - len(lines) * line_height() / 2
    for row, line in enumerate(lines):
        canvas.text(MIN_TEXT_WIDTH / 2, top + row * line_height(), line, color=MUTED, align="middle")
    return canvas.figure(title=title, caption="", media=media)
