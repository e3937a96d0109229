"""What does a two-axis array look like: channels × time, tokens × features, rows × columns? A heat strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure as Chart
from matplotlib.figure import SubFigure
from matplotlib.ticker import MaxNLocator

from inspector.errors import BadInput
from inspector.views.canvas import notice, resize, shorten
from inspector.views.charts import draw_chart
from inspector.views.colors import color_table, colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import Scale, scale_of
from inspector.views.tiles import CLIP
from inspector.views.values import expect_axes, facts_of
from inspector.views.wording import not_finite_text, sentences, shape_text

__all__ = ["add_scale", "draw_strip"]

LARGEST = (1400, 2400)  # cells drawn one by one (rows, columns); beyond, neighbours are averaged
LABELLED_ROWS = 48
EXTEND = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}


def draw_strip(
    values: npt.ArrayLike,
    *,
    row_axis: str = "channel",
    column_axis: str = "time",
    row_labels: Sequence[str] | None = None,
    upwards: bool = False,
    title: str = "",
    note: str = "",
    label: str = "value",
    signed: bool | None = None,
    clip: float = CLIP,
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """An array (rows, columns) in pseudo-colour with numbered axes.

    `row_labels` (tokens, classes) replace the numbers when there are at most 48. `upwards` puts row 0 at
    the bottom, as frequencies are drawn.
    """
    cells = expect_axes(values, "row column", "draw_strip")
    if cells.size == 0:
        return notice(f"empty: {shape_text(cells.shape)}", title=title, media=media)
    if row_labels is not None and len(row_labels) != cells.shape[0]:
        raise BadInput(f"{len(row_labels)} row labels for {cells.shape[0]} rows.")
    scale = scale_of(cells, signed=signed, clip=clip)
    rgb = colorize(scale.place(cells), colors or scale.colors)
    small = resize(rgb, min(cells.shape[1], LARGEST[1]), min(cells.shape[0], LARGEST[0]))
    height = float(np.clip(0.6 + 0.2 * cells.shape[0], 1.6, 4.6))

    def paint(chart: Chart) -> None:
        axes = chart.subplots()
        axes.imshow(small, aspect="auto", interpolation="none", extent=_extent(cells.shape, upwards))
        axes.set_xlabel(column_axis)
        axes.set_ylabel(row_axis)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _row_ticks(axes, row_labels, cells.shape[0])
        add_scale(chart, axes, scale, colors, label)

    facts = facts_of(cells)
    averaged = ", neighbours averaged to fit" if small.shape != rgb.shape else ""
    caption = sentences(
        note,
        f"{cells.shape[0]:,} {row_axis}s × {cells.shape[1]:,} {column_axis} steps{averaged}"
        if column_axis == "time"
        else f"{shape_text(cells.shape)} ({row_axis} × {column_axis}){averaged}",
        f"Scale: {scale.sentence}",
        not_finite_text(facts.nan, facts.inf),
    )
    return draw_chart(paint, 8.0, height, title=title, caption=caption, media=media, layout="constrained")


def add_scale(
    chart: Chart | SubFigure,
    axes: Axes | npt.NDArray[np.object_],
    scale: Scale,
    colors: str | None = None,
    label: str = "",
    *,
    own_axes: bool = False,
) -> None:
    """A colour bar beside the axes (or filling them), with arrow heads where values lie beyond the ends."""
    width = scale.high - scale.low
    ends = (scale.low, scale.high) if 0 < width < np.inf else (scale.low - 0.5, scale.low + 0.5)
    colored = ScalarMappable(Normalize(*ends), ListedColormap(color_table(colors or scale.colors) / 255))
    place: dict[str, Any] = {"cax": axes} if own_axes else {"ax": axes, "aspect": 14, "pad": 0.02}
    bar = chart.colorbar(colored, label=label, extend=EXTEND[scale.clipped], **place)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]


def _extent(shape: Sequence[int], upwards: bool) -> tuple[float, float, float, float]:
    rows, columns = shape
    return (-0.5, columns - 0.5, rows - 0.5, -0.5) if not upwards else (-0.5, columns - 0.5, -0.5, rows - 0.5)


def _row_ticks(axes: Axes, labels: Sequence[str] | None, rows: int) -> None:
    if labels is not None and rows <= LABELLED_ROWS:
        axes.set_yticks(range(rows), [shorten(label, 220) for label in labels])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
