"""Do tall drawings go on in columns, with every box and edge in its place, until one turns that off?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import structures

import inspector

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parent.parent / ".artefacts"

DRAWN = """() => {
  const p = workbench.placed(), boxes = [...p.id.keys()].filter(i => !p.open[i]);
  const inside = (i, x0, y0, x1, y1) => p.x[i] < x1 - 1 && p.x[i] + p.w[i] > x0 + 1
    && p.y[i] < y1 - 1 && p.y[i] + p.h[i] > y0 + 1;
  const bands = new Map();
  for (const i of boxes) for (let b = Math.floor(p.y[i] / 99); b <= Math.floor((p.y[i] + p.h[i]) / 99); b++)
    bands.set(b, [...(bands.get(b) || []), i]);
  const at = (y0, y1) => {
    const found = new Set();
    for (let b = Math.floor(y0 / 99); b <= Math.floor(y1 / 99); b++)
      for (const i of bands.get(b) || []) found.add(i);
    return found;
  };
  let overlaps = 0, struck = 0, loose = 0, pills = 0;
  for (const i of boxes) for (const j of at(p.y[i], p.y[i] + p.h[i]))
    if (j > i && inside(j, p.x[i], p.y[i], p.x[i] + p.w[i], p.y[i] + p.h[i])) overlaps++;
  for (let e = 0; e < p.from.length; e++) {
    if (p.kind[e]) { pills++; continue; }
    const [f, t, s, z] = [p.from[e], p.to[e], p.starts[e], p.starts[e + 1] - 1], q = p.points;
    if (Math.abs(q[2 * s + 1] - p.y[f] - p.h[f]) > 0.1 || Math.abs(q[2 * z + 1] - p.y[t]) > 0.1) loose++;
    for (let n = s; n < z; n++) {
      const [x0, y0, x1, y1] = [q[2 * n], q[2 * n + 1], q[2 * n + 2], q[2 * n + 3]];
      if (x0 !== x1 && y0 !== y1) continue;
      const [l, r, a, b] = [Math.min(x0, x1) - 2, Math.max(x0, x1) + 2, Math.min(y0, y1), Math.max(y0, y1)];
      for (const i of at(a, b)) if (i !== f && i !== t && inside(i, l, a - 1, r, b + 1)) struck++;
    }
  }
  return {boxes: boxes.length, edges: p.from.length, overlaps, struck, loose, pills, w: p.width, h: p.height};
}"""
"""Boxes that overlap, boxes struck by a straight stretch of an edge, edges that begin or end elsewhere."""


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Callable[[onnx.ModelProto], Any]]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    faults: list[str] = []

    def show(proto: onnx.ModelProto) -> Any:
        onnx.save(proto, tmp_path / "net.onnx")
        inspector.report(tmp_path / "net.onnx", path=tmp_path / "net.html")
        page = context.new_page()
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.goto((tmp_path / "net.html").as_uri())
        _after(page, 0)
        _press(page, "All")
        return page

    yield show
    context.close()
    assert faults == []


def _after(page: Any, seq: int) -> None:
    page.wait_for_function("s => Number(document.body.dataset.seq || 0) > s", arg=seq)


def _press(page: Any, name: str) -> None:
    seq = int(page.evaluate("document.body.dataset.seq"))
    page.get_by_role("button", name=name, exact=True).click()
    _after(page, seq)


def _shot(page: Any, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.get_by_role("button", name="Fit").click()
    page.screenshot(path=ARTEFACTS / f"{name}.png")


@pytest.mark.parametrize(
    ("proto", "broken"),
    [(structures.chain(5000), 0), (structures.transformer(24, scoped=False), 24)],
    ids=["chain", "transformer"],
)
def test_a_tall_graph_fills_the_page(
    shown: Callable[[onnx.ModelProto], Any], proto: onnx.ModelProto, broken: int
) -> None:
    """A line leads from column to column, but for what many read, which is the mask alone."""
    page = shown(proto)
    folded = page.evaluate(DRAWN)
    _shot(page, f"columns {len(proto.graph.node)}")
    assert 0.3 < folded["w"] / folded["h"] < 3.5
    assert (folded["overlaps"], folded["struck"], folded["loose"]) == (0, 0, 0)
    assert folded["pills"] == broken
    assert folded["boxes"] == len(proto.graph.node) + len(proto.graph.input) + len(proto.graph.output)
    _press(page, "Columns")
    plain = page.evaluate(DRAWN)
    assert plain["h"] > 5 * folded["h"]
    assert (plain["boxes"], plain["edges"]) == (folded["boxes"], folded["edges"])
    assert "columns=off" in page.url


def test_the_strip_leads_to_any_column(shown: Callable[[onnx.ModelProto], Any]) -> None:
    page = shown(structures.chain(5000))
    strip = page.locator(".strip").bounding_box()
    page.mouse.click(strip["x"] + strip["width"] - 10, strip["y"] + strip["height"] / 2)
    assert page.evaluate("workbench.eye().x") > page.evaluate("workbench.placed().width") / 2
    page.mouse.click(strip["x"] + 10, strip["y"] + strip["height"] / 2)
    assert page.evaluate("workbench.eye().x") < page.evaluate("workbench.placed().width") / 4


ROW = """y => {
  const c = document.querySelector('.drawing canvas'), w = c.width - 300;
  return [...c.getContext('2d').getImageData(0, y, w, 60).data].join();
}"""


def test_a_whole_drawing_is_moved_not_painted_again(shown: Callable[[onnx.ModelProto], Any]) -> None:
    page = shown(structures.chain(2000))
    page.get_by_role("button", name="Fit").click()
    page.wait_for_function("() => Number(document.body.dataset.drawn) > 2000")
    before = page.evaluate(ROW, 300)
    assert len(set(before.split(","))) > 20, "the picture is not blank"
    page.locator(".drawing canvas").first.hover(position={"x": 5, "y": 5})
    page.mouse.wheel(0, 40)
    page.wait_for_function("() => document.body.dataset.drawn === '0'")
    assert page.evaluate(ROW, 260) == before
