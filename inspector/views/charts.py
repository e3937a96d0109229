"""How does a matplotlib chart become a Figure? One style, nothing cropped, equal bytes for equal calls."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Chart
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from inspector.errors import BadInput
from inspector.views.canvas import INK, MUTED, SMALL, TITLE, wrap
from inspector.views.figure import PNG, SVG, Figure, Media

__all__ = ["DPI", "STYLE", "draw_chart", "quiet_axes"]

DPI = 144
MARGIN_INCHES = 0.19

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
    constrained: bool = True,
) -> Figure:
    """Let `paint` fill a chart of `width` × `height` inches; title and caption are added around it.

    The user's own matplotlib style neither shows here nor changes. Whatever `paint` puts beyond the
    edge makes the picture larger.
    """
    if media not in (PNG, SVG):
        raise BadInput(f"this picture is drawn as {PNG} or {SVG}, not as {media!r}.")
    keep = {"backend", "backend_fallback", "interactive", "toolbar", "timezone", "datapath"}
    plain = {
        k: v for k, v in matplotlib.rcParamsDefault.items() if k not in keep and not k.startswith("date.")
    }
    with _style_lock, matplotlib.rc_context(cast("dict[Any, Any]", {**plain, **STYLE})):
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06) if constrained else None
        chart = Chart(figsize=(width, height), dpi=DPI, layout=layout)
        paint(chart)
        return _write(chart, title, caption, media)


def quiet_axes(axes: Axes, grid: str = "y") -> None:
    """Thin grid lines behind the data along 'x', 'y', 'both' or '' for none."""
    if grid:
        axes.grid(visible=True, axis=grid, color="#e3e7ec", linewidth=0.8)  # pyright: ignore[reportArgumentType]
    axes.tick_params(length=3)


def _outside_text(chart: Chart, x: float, y: float, lines: list[str], **style: Any) -> None:
    """Text at inches from the chart's lower left corner."""
    width, height = chart.get_size_inches()
    chart.text(x / width, y / height, "\n".join(lines), ha="left", linespacing=1.22, **style)


def _write(chart: Chart, title: str, caption: str, media: Media) -> Figure:
    canvas = FigureCanvasAgg(chart)
    chart.draw_without_rendering()  # settles the layout, so that texts have their places
    chart.set_layout_engine("none")
    body = Bbox.union([chart.get_tightbbox(canvas.get_renderer()), chart.bbox_inches])
    room = body.width * DPI
    top, bottom = body.y1, body.y0
    inch = 1.0 / DPI
    if title:
        lines = wrap(title, room, TITLE, True)
        top += 0.06
        _outside_text(chart, body.x0, top, lines, fontsize=TITLE / 2, fontweight="bold", va="bottom")
        top += len(lines) * TITLE * 1.35 * inch
    if caption:
        lines = wrap(caption, room * 0.97, SMALL)
        bottom -= 0.08
        _outside_text(chart, body.x0, bottom, lines, fontsize=SMALL / 2, color=MUTED, va="top")
        bottom -= len(lines) * SMALL * 1.35 * inch
    texts = chart.get_tightbbox(canvas.get_renderer())
    sheet = Bbox.union([texts, Bbox([[body.x0, bottom], [body.x1, top]])]).padded(MARGIN_INCHES)
    stream = io.BytesIO()
    if media == PNG:
        chart.savefig(stream, format="png", bbox_inches=sheet, dpi=DPI, metadata={"Software": None})
        width, height = (int.from_bytes(stream.getvalue()[at : at + 4], "big") for at in (16, 20))
    else:
        FigureCanvasSVG(chart)
        chart.savefig(stream, format="svg", bbox_inches=sheet, metadata={"Date": None, "Creator": None})
        width, height = round(sheet.width * 72), round(sheet.height * 72)
    return Figure(stream.getvalue(), media, width, height, title, caption)
