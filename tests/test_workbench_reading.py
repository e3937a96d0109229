"""Can the drawing be read: at every zoom and on every screen, light and dark, no label cut or covered?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from inspector.graph.families import FAMILIES
from inspector.server import Address, Workplace, start
from inspector.workbench.assets import asset

ARTEFACTS = Path(__file__).parent / ".artefacts"
LEGIBLE = 7.0
"""Least height of a text, in pixels of the screen."""

TEXTS = """window.texts = [];
const paint = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  if (this.canvas.closest && this.canvas.closest('.drawing')) {
    const w = this.measureText(text).width, left = this.textAlign === 'center' ? x - w / 2 : x;
    const zoom = this.getTransform().a / (devicePixelRatio || 1);
    const size = parseFloat(this.font.match(/([\\d.]+)px/)[1]) * zoom;
    window.texts.push({text, left, right: left + w, y, size, centred: this.textAlign === 'center'});
  }
  return paint.apply(this, arguments);
};"""
"""Notes every text that the drawing paints; put into the page before its own script."""

FAULTS = """() => {
  const p = workbench.placed(), c = document.createElement('canvas').getContext('2d'), faults = [];
  c.font = '10px system-ui, sans-serif';
  for (const label of workbench.labels()) {
    if (!label) continue;
    const x0 = label.x, x1 = label.x + c.measureText(label.text).width, y0 = label.y - 5, y1 = label.y + 5;
    for (let i = 0; i < p.id.length; i++) {
      const l = p.x[i], r = l + p.w[i], t = p.y[i], b = t + p.h[i];
      if (x1 <= l || x0 >= r || y1 <= t || y0 >= b) continue;
      const inside = p.open[i] && x0 >= l && x1 <= r && y0 >= t && y1 <= b;
      if (!inside) faults.push(label.text + (p.open[i] ? ' crosses the border of ' : ' lies on ') + p.id[i]);
    }
  }
  return faults;
}"""


def _colours(dark: bool) -> dict[str, str]:
    """The style sheet's variables in one mode."""
    sheet = asset("page.css").decode("utf-8")
    rules = re.findall(r":root(\[data-mode=\"?dark\"?\])?\{([^}]*)\}", sheet)
    found: dict[str, str] = {}
    for night, body in sorted(rules):
        if dark or not night:
            found |= dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,8})", body))
    return {name: _long(colour) for name, colour in found.items()}


def _long(colour: str) -> str:
    return colour if len(colour) > 4 else "#" + "".join(2 * digit for digit in colour[1:])


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of an sRGB colour."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(dark: bool) -> None:
    colours = _colours(dark)
    grounds = ["page", "panel", "block", "ends", *(f"tint{depth}" for depth in range(5))]
    pairs = [(text, ground) for text in ("text", "faint") for ground in grounds]
    pairs += [("accent", "panel"), ("panel", "accent")] + ([("text", "quiet")] if dark else [])
    weak = {pair: ratio for pair in pairs if (ratio := _contrast(colours[pair[0]], colours[pair[1]])) < 4.5}
    assert weak == {}
    lines = {ground: _contrast(colours["edge"], colours[ground]) for ground in ("page", "tint1", "tint2")}
    assert min(lines.values()) >= 3, lines


def test_every_operator_reads_on_its_family() -> None:
    weak = {row.name: ratio for row in FAMILIES.values() if (ratio := _contrast(row.text, row.fill)) < 4.5}
    assert weak == {}


@pytest.fixture(scope="module")
def address(fixtures: Path) -> Iterator[Address]:
    with Workplace() as made:
        made.first = (made.add(fixtures / "squeezenet1_1.onnx"),)
        with start(made) as found:
            yield found


def _opened(browser: Any, url: str, width: int, height: int, dark: bool = False) -> Any:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.add_init_script(TEXTS)
    page.goto(url)
    page.wait_for_function("() => Number(document.body.dataset.seq || 0) >= 1")
    return page


def _all_open(page: Any) -> None:
    page.get_by_role("button", name="All", exact=True).click()
    page.wait_for_function("() => Number(document.body.dataset.seq) >= 2")


def _texts(page: Any, zoom: float) -> list[dict[str, Any]]:
    return page.evaluate(
        """async zoom => {
          const e = workbench.eye(), box = document.querySelector('.drawing canvas').getBoundingClientRect();
          const x = e.x + box.width / 2 / e.k, y = e.y + box.height / 2 / e.k;
          texts.length = 0;
          workbench.look({k: zoom, x: x - box.width / 2 / zoom, y: y - box.height / 2 / zoom});
          const frame = () => new Promise(requestAnimationFrame);
          await frame(); await frame(); await new Promise(done => setTimeout(done, 60));
          return texts;
        }""",
        zoom,
    )


