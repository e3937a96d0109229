"""What does a signal look like over time, one line a channel?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Chart

from inspector.views.canvas import notice, shorten
from inspector.views.charts import draw_chart, quiet_axes
from inspector.views.colors import NOT_FINITE, SERIES, hexadecimal
from inspector.views.figure import PNG, Figure, Media
from inspector.views.tiles import chosen, shown_text
from inspector.views.values import Array, expect_axes, facts_of
from inspector.views.wording import not_finite_text, number, sentences, shape_text

__all__ = ["draw_signals", "paint_signal"]

POINTS = 2400  # beyond, each drawn step is the range of its neighbours


def draw_signals(
    signals: npt.ArrayLike,
    *,
    rate: float | None = None,
    names: Sequence[str] | None = None,
    channels: Sequence[int] | None = None,
    start: int = 0,
    limit: int = 8,
    shared: bool = True,
    title: str = "",
    note: str = "",
    axis: str = "step",
    media: Media = PNG,
) -> Figure:
    """Signals (c, t), one below the other; `rate` in samples a second makes the axis seconds.

    `shared`: all with the same vertical axis. Long signals are drawn as the band between the smallest
    and largest neighbour, so that no peak is lost.
    """
    values = expect_axes(signals, "c t", "draw_signals")
    if values.size == 0:
        return notice(f"empty: {shape_text(values.shape)}", title=title, media=media)
    picked = chosen(values.shape[0], channels, start, limit)
    facts = facts_of(values)

    def paint(chart: Chart) -> None:
        grid = chart.subplots(len(picked), 1, sharex=True, sharey=shared, squeeze=False)
        for axes, channel in zip(grid[:, 0], picked, strict=True):
            paint_signal(axes, values[channel], rate)
            quiet_axes(axes)
            name = str(channel) if names is None else shorten(names[channel], 130)
            if names is not None or values.shape[0] > 1:
                axes.set_ylabel(name, rotation=0, ha="right", va="center")
        grid[-1, 0].set_xlabel("seconds" if rate else axis)

    seconds = f" at {number(rate, 5)} a second, {number(values.shape[1] / rate)} s" if rate else ""
    caption = sentences(
        note,
        shown_text(picked, values.shape[0], "channel") if values.shape[0] > 1 else "",
        f"{values.shape[1]:,} steps{seconds}, min {number(facts.low)}, max {number(facts.high)}",
        "Drawn as the band between neighbouring extremes" if values.shape[1] > POINTS else "",
        not_finite_text(facts.nan, facts.inf),
    )
    height = 2.0 if len(picked) == 1 else 0.75 * len(picked)
    return draw_chart(paint, 7.2, height, title=title, caption=caption, media=media)


def paint_signal(axes: Axes, signal: Array, rate: float | None, color: str = SERIES[0]) -> None:
    """One signal (t,) on given axes; what is not finite is marked in the middle."""
    unit = 1.0 / rate if rate else 1.0
    bad = np.flatnonzero(~np.isfinite(signal))
    line = np.where(np.isfinite(signal), signal, np.nan).astype(np.float64)
    if line.size > POINTS:
        edges = np.linspace(0, line.size, POINTS + 1).astype(int)[:-1]
        low = np.fmin.reduceat(line, edges)
        high = np.fmax.reduceat(line, edges)
        axes.fill_between(edges * unit, low, high, color=color, linewidth=0.6)
    else:
        marker = "o" if line.size <= 60 else "None"
        axes.plot(
            np.arange(line.size) * unit, line, color=color, linewidth=1.0, marker=marker, markersize=2.5
        )
    if bad.size:
        at = bad[:: max(1, bad.size // 200)] * unit
        axes.plot(
            at,
            np.full(at.size, 0.5),
            "|",
            color=hexadecimal(NOT_FINITE),
            transform=axes.get_xaxis_transform(),
        )
    axes.set_xlim(0, max(1, line.size - 1) * unit)
