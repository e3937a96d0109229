"""Which times of a signal count? The signal's curve over the colours of its map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib import colors as palettes
from matplotlib.figure import Figure as Chart

from inspector.errors import BadInput
from inspector.views.canvas import notice
from inspector.views.charts import draw_chart, quiet_axes
from inspector.views.colors import color_table
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import scale_of
from inspector.views.signals import paint_signal
from inspector.views.tiles import chosen, shown_text
from inspector.views.values import expect_axes, facts_of
from inspector.views.wording import not_finite_text, sentences, shape_text

__all__ = ["draw_signal_map"]

INK = "#16202c"
CLIP = 0.5  # per cent; gradients have few, far outliers


def draw_signal_map(
    values: npt.ArrayLike,
    signal: npt.ArrayLike,
    *,
    limit: int = 8,
    title: str = "",
    note: str = "",
    label: str = "relevance",
    signed: bool | None = None,
    media: Media = PNG,
) -> Figure:
    """A map (c, t), or (1, t) for all channels together, behind the signal (c, t), a row a channel.

    Raises:
        BadInput: map and signal do not go together.
    """
    curves, cells = expect_axes(signal, "c t", "draw_signal_map"), np.asarray(values, np.float64)
    if cells.ndim != 2 or cells.shape[0] not in (1, curves.shape[0]):
        raise BadInput(
            f"map {shape_text(cells.shape)} for a signal {shape_text(curves.shape)}: (c, t), (1, t)."
        )
    if curves.size == 0:
        return notice(f"empty: {shape_text(curves.shape)}", title=title, media=media)
    picked = chosen(curves.shape[0], None, 0, limit)
    scale = scale_of(cells, signed=signed, clip=CLIP)
    palette = palettes.ListedColormap(np.asarray(color_table(scale.colors)) / 255.0)
    facts = facts_of(cells)

    def paint(chart: Chart) -> None:
        grid = chart.subplots(len(picked), 1, sharex=True, squeeze=False)
        shown = None
        for axes, channel in zip(grid[:, 0], picked, strict=True):
            line = cells[0 if cells.shape[0] == 1 else channel]
            paint_signal(axes, curves[channel], None, INK)
            low, high = axes.get_ylim()
            shown = axes.imshow(
                line[None], cmap=palette, vmin=scale.low, vmax=scale.high, aspect="auto", alpha=0.6,
                extent=(-0.5, curves.shape[1] - 0.5, low, high), interpolation="nearest", zorder=0,
            )  # fmt: skip
            axes.set_ylim(low, high)
            axes.set_xlim(-0.5, curves.shape[1] - 0.5)
            quiet_axes(axes)
            if curves.shape[0] > 1:
                axes.set_ylabel(str(channel), rotation=0, ha="right", va="center")
        grid[-1, 0].set_xlabel("step")
        if shown is not None:
            chart.colorbar(shown, ax=grid[:, 0].tolist(), label=label, fraction=0.04, pad=0.02)

    caption = sentences(
        note,
        shown_text(picked, curves.shape[0], "channel") if curves.shape[0] > 1 else "",
        f"Map {shape_text(cells.shape)}",
        "It is zero everywhere" if facts.zero == facts.size else f"Scale: {scale.sentence}",
        not_finite_text(facts.nan, facts.inf),
    )
    height = 2.4 if len(picked) == 1 else 0.9 * len(picked) + 0.6
    return draw_chart(paint, 7.2, height, title=title, caption=caption, media=media, layout="constrained")
