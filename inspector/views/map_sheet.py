"""How do maps by several methods and of several targets compare? All of them in one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.canvas import Canvas, notice, resize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.heatmap import CLIP, OverChannels, flatten_channels, map_size, overlay, paint_map
from inspector.views.normalize import Scale, scale_of
from inspector.views.pictures import Pixels, as_picture
from inspector.views.sheet import GAP, place_sheet
from inspector.views.values import Array
from inspector.views.wording import number, sentences

__all__ = ["draw_heatmaps"]

SHEET_WIDTH = 1400  # pixels that the maps of a sheet take, headings of rows aside
FINE = 4  # maps of every channel whose cells are fewer pixels of the picture wide are drawn alone


def draw_heatmaps(
    maps: Sequence[Sequence[npt.ArrayLike | None]],
    pictures: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str],
    texts: Sequence[Sequence[str]] | None = None,
    columns: int | None = None,
    over_input: bool = True,
    over_channels: OverChannels = "sum",
    signed: bool | None = None,
    clip: float = CLIP,
    side: int = 224,
    title: str = "",
    note: str = "",
    media: Media = PNG,
) -> Figure:
    """A sheet of raw maps, rows (targets, say) × columns (methods), each on its own scale, drawn below it.

    After `columns` columns the sheet goes on below, with every row again; by default as a page would.
    `pictures`: one for all rows or one a row; they stand in the first column and, with `over_input`, under
    maps of places (h, w). Fine maps of every input number (c, h, w) stand alone: single pixels are lost
    among a picture's own. `texts` has a line, or several, for under each map. None leaves a place empty (a
    method that refused).
    """
    if columns is not None and columns < 1:
        raise BadInput(f"a sheet has at least one column, not {columns}.")
    originals = _one_each(pictures, len(maps))
    first = originals[0] is not None
    cells: list[list[Pixels | None]] = []
    scales: list[list[Scale | None]] = []
    for row, original in zip(maps, originals, strict=True):
        drawn = [_small(m, original, over_input, over_channels, signed, clip, side) for m in row]
        cells.append([*([original] * first), *(picture for picture, _ in drawn)])
        scales.append([*([None] * first), *(scale for _, scale in drawn)])
    known = [picture for row in cells for picture in row if picture is not None]
    if not known:
        return notice("nothing to show", title=title, media=media)
    widest = max(map_size(picture[..., 0], picture, side)[1] for picture in known)
    canvas = Canvas()
    place_sheet(
        canvas,
        cells,
        row_labels=row_labels,
        column_labels=[*(["input"] * first), *column_labels],
        texts=None if texts is None else [[*([""] * first), *row] for row in texts],
        scales=scales,
        per_row=columns or _columns(len(column_labels) + first, widest),
        side=side,
    )
    signed_ends = any(scale.signed for row in scales for scale in row if scale is not None)
    caption = sentences(
        note,
        f"Every map has its own scale, the strip below it{', with zero in the middle' * signed_ends}",
        "Dim places of a map over the picture show the picture" if over_input and first else "",
        f"Up to {number(clip)} % of each map's values lie beyond its scale" if clip else "",
    )
    return canvas.figure(title=title, caption=caption, media=media)


def _columns(count: int, width: int) -> int:
    """As many as fit the sheet, evenly spread over the bands."""
    fitting = max(1, (SHEET_WIDTH + GAP) // (width + GAP))
    return math.ceil(count / math.ceil(count / fitting))


def _one_each(pictures: npt.ArrayLike | Sequence[npt.ArrayLike] | None, rows: int) -> list[Pixels | None]:
    if pictures is None:
        return [None] * rows
    if isinstance(pictures, Sequence):
        if len(pictures) != rows:
            raise BadInput(f"{len(pictures)} pictures for {rows} rows of maps.")
        return [as_picture(picture) for picture in pictures]  # pyright: ignore[reportArgumentType]
    return [as_picture(pictures)] * rows


def _small(
    values: npt.ArrayLike | None,
    original: Pixels | None,
    over_input: bool,
    over_channels: OverChannels,
    signed: bool | None,
    clip: float,
    side: int,
) -> tuple[Pixels | None, Scale | None]:
    """One map of a sheet and its scale."""
    if values is None:
        return None, None
    cells, _ = flatten_channels(values, over_channels)
    scale = scale_of(cells, signed=signed, clip=clip)
    height, width = map_size(cells, original, side)
    if original is None or not over_input or _is_fine(values, cells, original):
        return paint_map(cells, height, width, scale, scale.colors), scale
    return overlay(cells, resize(original, width, height, smooth=True), scale, scale.colors), scale


def _is_fine(values: npt.ArrayLike, cells: Array, original: Pixels) -> bool:
    return np.ndim(values) == 3 and FINE * cells.shape[0] > original.shape[0]
