"""How are the values of an array distributed? Histogram with the colour scale on its axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Chart
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from inspector.views.canvas import INK, notice
from inspector.views.charts import draw_chart, quiet_axes
from inspector.views.colors import SERIES, color_table
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import Scale, scale_of
from inspector.views.tiles import CLIP
from inspector.views.values import Array, Facts, as_floats, facts_of
from inspector.views.wording import count_text, number, sentences, shape_text

__all__ = ["draw_histogram", "facts_text", "paint_histogram"]

BINS = 80
TOWERS = 4.0  # times the second highest bar


def draw_histogram(
    values: npt.ArrayLike,
    *,
    title: str = "",
    note: str = "",
    label: str = "value",
    bins: int = BINS,
    log: bool = False,
    clip: float = CLIP,
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """Values of any shape as bars, each in the colour its value has on the maps.

    `clip` (per cent of outliers beyond the scale) is the one of the maps; `log` counts logarithmically.
    Minimum, maximum, mean, deviation, zeros and what is not finite go to the caption.
    """
    floats = as_floats(values)
    facts = facts_of(floats)
    if facts.finite == 0:
        words = "empty" if floats.size == 0 else f"no finite value: {facts.nan:,} NaN, {facts.inf:,} infinite"
        return notice(f"{words} ({shape_text(floats.shape)})", title=title, media=media)
    used = scale_of(floats, clip=clip)

    def paint(chart: Chart) -> None:
        axes = chart.subplots()
        paint_histogram(axes, floats, facts, used, bins=bins, log=log, colors=colors)
        axes.set_xlabel(label)

    caption = sentences(note, facts_text(facts, floats.shape))
    return draw_chart(paint, 6.6, 2.9, title=title, caption=caption, media=media)


def facts_text(facts: Facts, shape: tuple[int, ...]) -> str:
    """One line on an array: shape, range, moments, zeros, what is not finite."""
    zeros = f", {100 * facts.zero / facts.size:.3g} % zeros" if facts.zero else ""
    bad = f", {facts.nan:,} NaN" * bool(facts.nan) + f", {facts.inf:,} infinite" * bool(facts.inf)
    return (
        f"{count_text(facts.size, 'value')} ({shape_text(shape)}), min {number(facts.low)},"
        f" max {number(facts.high)}, mean {number(facts.mean)}, standard deviation {number(facts.std)}"
        f"{zeros}{bad}"
    )


def paint_histogram(
    axes: Axes,
    values: Array,
    facts: Facts,
    scale: Scale,
    *,
    bins: int = BINS,
    log: bool = False,
    colors: str | None = None,
) -> None:
    """Fill given axes; `facts` and `scale` belong to `values`."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = facts.low, facts.high
    if low == high:
        pad = abs(low) * 0.05 or 0.5
        low, high = low - pad, high + pad
    counts, edges = np.histogram(finite, bins=bins, range=(low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    table = color_table(colors or scale.colors) / 255
    index = np.round(255 * scale.place(middles)).astype(int)
    outline = "#9aa4b0" if scale.signed else "none"  # the middle of a signed map is white
    axes.bar(
        edges[:-1], counts, np.diff(edges), align="edge", color=table[index], edgecolor=outline, linewidth=0.4
    )
    axes.set_xlim(low, high)
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, _top(axes, counts, middles))
    quiet_axes(axes)
    axes.set_ylabel("count (log)" if log else "count")
    if not log:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    _mark(axes, facts.mean, SERIES[1], f"mean {number(facts.mean)}", "-")
    if low < 0 < high:
        _mark(axes, 0.0, INK, "zero", ":")
    free = 1.0 if np.argmax(counts) < counts.size / 2 else 0.0  # the side without the highest bar
    corner = "lower right" if free else "lower left"
    axes.legend(loc=corner, bbox_to_anchor=(free, 1.0), ncols=2, borderaxespad=0.2)
    _scale_strip(axes, low, high, scale, colors)


def _top(axes: Axes, counts: npt.NDArray[Any], middles: npt.NDArray[Any]) -> float:
    """End of the count axis: a bar that towers over the others (zeros behind a ReLU) is cut and numbered."""
    second, most = np.sort(counts)[-2:]
    if second == 0 or most < TOWERS * second:
        return max(1.0, float(most)) * 1.08
    at = int(np.argmax(counts))
    side = "left" if at < counts.size / 2 else "right"
    axes.annotate(
        f"↑ {most:,} in this bar" if side == "left" else f"{most:,} in this bar ↑",
        (middles[at], 1.0), xycoords=("data", "axes fraction"), xytext=(-3 if side == "left" else 3, 3),
        textcoords="offset points", ha=side, va="bottom", fontsize=9,
    )  # fmt: skip
    return float(second) * 1.3


def _mark(axes: Axes, at: float, color: str, label: str, dashes: str) -> None:
    axes.axvline(at, color=color, linewidth=1.4, linestyle=dashes, label=label)


def _scale_strip(axes: Axes, low: float, high: float, scale: Scale, colors: str | None) -> None:
    """The colour scale right below the horizontal axis, aligned with its values."""
    strip = axes.inset_axes((0.0, -0.06, 1.0, 0.05))
    table = color_table(colors or scale.colors) / 255
    across = scale.place(np.linspace(low, high, 512))
    strip.imshow(table[np.round(255 * across).astype(int)][None], aspect="auto", extent=(low, high, 0, 1))
    strip.set_xlim(low, high)
    strip.set_axis_off()
    axes.tick_params(axis="x", pad=13)
