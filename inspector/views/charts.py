"""How does a matplotlib chart become a Figure? One style, nothing cropped, equal bytes for equal calls."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any, Literal, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Chart
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from inspector.errors import BadInput
from inspector.views.canvas import INK, MUTED, SMALL, TITLE, headed, wrap
from inspector.views.figure import PNG, SVG, Figure, Media

__all__ = ["DPI", "STYLE", "Layout", "draw_chart", "quiet_axes"]

Layout = Literal["filled", "constrained", "free"]

DPI = 144
MARGIN_INCHES = 0.19
TITLE_GAP, CAPTION_GAP = 0.12, 0.1  # inches

STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "inspector",
    "svg.fonttype": "path",
    "text.parse_math": False,
}

# matplotlib reads its style from one table for the whole process; only one thread may swap it.
_style_lock = threading.RLock()


def draw_chart(
    paint: Callable[[Chart], None],
    width: float,
    height: float,
    *,
    title: str = "",
    caption: str = "",
    media: Media = PNG,
    layout: Layout = "filled",
) -> Figure:
    """Let `paint` fill a chart of `width` × `height` inches; title and caption are added around it.

    `layout`: 'filled' makes `width` × `height` the size of the axes, labels come on top; 'constrained' fits
    axes, labels and colour bars into it; 'free' leaves all places to `paint`. Whatever lies beyond the edge
    makes the picture larger. The user's own matplotlib style neither shows here nor changes.
    """
    if media not in (PNG, SVG):
        raise BadInput(f"this picture is drawn as {PNG} or {SVG}, not as {media!r}.")
    keep = {"backend", "backend_fallback", "interactive", "toolbar", "timezone", "datapath"}
    plain = {
        k: v for k, v in matplotlib.rcParamsDefault.items() if k not in keep and not k.startswith("date.")
    }
    with _style_lock, matplotlib.rc_context(cast("dict[Any, Any]", {**plain, **STYLE})):
        engine = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06) if layout == "constrained" else None
        chart = Chart(figsize=(width, height), dpi=DPI, layout=engine)
        if layout == "filled":
            chart.subplots_adjust(left=0.0, right=1.0, bottom=0.0, top=1.0, hspace=0.16)
        with np.errstate(over="ignore"):  # ticks tried beyond the largest float; they are not drawn
            paint(chart)
            return _write(chart, title, caption, media)


def quiet_axes(axes: Axes, grid: str = "y") -> None:
    """Thin grid lines behind the data along 'x', 'y', 'both' or '' for none."""
    if grid:
        axes.grid(visible=True, axis=grid, color="#e3e7ec", linewidth=0.8)  # pyright: ignore[reportArgumentType]
    axes.tick_params(length=3)


def _outside_text(chart: Chart, x: float, y: float, lines: list[str], **style: Any) -> Bbox:
    """Text at inches from the chart's lower left corner; gives the place it takes, in inches."""
    width, height = chart.get_size_inches()
    text = chart.text(x / width, y / height, "\n".join(lines), ha="left", linespacing=1.22, **style)
    box = text.get_window_extent()
    return Bbox(box.get_points() / DPI)


def _write(chart: Chart, title: str, caption: str, media: Media) -> Figure:
    canvas = FigureCanvasAgg(chart)
    engine = chart.get_layout_engine()
    if engine is not None:
        engine.execute(chart)  # once, so that texts have their places; an engine left would do it again
        chart.set_layout_engine(None)
    body = Bbox.union([chart.get_tightbbox(canvas.get_renderer()), chart.bbox_inches])
    parts = [body]
    lines, words = headed(title, caption, body.width * DPI)
    if lines:
        style = {"fontsize": TITLE / 2, "fontweight": "bold", "va": "bottom"}
        parts.append(_outside_text(chart, body.x0, body.y1 + TITLE_GAP, lines, **style))
    if words:
        lines = wrap(words, body.width * DPI * 0.98, SMALL)
        style = {"fontsize": SMALL / 2, "color": MUTED, "va": "top"}
        parts.append(_outside_text(chart, body.x0, body.y0 - CAPTION_GAP, lines, **style))
    sheet = Bbox.union(parts).padded(MARGIN_INCHES)
    stream = io.BytesIO()
    if media == PNG:
        chart.savefig(stream, format="png", bbox_inches=sheet, dpi=DPI, metadata={"Software": None})
        width, height = (int.from_bytes(stream.getvalue()[at : at + 4], "big") for at in (16, 20))
    else:
        FigureCanvasSVG(chart)
        chart.savefig(stream, format="svg", bbox_inches=sheet, metadata={"Date": None, "Creator": None})
        width, height = round(sheet.width * 72), round(sheet.height * 72)
    return Figure(stream.getvalue(), media, width, height, title, caption)
