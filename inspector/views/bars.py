"""What are the top answers, and how many of what does each layer hold? Bars with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Chart

from inspector.errors import BadInput
from inspector.views.canvas import INK, SMALL, notice, shorten, text_width, wrap
from inspector.views.charts import DPI, draw_chart, quiet_axes
from inspector.views.colors import SERIES
from inspector.views.figure import PNG, Figure, Media
from inspector.views.values import expect_axes, facts_of
from inspector.views.wording import number, sentences, shape_text

__all__ = ["draw_bars", "draw_layer_bars"]

LABEL_WIDTH = 330  # pixels
WIDTH = 4.6  # inches


def draw_bars(
    values: npt.ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    top: int = 5,
    order: str = "largest",
    probabilities: bool = False,
    title: str = "",
    note: str = "",
    label: str = "",
    noun: str = "class",
    media: Media = PNG,
) -> Figure:
    """The `top` values of (k,) as horizontal bars with their labels (index without labels).

    `order`: 'largest' values first, 'strongest' by magnitude (for contributions, in the colours of signed
    maps: orange for, blue against), or 'given'.
    `probabilities` draws the axis from 0 to 1 and writes per cent; otherwise raw scores from a zero line.
    """
    scores = expect_axes(values, "k", "draw_bars")
    if labels is not None and len(labels) != scores.size:
        raise BadInput(f"{len(labels)} labels for {scores.size} values. Pass one label a value.")
    if scores.size == 0:
        return notice(f"empty: {shape_text(scores.shape)}", title=title, media=media)
    picked = _ranked(scores, order)[: max(1, top)]
    shown = scores[picked].astype(np.float64)
    names = [f"{noun} {i}" if labels is None else str(labels[int(i)]) for i in picked]
    lines = [_two_lines(name) for name in names]

    def paint(chart: Chart) -> None:
        axes = chart.subplots()
        above, below = SERIES[:2] if order != "strongest" else SERIES[1::-1]
        fill = [above if v >= 0 else below for v in shown]
        axes.barh(range(len(picked)), np.nan_to_num(shown, posinf=0.0, neginf=0.0), color=fill, height=0.66)
        axes.set_yticks(range(len(picked)), lines)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(label or ("probability" if probabilities else "raw score"))
        quiet_axes(axes, "x")
        _write_values(axes, shown, probabilities)

    facts = facts_of(scores)
    all_shown = len(picked) == scores.size
    rank = {"largest": "highest", "strongest": "strongest", "given": "first"}[order]
    caption = sentences(
        note,
        "" if all_shown else f"The {len(picked)} {rank} of {scores.size:,} values",
        f"{facts.nan + facts.inf:,} values are not finite" if facts.nan + facts.inf else "",
    )
    height = 0.1 + sum(0.34 if "\n" not in line else 0.46 for line in lines)
    return draw_chart(paint, WIDTH, height, title=title, caption=caption, media=media)


def _ranked(scores: npt.NDArray[np.float64], order: str) -> npt.NDArray[np.intp]:
    """Indices in drawing order; NaN comes last, ties keep the smaller index first."""
    if order == "given":
        return np.arange(scores.size)
    if order not in ("largest", "strongest"):
        raise BadInput(f"order is 'largest', 'strongest' or 'given', not {order!r}.")
    key = np.abs(scores) if order == "strongest" else scores
    return np.argsort(-np.where(np.isnan(key), -np.inf, key), kind="stable")


def _two_lines(name: str) -> str:
    lines = wrap(name, LABEL_WIDTH, SMALL) or [""]
    if len(lines) > 2:
        lines = [lines[0], shorten(" ".join(lines[1:]), LABEL_WIDTH, SMALL)]
    return "\n".join(lines)


def _write_values(axes: Axes, shown: npt.NDArray[np.float64], probabilities: bool) -> None:
    """The number at the end of each bar, with room for it."""
    finite = shown[np.isfinite(shown)]
    low, high = (min(0.0, float(finite.min())), max(0.0, float(finite.max()))) if finite.size else (0.0, 1.0)
    if probabilities and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    texts = [f"{100 * v:.3g} %" if probabilities else number(float(v), 4) for v in shown]
    room = (max(text_width(words, 18) for words in texts) + 14) / (WIDTH * DPI)  # 9 points
    before, after = (room if low < 0 else 0.0), (room if high > 0 else 0.02)
    scale = ((high - low) or 1.0) / (1.0 - before - after)
    axes.set_xlim(low - before * scale, high + after * scale)
    if low < 0:
        axes.axvline(0.0, color=INK, linewidth=0.9)
    for row, (value, words) in enumerate(zip(shown, texts, strict=True)):
        at = value if np.isfinite(value) else 0.0
        side = "left" if at >= 0 else "right"
        axes.annotate(words, (at, row), xytext=(4 if at >= 0 else -4, 0), textcoords="offset points",
                      va="center", ha=side, fontsize=9)  # fmt: skip


def draw_layer_bars(
    layers: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    note: str = "",
    label: str = "count",
    media: Media = PNG,
) -> Figure:
    """One stacked bar a layer; `parts` maps a category (colour, texture, …) to one number a layer."""
    wrong = [name for name, numbers in parts.items() if len(numbers) != len(layers)]
    if wrong:
        raise BadInput(f"{wrong[0]!r} has {len(parts[wrong[0]])} numbers for {len(layers)} layers.")
    if not layers or not parts:
        return notice("nothing to count", title=title, media=media)

    def paint(chart: Chart) -> None:
        axes = chart.subplots()
        base = np.zeros(len(layers))
        for i, (name, numbers) in enumerate(parts.items()):
            heights = np.asarray(numbers, np.float64)
            axes.bar(range(len(layers)), heights, bottom=base, width=0.7, label=shorten(name, 190, SMALL),
                     color=SERIES[i % len(SERIES)], hatch="//" if i >= len(SERIES) else None)  # fmt: skip
            base += heights
        for x, total in enumerate(base):
            axes.annotate(
                number(total), (x, total), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9
            )
        axes.set_xticks(range(len(layers)), [shorten(name, 240, SMALL) for name in layers])
        if sum(len(name) for name in layers) > 70:
            for tick in axes.get_xticklabels():
                tick.set(rotation=35, ha="right", rotation_mode="anchor")
        axes.set_ylabel(label)
        axes.set_ylim(0, max(float(base.max()) * 1.12, 1e-12))
        quiet_axes(axes)
        if len(parts) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6)

    width = float(np.clip(0.6 * len(layers), 3.2, 11.0))
    return draw_chart(paint, width, 3.0, title=title, caption=sentences(note), media=media)
