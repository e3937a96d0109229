"""What do all channels of a feature map look like? Numbered tiles in pseudo-colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import (
    FAINT,
    MUTED,
    SMALL,
    Canvas,
    line_height,
    notice,
    resize,
    shorten,
    text_width,
)
from inspector.views.colorbar import add_color_bar
from inspector.views.colors import colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.grid import Grid, grid_for, room_for, zoom_for
from inspector.views.normalize import Scale, scale_of
from inspector.views.values import Array, expect_axes, facts_of
from inspector.views.wording import not_finite_text, number, sentences, shape_text

__all__ = ["PAGE", "chosen", "draw_tiles", "drawn_note", "shown_text"]

PAGE = 64  # tiles on one sheet unless asked otherwise
CLIP = 0.5  # per cent: activations have few, far outliers that would leave every map dark


def draw_tiles(
    maps: npt.ArrayLike,
    *,
    title: str = "",
    note: str = "",
    names: Sequence[str] | None = None,
    channels: Sequence[int] | None = None,
    start: int = 0,
    limit: int = PAGE,
    columns: int | None = None,
    shared: bool = True,
    signed: bool | None = None,
    clip: float = CLIP,
    colors: str | None = None,
    noun: str = "map",
    media: Media = PNG,
) -> Figure:
    """Feature maps (c, h, w), one tile a channel, its number above it.

    `channels` picks and orders (a ranking, say); `start` and `limit` page through them. `shared`: one
    scale and a colour bar for all, also for those not shown; otherwise each tile has its own, written
    under it. `names` has one text a channel and replaces the numbers. `signed` and `clip` (per cent of
    outliers) are explained at `scale_of`.
    """
    values = expect_axes(maps, "c h w", "draw_tiles")
    if values.size == 0:
        return notice(f"empty: {shape_text(values.shape)}", title=title, media=media)
    picked = chosen(values.shape[0], channels, start, limit)
    target, largest = room_for(len(picked))
    height, width = zoom_for(values.shape[1], values.shape[2], target, largest)
    grid = grid_for(
        len(picked),
        height,
        width,
        columns=columns,
        head=line_height(SMALL),
        foot=0 if shared else line_height(SMALL),
    )
    scale = scale_of(values, signed=signed, clip=clip)
    scales = [
        scale if shared else scale_of(values[c], signed=signed or scale.signed, clip=clip) for c in picked
    ]
    canvas = Canvas()
    palette = colors or scale.colors
    canvas.picture(0, 0, _mosaic(values, picked, scales, palette, grid))
    for k, channel in enumerate(picked):
        x, y = grid.corner(k)
        canvas.box(x - 1, y - 1, width + 2, height + 2, outline=FAINT)
        label = str(channel) if names is None else names[channel]
        canvas.text(x, y - line_height(SMALL), shorten(label, max(width, 30), SMALL), size=SMALL)
        if not shared:
            _range_text(canvas, x, y + height + 2, width, scales[k])
    if shared:
        add_color_bar(
            canvas, grid.size[0] + 22, grid.head, max(60, min(grid.size[1] - grid.head, 420)), scale, palette
        )
    facts = facts_of(values)
    beyond = (
        f", up to {number(clip)} % of its values beyond it" if any(any(s.clipped) for s in scales) else ""
    )
    each, one_scale = ("Each", "One scale for all") if values.shape[0] > 1 else ("It", "Scale")
    caption = sentences(
        note,
        shown_text(picked, values.shape[0], noun),
        f"{each} is {shape_text(values.shape[1:])}{drawn_note(values.shape[1:], (height, width))}",
        f"{one_scale}: {scale.sentence}"
        if shared
        else f"Each {noun} on its own scale, written below it{beyond}",
        not_finite_text(facts.nan, facts.inf),
    )
    return canvas.figure(title=title, caption=caption, media=media)


def chosen(count: int, channels: Sequence[int] | None, start: int, limit: int) -> list[int]:
    """The channel numbers on this page; BadInput for a number or a page that does not exist."""
    order = list(range(count)) if channels is None else [int(c) for c in channels]
    wrong = [c for c in order if not 0 <= c < count]
    if wrong:
        raise BadInput(f"channel {wrong[0]} does not exist: there are {count}, numbered from 0.")
    if limit < 1 or not 0 <= start < max(1, len(order)):
        raise BadInput(f"start={start}, limit={limit}: expected 0 <= start < {len(order)} and limit >= 1.")
    return order[start : start + limit]


def shown_text(picked: Sequence[int], count: int, noun: str) -> str:
    """'64 of 512 maps shown: 0 … 63'."""
    if len(picked) == count:
        return f"All {count:,} {noun}s" if count > 1 else f"1 {noun}"
    in_turn = list(picked) == list(range(picked[0], picked[0] + len(picked)))
    which = f": {picked[0]} … {picked[-1]}" if in_turn else ", as numbered"
    return f"{len(picked):,} of {count:,} {noun}s shown{which}"


def drawn_note(shape: Sequence[int], drawn: tuple[int, int]) -> str:
    """What the zoom did that a reader could mistake for data: reduction or stretching."""
    height, width = shape
    if drawn[0] < height or drawn[1] < width:
        return ", reduced to fit"
    if drawn[0] * width != drawn[1] * height:
        return ", stretched to be visible"
    return ""


def _mosaic(
    values: Array, picked: Sequence[int], scales: Sequence[Scale], palette: str, grid: Grid
) -> npt.NDArray[np.uint8]:
    width, height = grid.size
    sheet = np.full((height, width, 3), 255, np.uint8)
    for k, channel in enumerate(picked):
        x, y = grid.corner(k)
        tile = colorize(scales[k].place(values[channel]), palette)
        sheet[y : y + grid.height, x : x + grid.width] = resize(tile, grid.width, grid.height)
    return sheet


def _range_text(canvas: Canvas, x: int, y: int, width: int, scale: Scale) -> None:
    for digits in (3, 2, 1):
        words = scale.bounds(digits)
        if text_width(words, SMALL - 2) <= width:
            canvas.text(x, y, words, size=SMALL - 2, color=MUTED)
            return
