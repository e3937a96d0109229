"""Which token looks at which? One matrix a head, queries down, keys across."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import SMALL, Canvas, line_height, notice, text_width
from inspector.views.colorbar import add_color_bar
from inspector.views.figure import PNG, Figure, Media
from inspector.views.matrix import place_matrix
from inspector.views.normalize import scale_of
from inspector.views.tiles import CLIP, chosen, shown_text
from inspector.views.values import expect_axes, facts_of
from inspector.views.wording import not_finite_text, sentences, shape_text

__all__ = ["draw_attention"]

SHEET_WIDTH = 1240
READABLE = SMALL + 4  # pixels of a cell from which every token's name has room


def draw_attention(
    weights: npt.ArrayLike,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    *,
    heads: Sequence[int] | None = None,
    start: int = 0,
    limit: int = 12,
    shared: bool = True,
    clip: float = CLIP,
    title: str = "",
    note: str = "",
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """Attention weights (heads, queries, keys); `queries` and `keys` (default: the same) are token texts.

    Heads may lie on one scale (`shared`) or each on its own.
    """
    values = expect_axes(weights, "head query key", "draw_attention")
    if values.size == 0:
        return notice(f"empty: {shape_text(values.shape)}", title=title, media=media)
    rows, columns = values.shape[1:]
    keys = queries if keys is None and rows == columns else keys
    for tokens, count, what in ((queries, rows, "query"), (keys, columns, "key")):
        if tokens is not None and len(tokens) != count:
            raise BadInput(f"{len(tokens)} {what} tokens for {count} positions.")
    picked = chosen(values.shape[0], heads, start, limit)
    side = _side(max(rows, columns), len(picked), queries is not None or keys is not None)
    left = 14 + max((min(260, text_width(t, SMALL)) for t in queries or ["000"]), default=0)
    above = 14 + max((min(260, text_width(t, SMALL)) for t in keys or ["0"]), default=0) + line_height()
    fitting = max(1, SHEET_WIDTH // (side + left + 16))
    per_row = min(fitting, math.ceil(len(picked) / math.ceil(len(picked) / fitting)))
    whole = scale_of(values, clip=clip)
    canvas = Canvas()
    for k, head in enumerate(picked):
        x, y = (k % per_row) * (side + left + 16), (k // per_row) * (side + above + 18)
        scale = whole if shared else scale_of(values[head], signed=whole.signed, clip=clip)
        width, _ = place_matrix(canvas, x, y, values[head], scale, colors, queries, keys, side=side)
        range_text = "" if shared else f": {scale.bounds()}"
        canvas.text(
            x + width / 2, y - above, f"head {head}{range_text}", size=SMALL, bold=True, align="middle"
        )
    _, _, right, _ = canvas.extent()
    if shared:
        add_color_bar(canvas, right + 22, 0, min(max(side, 90), 420), whole, colors)
    facts = facts_of(values)
    caption = sentences(
        note,
        shown_text(picked, values.shape[0], "head"),
        "Rows are queries, columns are keys",
        f"One scale for all: {whole.sentence}" if shared else "Each head on its own scale, written above it",
        not_finite_text(facts.nan, facts.inf),
    )
    return canvas.figure(title=title, caption=caption, media=media)


def _side(tokens: int, heads: int, named: bool) -> int:
    """Pixels of a matrix: large enough for the names of the tokens where a sheet can hold that."""
    wanted = tokens * READABLE if named else 0
    room = {1: 860, 2: 520, 3: 520, 4: 520}.get(heads, 340)
    side = min(max(wanted, min(room, 300)), room)
    return min(64, side // tokens) * tokens or side  # whole pixels a cell
