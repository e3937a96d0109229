"""Which moments of a signal count? The signal as a line over the colour of its attribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Chart

from inspector.errors import BadInput
from inspector.views.canvas import INK, notice, resize
from inspector.views.charts import draw_chart, quiet_axes
from inspector.views.colors import colorize
from inspector.views.figure import PNG, Figure, Media
from inspector.views.normalize import scale_of
from inspector.views.signals import paint_signal
from inspector.views.strip import add_scale
from inspector.views.tiles import chosen, shown_text
from inspector.views.values import as_floats, expect_axes, facts_of
from inspector.views.wording import not_finite_text, sentences, shape_text

__all__ = ["draw_moments"]


def draw_moments(
    values: npt.ArrayLike,
    signals: npt.ArrayLike,
    *,
    rate: float | None = None,
    names: Sequence[str] | None = None,
    limit: int = 6,
    title: str = "",
    note: str = "",
    label: str = "relevance",
    signed: bool | None = None,
    clip: float = 0.5,
    media: Media = PNG,
) -> Figure:
    """Attribution (c, t) or (t,) behind the signals (c, t); one row of values serves all signals.

    The attribution may be coarser in time than the signal: it is stretched over the same span.
    """
    lines = expect_axes(signals, "c t", "draw_moments")
    scores = np.atleast_2d(as_floats(values))
    if lines.size == 0 or scores.size == 0:
        return notice(f"empty: {shape_text(lines.shape)}", title=title, media=media)
    if scores.ndim != 2 or scores.shape[0] not in (1, lines.shape[0]):
        raise BadInput(
            f"values {tuple(scores.shape)} for signals {tuple(lines.shape)}: expected one row or as many."
        )
    picked = chosen(lines.shape[0], None, 0, limit)
    scale = scale_of(scores, signed=signed, clip=clip)
    unit = 1.0 / rate if rate else 1.0
    span = max(1, lines.shape[1] - 1) * unit

    def paint(chart: Chart) -> None:
        grid = chart.subplots(len(picked), 1, sharex=True, squeeze=False)
        for axes, channel in zip(grid[:, 0], picked, strict=True):
            paint_signal(axes, lines[channel], rate, INK)
            row = colorize(scale.place(scores[min(channel, scores.shape[0] - 1)]), scale.colors)[None]
            behind = axes.inset_axes((0, 0, 1, 1), zorder=0)
            behind.imshow(
                resize(row, min(row.shape[1], 2400), 1), aspect="auto", extent=(0, span, 0, 1), alpha=0.75
            )
            behind.set_axis_off()
            axes.patch.set_alpha(0.0)
            axes.set_zorder(1)
            quiet_axes(axes, "")
            if names is not None or lines.shape[0] > 1:
                axes.set_ylabel(str(channel) if names is None else names[channel], rotation=0, ha="right")
        grid[-1, 0].set_xlabel("seconds" if rate else "step")
        add_scale(chart, grid[:, 0], scale, label=label)

    facts = facts_of(scores)
    caption = sentences(
        note,
        shown_text(picked, lines.shape[0], "channel") if lines.shape[0] > 1 else "",
        f"Scale: {scale.sentence}",
        not_finite_text(facts.nan, facts.inf),
    )
    return draw_chart(
        paint,
        8.4,
        2.7 if len(picked) == 1 else 0.5 + len(picked),
        title=title,
        caption=caption,
        media=media,
        layout="constrained",
    )
