"""How does an answer look in a notebook? Its text as HTML tables, then its pictures, small and escaped.

Colours are the notebook's own (inherited text, transparent ground), so that light and dark both fit, and
nothing in the markup runs or is fetched.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["card"]

MAX_ROWS = 200
"""Rows of one table; the answer's `to_dict()` has all of them."""

MAX_PICTURES = 12
MAX_PICTURE_BYTES = 3_000_000
"""Pictures of one answer, all together; `figures()` has all of them."""

_WIDTH = 110
_CELL = "padding:2px 12px 2px 0;text-align:left;vertical-align:top;white-space:pre-wrap;border:0"
_HEAD = "font-weight:600;border-bottom:1px solid rgba(128,128,128,.5)"
_FRAME = "max-height:26em;overflow:auto;margin:.3em 0"
_TABLE = (
    "border-collapse:collapse;font-size:13px;line-height:1.4;background:transparent;color:inherit;margin:0"
)


class Picture(Protocol):
    """What a card needs of a `views.Figure`."""

    @property
    def data(self) -> bytes:
        """The encoded picture."""
        ...

    def to_html(self) -> str:
        """The picture as an element that holds everything."""
        ...


def card(text: RenderableType, pictures: Iterable[Picture] = ()) -> str:
    """One `<div>` with the text of an answer and its pictures.

    Tables become HTML tables of at most 200 rows; at most 12 pictures with 3 MB together are shown. What
    is left out is said.
    """
    return f'<div class="inspector-card">{"".join(_parts(text))}{"".join(_shown(list(pictures)))}</div>'


def _parts(text: RenderableType) -> Iterator[str]:
    if isinstance(text, Group):
        for part in text.renderables:
            yield from _parts(part)
    elif isinstance(text, Table):
        yield _table(text)
    elif isinstance(text, (str, Text)):
        plain = _plain(text)
        if plain.strip():
            yield f'<div style="white-space:pre-wrap;font-size:13px">{html.escape(plain)}</div>'
    else:
        yield f'<pre style="{_FRAME}">{html.escape(_printed(text))}</pre>'


def _table(table: Table) -> str:
    rows = list(zip_longest(*(list(column.cells) for column in table.columns), fillvalue=""))
    styles = [_CELL + (";text-align:right" if c.justify == "right" else "") for c in table.columns]
    lines = [_row("td", row, styles) for row in rows[:MAX_ROWS]]
    if table.show_header:
        heads = [f"{style};{_HEAD}" for style in styles]
        lines.insert(0, _row("th", [column.header for column in table.columns], heads))
    more = len(rows) - MAX_ROWS
    rest = f"<div>… and {more:,} more rows; to_dict() has them.</div>" if more > 0 else ""
    return f'<div style="{_FRAME}"><table style="{_TABLE}">{"".join(lines)}</table>{rest}</div>'


def _row(tag: str, cells: Iterable[RenderableType], styles: Iterable[str]) -> str:
    found = (
        f'<{tag} style="{style}">{html.escape(_worded(cell))}</{tag}>'
        for cell, style in zip(cells, styles, strict=False)
    )
    return f'<tr style="background:transparent">{"".join(found)}</tr>'


def _worded(cell: RenderableType) -> str:
    return _plain(cell) if isinstance(cell, (str, Text)) else _printed(cell)


def _plain(text: str | Text) -> str:
    return text.plain if isinstance(text, Text) else text


def _printed(text: RenderableType) -> str:
    console = Console(width=_WIDTH, file=io.StringIO(), no_color=True, highlight=False, markup=False)
    with console.capture() as got:
        console.print(text)
    return got.get()


def _shown(pictures: list[Picture]) -> Iterator[str]:
    left, shown = MAX_PICTURE_BYTES, 0
    for picture in pictures:
        if shown < MAX_PICTURES and len(picture.data) <= left:
            left -= len(picture.data)
            shown += 1
            yield picture.to_html()
    if shown < len(pictures):
        left_out = f"{len(pictures) - shown:,} of {len(pictures):,} pictures are not shown here"
        yield f"<div>{left_out}; figures() has them.</div>"
