"""What does the network get to see? The picture, its planes, and the distribution of its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Chart

from inspector.views.canvas import notice
from inspector.views.charts import draw_chart
from inspector.views.colors import colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.histogram import facts_text, paint_histogram
from inspector.views.normalize import scale_of
from inspector.views.pictures import as_picture
from inspector.views.strip import add_scale
from inspector.views.values import expect_axes, facts_of
from inspector.views.wording import not_finite_text, sentences, shape_text

__all__ = ["draw_planes"]

MOST = 4  # planes shown


def draw_planes(
    tensor: npt.ArrayLike,
    picture: npt.ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    plane: int = 0,
    title: str = "",
    note: str = "",
    media: Media = PNG,
) -> Figure:
    """An input tensor (c, h, w) and the picture (see `as_picture`) it was made from (article, figure 9).

    Shows the original, each plane in grey (`names`: 'red', 'green', 'blue' unless there are other than
    three), plane number `plane` in pseudo-colour and the histogram of all values.
    """
    values = expect_axes(tensor, "c h w", "draw_planes")
    facts = facts_of(values)
    if facts.finite == 0:
        return notice(f"empty or not finite: {shape_text(values.shape)}", title=title, media=media)
    count = min(values.shape[0], MOST)
    titles = list(names) if names is not None else _plane_names(values.shape[0])
    original = None if picture is None else as_picture(picture)
    scale = scale_of(values)  # one for plane and histogram, so that a colour means one number

    def paint(chart: Chart) -> None:
        columns = count + 1 + (original is not None)
        halves: npt.NDArray[np.object_] = np.asarray(chart.subfigures(2, 1, height_ratios=(1.0, 1.05)))
        upper, lower = halves
        row = upper.subplots(1, columns, squeeze=False)[0]
        left = 0
        if original is not None:
            _show(row[0], original, f"original {original.shape[1]} × {original.shape[0]}")
            left = 1
        for c in range(count):
            _show(
                row[left + c], colorize(scale_of(values[c], signed=False).place(values[c]), "gray"), titles[c]
            )
        _show(row[-1], colorize(scale.place(values[plane]), scale.colors), f"{titles[plane]}, pseudo-colour")
        add_scale(upper, row[-1], scale)
        axes = lower.subplots()
        paint_histogram(axes, values, facts, scale)
        axes.set_xlabel("value in the tensor")

    left_out = f"{count} of {values.shape[0]} planes shown" if count < values.shape[0] else ""
    caption = sentences(
        note,
        left_out,
        "Each grey plane on its own scale, black is its smallest value",
        facts_text(facts, values.shape),
        not_finite_text(facts.nan, facts.inf),
    )
    return draw_chart(
        paint, 2.1 * (count + 2), 4.9, title=title, caption=caption, media=media, layout="constrained"
    )


def _plane_names(count: int) -> list[str]:
    return ["red", "green", "blue"] if count == 3 else [f"plane {i}" for i in range(count)]


def _show(axes: Axes, rgb: npt.NDArray[np.uint8], title: str) -> None:
    axes.imshow(rgb, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
