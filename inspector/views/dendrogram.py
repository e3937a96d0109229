"""Which things are near each other? A tree drawn from a linkage array, labels at its leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Chart

from inspector.errors import BadInput
from inspector.views.canvas import INK, notice, shorten
from inspector.views.charts import draw_chart, quiet_axes
from inspector.views.colors import SERIES
from inspector.views.figure import PNG, Figure, Media
from inspector.views.values import expect_axes
from inspector.views.wording import sentences

__all__ = ["draw_dendrogram", "leaf_order"]


def draw_dendrogram(
    linkage: npt.ArrayLike,
    labels: Sequence[str],
    *,
    title: str = "",
    note: str = "",
    label: str = "distance",
    media: Media = PNG,
) -> Figure:
    """A tree of n leaves from (n − 1, ≥ 3) rows: left, right, distance.

    Numbers below n are leaves, n + i is the cluster made by row i (SciPy's convention; a fourth column is
    ignored). Rows must be in the order they were merged.
    """
    merges = expect_axes(linkage, "merge column", "draw_dendrogram") if len(labels) > 1 else np.zeros((0, 4))
    if not labels:
        return notice("empty: no leaves", title=title, media=media)
    _check(merges, len(labels))
    order = leaf_order(merges, len(labels))
    height = {leaf: float(i) for i, leaf in enumerate(order)}
    depth = dict.fromkeys(range(len(labels)), 0.0)
    brackets: list[tuple[tuple[float, float, float, float], tuple[float, float, float, float]]] = []
    for i, (left, right, distance) in enumerate(merges[:, :3]):
        a, b, at = int(left), int(right), float(distance)
        brackets.append(((depth[a], at, at, depth[b]), (height[a], height[a], height[b], height[b])))
        height[len(labels) + i], depth[len(labels) + i] = (height[a] + height[b]) / 2, at

    def paint(chart: Chart) -> None:
        axes = chart.subplots()
        for x, y in brackets:
            axes.plot(x, y, color=SERIES[0], linewidth=1.5, solid_joinstyle="miter")
        furthest = max((x[1] for x, _ in brackets), default=1.0) or 1.0
        axes.set_xlim(furthest * 1.04, -furthest * 0.01)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_yticks(range(len(labels)), [shorten(labels[leaf], 420) for leaf in order], color=INK)
        axes.yaxis.tick_right()
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
        quiet_axes(axes, "x")

    rows = float(np.clip(0.3 * len(labels), 0.9, 60.0))
    return draw_chart(paint, 4.6, rows, title=title, caption=sentences(note), media=media)


def leaf_order(merges: npt.NDArray[np.float64], leaves: int) -> list[int]:
    """The leaves from top to bottom, so that no two brackets cross."""
    if leaves == 1:
        return [0]
    order: list[int] = []
    waiting = [leaves + len(merges) - 1]
    while waiting:
        cluster = waiting.pop()
        if cluster < leaves:
            order.append(cluster)
        else:
            left, right = merges[cluster - leaves, :2]
            waiting += [int(right), int(left)]
    return order


def _check(merges: npt.NDArray[np.float64], leaves: int) -> None:
    if leaves > 1 and (merges.shape[0] != leaves - 1 or merges.shape[1] < 3):
        raise BadInput(
            f"linkage of shape {tuple(merges.shape)} for {leaves} labels: expected ({leaves - 1}, 3 or more)."
        )
    used = merges[:, :2].astype(int)
    early = all(used[i].max() < leaves + i for i in range(len(used)))
    if not early or sorted(used.reshape(-1).tolist()) != list(range(2 * leaves - 2)):
        raise BadInput("linkage: every leaf and cluster is merged exactly once, after it exists.")
