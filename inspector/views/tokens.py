"""Which words count? Text whose tokens carry the colour of their attribution."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import BODY, Canvas, line_height, notice, text_width
from inspector.views.colorbar import add_color_bar
from inspector.views.colors import color_table, colorize, hexadecimal, text_color
from inspector.views.figure import HTML, Figure, Media
from inspector.views.normalize import Scale, scale_of
from inspector.views.values import expect_axes, facts_of
from inspector.views.wording import not_finite_text, number, sentences

__all__ = ["draw_tokens", "readable"]

LINE_WIDTH = 900
PAD = 4


@dataclass(frozen=True)
class _Colored:
    words: str
    spaced: bool
    score: float
    fill: str
    ink: str


def readable(token: str) -> tuple[str, bool]:
    """A token as text, and whether a space stands before it: 'Ġcat' -> ('cat', True)."""
    if token.startswith("##") and len(token) > 2:
        return token[2:], False
    if token[:1] in ("Ġ", "▁", " "):
        return token[1:].replace("Ċ", "\\n") or "␣", True
    return token.replace("Ċ", "\\n").replace("\n", "\\n") or "␣", False


def draw_tokens(
    tokens: Sequence[str],
    scores: npt.ArrayLike,
    *,
    title: str = "",
    note: str = "",
    label: str = "relevance",
    signed: bool | None = True,
    clip: float = 0.0,
    colors: str | None = None,
    media: Media = HTML,
) -> Figure:
    """Tokens with their scores (t,): an HTML fragment (score on hovering), PNG or SVG.

    Markers of sub-word vocabularies become spaces. Signed by default: blue speaks against, orange for.
    """
    values = expect_axes(scores, "token", "draw_tokens")
    if len(tokens) != values.size:
        raise BadInput(
            f"{len(tokens)} tokens and {values.size} scores. Sum the scores over the embedding first."
        )
    if not tokens:
        return (
            notice("empty: no tokens", title=title, media=media)
            if media != HTML
            else _page([], title, "", "")
        )
    scale = scale_of(values, signed=signed, clip=clip)
    palette = colors or scale.colors
    facts = facts_of(values)
    caption = sentences(note, f"Scale of {label}: {scale.sentence}", not_finite_text(facts.nan, facts.inf))
    marked = _mark(tokens, values, scale, palette)
    if media == HTML:
        return _page(marked, title, caption, _legend(scale, palette))
    canvas = Canvas()
    height = _place(canvas, marked)
    add_color_bar(canvas, canvas.extent()[2] + 24, 0, max(90, min(height, 300)), scale, palette, label)
    return canvas.figure(title=title, caption=caption, media=media)


def _mark(
    tokens: Sequence[str], values: npt.NDArray[np.float64], scale: Scale, palette: str
) -> list[_Colored]:
    # A vocabulary marks either the space before a word ('Ġ', '▁') or the continuation of one ('##').
    spaced_by_mark = any(token[:1] in ("Ġ", "▁", " ") for token in tokens)
    marked: list[_Colored] = []
    for i, (token, rgb) in enumerate(zip(tokens, colorize(scale.place(values), palette), strict=True)):
        words, space = readable(token)
        if not spaced_by_mark:
            space = not token.startswith("##")
        red, green, blue = (int(v) for v in rgb)
        fill = hexadecimal((red, green, blue))
        marked.append(_Colored(words, space and i > 0, float(values[i]), fill, text_color(fill)))
    return marked


def _place(canvas: Canvas, marked: Sequence[_Colored]) -> int:
    """Lines of coloured boxes; gives their height."""
    x, y, space, step = 0, 0, 9, line_height() + 12
    for token in marked:
        width = text_width(token.words) + 2 * PAD
        if token.spaced:
            x += space
        if x > 0 and x + width > LINE_WIDTH:
            x, y = 0, y + step
        canvas.box(x, y, width, line_height() + 4, fill=token.fill)
        canvas.text(x + PAD, y + 2 + line_height() / 2, token.words, size=BODY, color=token.ink, at="middle")
        x += width + 1
    return y + step


def _legend(scale: Scale, palette: str) -> str:
    stops = ", ".join(hexadecimal((int(r), int(g), int(b))) for r, g, b in color_table(palette)[::32])
    last = hexadecimal(tuple(int(v) for v in color_table(palette)[-1]))  # pyright: ignore[reportArgumentType]
    return (
        f'<span style="white-space:nowrap">{number(scale.low)} <span style="display:inline-block;width:9em;'
        f'height:.8em;border:1px solid #c9d0d9;background:linear-gradient(to right, {stops}, {last})"></span>'
        f" {number(scale.high)}</span>"
    )


def _page(marked: Sequence[_Colored], title: str, caption: str, legend: str) -> Figure:
    spans = "".join(
        (" " if token.spaced else "")
        + f'<span style="background:{token.fill};color:{token.ink};padding:1px 3px;border-radius:3px"'
        f' title="{number(token.score)}">{html.escape(token.words)}</span>'
        for token in marked
    )
    body = (
        '<figure style="font:16px/2 system-ui,Arial,sans-serif;max-width:60em;margin:1em;color:#16202c;'
        'background:#fff;padding:.5em">'
        + (f'<div style="font-weight:600">{html.escape(title)}</div>' if title else "")
        + f'<div style="overflow-wrap:anywhere">{spans or "empty: no tokens"}</div>'
        + f'<figcaption style="font-size:13px;color:#55606e">{html.escape(caption)} {legend}</figcaption>'
        + "</figure>"
    )
    lines = 1 + sum(len(token.words) + 1 for token in marked) // 90
    return Figure(body.encode(), HTML, 960, 80 + 32 * lines, title, caption)
