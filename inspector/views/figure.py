"""What is a finished picture? Bytes with their media type, size, title and caption."""

from __future__ import annotations

import base64
import hashlib
import html
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from inspector.errors import BadInput

__all__ = ["HTML", "PNG", "SVG", "Figure", "Media", "media_for"]

Media = Literal["image/png", "image/svg+xml", "text/html"]
PNG: Media = "image/png"
SVG: Media = "image/svg+xml"
HTML: Media = "text/html"

SUFFIXES: dict[str, Media] = {".png": PNG, ".svg": SVG, ".html": HTML, ".htm": HTML}


def media_for(path: str | os.PathLike[str]) -> Media:
    """The media type that a file name asks for; BadInput for a suffix no picture can have."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInput(
            f"{os.fspath(path)!r}: pictures are written as .png, .svg or .html, not {suffix or 'bare'!r}."
            " Change the file name."
        )
    return SUFFIXES[suffix]


@dataclass(frozen=True)
class Figure:
    """A picture, ready to be saved, sent or shown.

    `width` and `height` are pixels of the PNG, or units of the SVG's view box; an HTML figure gives the
    size it would like. `caption` says what a reader must know: scale, counts, what was left out.
    """

    data: bytes = field(repr=False)
    media: Media
    width: int
    height: int
    title: str = ""
    caption: str = ""

    @property
    def digest(self) -> str:
        """The sha256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bytes, whole or not at all; BadInput when the suffix promises another format."""
        target = Path(path)
        wanted = media_for(target)
        if wanted != self.media:
            raise BadInput(
                f"{os.fspath(path)!r}: this picture is {self.media}, the suffix asks for {wanted}."
                f" Draw it with media={wanted!r}, or save it under another suffix."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        partial.write_bytes(self.data)
        partial.replace(target)
        return target

    @property
    def data_uri(self) -> str:
        """The picture as a `data:` address, for a page without further files."""
        return f"data:{self.media};base64,{base64.b64encode(self.data).decode('ascii')}"

    def to_html(self) -> str:
        """A `<figure>` element that holds everything, or the page fragment of an HTML figure."""
        if self.media == HTML:
            return self.data.decode("utf-8")
        words = ". ".join(text for text in (self.title, self.caption) if text) or "picture"
        return (
            f'<figure><img src="{self.data_uri}" alt="{html.escape(words)}" style="max-width:100%"></figure>'
        )

    def _repr_png_(self) -> bytes | None:
        return self.data if self.media == PNG else None

    def _repr_svg_(self) -> str | None:
        return self.data.decode("utf-8") if self.media == SVG else None

    def _repr_html_(self) -> str | None:
        return self.data.decode("utf-8") if self.media == HTML else None
