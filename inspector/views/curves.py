"""How does a number change along a path? Lines with a legend (insertion, deletion, training, cost)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Chart

from inspector.errors import BadInput
from inspector.views.canvas import notice, shorten
from inspector.views.charts import draw_chart, quiet_axes
from inspector.views.colors import SERIES
from inspector.views.figure import PNG, Figure, Media
from inspector.views.wording import number, sentences

__all__ = ["draw_curves"]

DASHES = ("-", "--", "-.", ":")


def draw_curves(
    curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    x_label: str = "",
    y_label: str = "",
    areas: bool = False,
    y_limits: tuple[float, float] | None = None,
    log: bool = False,
    title: str = "",
    note: str = "",
    media: Media = PNG,
) -> Figure:
    """Curves by name, each (x, y) of equal length.

    `areas` adds the area under each curve (trapezoids) to its name: the insertion and deletion scores.
    """
    series: list[tuple[str, npt.NDArray[np.float64], npt.NDArray[np.float64]]] = []
    for name, (x, y) in curves.items():
        xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if xs.shape != ys.shape or xs.ndim != 1:
            raise BadInput(
                f"curve {name!r}: x has shape {xs.shape}, y {ys.shape}. Expected two equal lengths."
            )
        series.append((name, xs, ys))
    if not any(xs.size for _, xs, _ in series):
        return notice("empty: no curve has a point", title=title, media=media)

    def paint(chart: Chart) -> None:
        axes = chart.subplots()
        for i, (name, xs, ys) in enumerate(series):
            area = f", area {number(float(np.trapezoid(ys, xs)))}" if areas and xs.size > 1 else ""
            axes.plot(xs, ys, color=SERIES[i % len(SERIES)], linestyle=DASHES[i // len(SERIES) % len(DASHES)],
                      linewidth=1.7, marker="o" if xs.size <= 30 else "None", markersize=3,
                      label=shorten(name, 300) + area)  # fmt: skip
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if log:
            axes.set_yscale("log")
        if y_limits is not None:
            axes.set_ylim(*y_limits)
        axes.margins(x=0.02)
        quiet_axes(axes, "both")
        _legend(chart, len(series))

    return draw_chart(paint, 5.2, 3.6, title=title, caption=sentences(note), media=media)


def _legend(chart: Chart, count: int) -> None:
    """Beside the lines, never over them; a single curve without a name needs none."""
    axes = chart.axes[0]
    if count > 1 or axes.get_lines()[0].get_label():
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