@pytest.mark.browser
def test_no_text_is_small_or_wider_than_its_box_at_any_zoom(browser: Any, address: Address) -> None:
    page = _opened(browser, address.url, 1280, 800)
    _all_open(page)
    boxes = page.evaluate(
        "() => (p => [...p.id.keys()].map(i => [p.x[i], p.y[i], p.w[i], p.h[i]]))(workbench.placed())"
    )
    for zoom in (0.05, 0.2, 0.3, 0.45, 0.6, 0.75, 1, 1.5, 2.5, 4):
        texts = _texts(page, zoom)
        assert texts or zoom <= 0.3
        assert [one for one in texts if one["size"] < LEGIBLE - 0.01] == []
        for one in texts:
            if one["centred"]:
                assert any(
                    x <= one["left"] and one["right"] <= x + w and y <= one["y"] <= y + h
                    for x, y, w, h in boxes
                ), f"{one['text']} leaves its box at {zoom}"
    page.context.close()


@pytest.mark.browser
def test_no_shape_crosses_a_border_or_a_box(browser: Any, address: Address) -> None:
    page = _opened(browser, address.url, 1280, 800)
    assert page.evaluate(FAULTS) == []
    _all_open(page)
    assert page.evaluate("() => workbench.labels().filter(Boolean).length") > 30
    assert page.evaluate(FAULTS) == []
    page.context.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    "name",
    ["basic_pitch/nmp.onnx", "silero_vad/silero_vad.onnx", "mtcnn/onnx/onet.onnx"],
    ids=["a", "b", "c"],
)
def test_shapes_of_real_models_lie_free(browser: Any, shared_models: Path, name: str) -> None:
    with Workplace() as made:
        made.first = (made.add(shared_models / name),)
        with start(made) as found:
            page = _opened(browser, found.url, 1280, 800, dark=True)
            assert page.evaluate(FAULTS) == []
            _all_open(page)
            assert page.evaluate(FAULTS) == []
            ARTEFACTS.mkdir(exist_ok=True)
            page.screenshot(path=ARTEFACTS / f"reading {Path(name).stem}.png")
            page.context.close()


def _masked(layers: int) -> onnx.ModelProto:
    """Layers of five nodes that all read one mask."""
    nodes, last = [helper.make_node("Relu", ["m"], ["mask"], name="mask")], "x"
    for n in range(layers):
        for step, op in enumerate(["Relu", "Tanh", "Sigmoid", "Exp", "Mul"]):
            inputs = [last, "mask"] if op == "Mul" else [last]
            last = f"v{n}.{step}"
            nodes.append(helper.make_node(op, inputs, [last], name=f"{op}{n}"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "m", last)]
    graph = helper.make_graph(nodes, "masked", ends[:2], ends[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.browser
def test_a_value_with_many_consumers_has_pills_that_lead_to_the_other_end(
    browser: Any, tmp_path: Path
) -> None:
    onnx.save(_masked(12), tmp_path / "masked.onnx")
    with Workplace() as made:
        made.first = (made.add(tmp_path / "masked.onnx"),)
        with start(made) as found:
            page = _opened(browser, found.url, 1280, 800)
            _all_open(page)
            pills = page.evaluate("() => workbench.pills().map(pill => pill.text)")
            assert pills.count("mask") >= 10
            assert f"→ {pills.count('mask')}" in pills
            place = page.evaluate(
                """async () => {
                  const pill = workbench.pills().find(pill => pill.text === 'mask');
                  workbench.look({k: 1, x: pill.right - 200, y: pill.y - 300});
                  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
                  const box = document.querySelector('.drawing canvas').getBoundingClientRect();
                  return [box.x + 200 - pill.w / 2, box.y + 300];
                }"""
            )
            page.mouse.click(*place)
            page.locator(".panel .path").get_by_text("mask", exact=True).wait_for()
            page.context.close()


@pytest.mark.browser
def test_a_constant_that_serves_as_weight_is_tied_to_its_reader(browser: Any, tmp_path: Path) -> None:
    held = helper.make_node("Constant", [], ["k"], "held", value_floats=[1.0, 2.0])
    nodes = [held, helper.make_node("Add", ["x", "k"], ["y"], "sum")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), tmp_path / "constant.onnx"
    )
    with Workplace() as made:
        made.first = (made.add(tmp_path / "constant.onnx"),)
        with start(made) as found:
            page = _opened(browser, found.url, 1280, 800)
            assert page.evaluate("() => document.body.dataset.edges") == "3", "x, k and y"
            page.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1280, 800), (3840, 2160)], ids=["laptop", "4K"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_covers_the_drawing_or_touches(
    browser: Any, address: Address, size: tuple[int, int], dark: bool
) -> None:
    page = _opened(browser, address.url, *size, dark=dark)
    drawing, legend = (
        page.locator(found).bounding_box() for found in (".drawing > canvas >> nth=0", ".legend")
    )
    assert legend["y"] >= drawing["y"] + drawing["height"] - 1
    assert legend["y"] + legend["height"] <= size[1]
    gaps = page.evaluate(
        """() => {
          const spans = [...document.querySelectorAll('[role=tab]')].map(tab => {
            const range = document.createRange(); range.selectNodeContents(tab);
            return range.getBoundingClientRect();
          });
          return spans.slice(1).map((span, i) => span.x - spans[i].right);
        }"""
    )
    assert min(gaps) >= 10
    overflow = "() => [document.body.scrollWidth - innerWidth, document.body.scrollHeight - innerHeight]"
    assert max(page.evaluate(overflow)) <= 0
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"reading {size[0]}{' dark' if dark else ''}.png")
    page.context.close()
