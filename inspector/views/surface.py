"""What landscape is a feature map? Its values as heights, beside the flat map (article, figure 10)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Chart
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D

from inspector.views.canvas import notice
from inspector.views.charts import draw_chart
from inspector.views.colors import color_table, colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import scale_of
from inspector.views.strip import add_scale
from inspector.views.values import Array, expect_axes, facts_of
from inspector.views.wording import not_finite_text, sentences, shape_text

__all__ = ["draw_surface"]

FINEST = 72  # cells a side of the drawn mesh; finer maps are averaged


def draw_surface(
    values: npt.ArrayLike,
    *,
    title: str = "",
    note: str = "",
    label: str = "value",
    elevation: float = 38.0,
    azimuth: float = -60.0,
    signed: bool | None = None,
    colors: str | None = None,
    media: Media = PNG,
) -> Figure:
    """One map (h, w) as a surface, seen from `elevation` and `azimuth` degrees, and flat for orientation."""
    cells = expect_axes(values, "h w", "draw_surface")
    facts = facts_of(cells)
    if facts.finite == 0 or min(cells.shape) < 2:
        words = "empty" if cells.size == 0 else "no surface: fewer than 2×2 finite values"
        return notice(f"{words} ({shape_text(cells.shape)})", title=title, media=media)
    scale = scale_of(cells, signed=signed)
    palette = colors or scale.colors
    mesh = _averaged(cells)

    def paint(chart: Chart) -> None:
        flat, high = chart.add_axes((0.05, 0.16, 0.3, 0.72)), Axes3D(chart, rect=(0.37, 0.0, 0.54, 1.0))
        chart.add_axes(high)
        flat.imshow(colorize(scale.place(cells), palette), interpolation="nearest")
        flat.set_xlabel("x")
        flat.set_ylabel("y")
        for axis in (flat.xaxis, flat.yaxis, high.xaxis, high.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        y, x = np.meshgrid(*(np.linspace(0, n - 1, m) for n, m in zip(cells.shape, mesh.shape, strict=True)),
                           indexing="ij")  # fmt: skip
        faces = color_table(palette)[_indices(scale.place(mesh))] / 255
        high.plot_surface(
            x, y, mesh, facecolors=faces, rstride=1, cstride=1, linewidth=0, antialiased=False, shade=False
        )
        high.view_init(elevation, azimuth)
        high.invert_yaxis()
        high.set_xlabel("x")
        high.set_ylabel("y")
        high.set_zlabel(label)
        high.set_box_aspect((1, cells.shape[0] / cells.shape[1], 0.6), zoom=1.02)  # pyright: ignore[reportArgumentType]  # the stub wants an int
        bar = chart.add_axes((0.93, 0.16, 0.02, 0.7))
        add_scale(chart, bar, scale, palette, own_axes=True)

    caption = sentences(
        note,
        f"{shape_text(cells.shape)} values{', averaged to fit' if mesh.shape != cells.shape else ''}",
        f"Scale: {scale.sentence}",
        not_finite_text(facts.nan, facts.inf),
    )
    return draw_chart(paint, 8.4, 3.5, title=title, caption=caption, media=media, layout="free")


def _indices(unit: Array) -> npt.NDArray[np.intp]:
    return np.round(255 * np.nan_to_num(unit)).astype(np.intp)


def _averaged(cells: Array) -> Array:
    """At most FINEST cells a side, each the mean of the finite cells it covers; NaN where there is none."""
    values = np.where(np.isfinite(cells), cells, np.nan).astype(np.float64)
    for axis in (0, 1):
        size = values.shape[axis]
        if size > FINEST:
            edges = np.linspace(0, size, FINEST + 1).astype(int)[:-1]
            known = np.add.reduceat(np.isfinite(values), edges, axis=axis)
            total = np.add.reduceat(np.nan_to_num(values), edges, axis=axis)
            values = np.where(known > 0, total / np.maximum(known, 1), np.nan)
    return values
