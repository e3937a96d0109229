"""Does the structure view colour, trace, fold, cut out and export what it shows?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import inspector
from inspector.server import Workplace

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parent.parent / ".artefacts"

BAR = """() => {
  const c = document.querySelector('.legend canvas').getContext('2d');
  return [...Array(160).keys()].map(x => c.getImageData(x, 5, 1, 1).data.join());
}"""


def _shot(page: Any, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("parameters", "parameters, logarithmic"),
        ("time", "ms"),
        ("memory", "bytes"),
        ("sparsity", "share of zeros"),
        ("spread", "standard deviation"),
        ("zeros", "share of zeros"),
        ("relevance", "activation × gradient"),
    ],
)
def test_an_overlay_colours_the_boxes_and_says_its_unit(page: Any, name: str, unit: str) -> None:
    page.get_by_label("Colour").select_option(name)
    page.locator(".legend canvas").wait_for()
    assert unit in page.locator(".legend").inner_text()
    assert len(set(page.evaluate(BAR))) > 100, "the scale is painted"
    assert f"overlay={name}" in page.url
    _shot(page, f"overlay {name}")


def test_a_block_is_saved_as_onnx_that_runs(page: Any, tmp_path: Path) -> None:
    page.locator(".outline").get_by_role("button", name="3 7 ops").click()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Save as ONNX").click()
    path = tmp_path / "part.onnx"
    waited.value.save_as(path)
    part = inspector.open_model(path)
    assert [node.op for node in part.nodes.values()].count("Conv") == 3
    assert inspector.predict(part, ["random"])


BLACK = """() => {
  const c = document.querySelector('.drawing canvas');
  const d = c.getContext('2d').getImageData(0, 0, c.width - 200, c.height).data;
  let n = 0;
  for (let i = 0; i < d.length; i += 4) if (d[i] + d[i + 1] + d[i + 2] < 30) n++;
  return n;
}"""


def test_the_edges_on_the_way_are_strong(page: Any) -> None:
    page.get_by_label("Search").fill("node_max_pool2d_2")
    page.get_by_label("Search").press("Enter")
    page.get_by_role("heading", name="MaxPool", exact=True).wait_for()
    page.evaluate("workbench.fit()")
    page.wait_for_timeout(300)
    near = page.evaluate(BLACK)
    found = []
    for kind in ("before", "after", "both"):
        page.get_by_label("Light up").select_option(kind)
        page.wait_for_timeout(300)
        found.append(page.evaluate(BLACK))
        _shot(page, f"lit {kind}")
    before, after, both = found
    assert min(before, after) > near + 50
    assert both > max(before, after) + 50


def test_the_query_language_is_on_the_page(page: Any) -> None:
    page.get_by_role("button", name="Query language").click()
    for query in page.locator(".help code").all_inner_texts()[:8]:
        page.get_by_role("button", name=query, exact=True).click()
        assert page.get_by_label("Search").input_value() == query
        assert page.get_by_role("alert").count() == 0, f"{query} can be read"
    page.get_by_role("button", name="op=Conv", exact=True).click()
    page.get_by_text("26 found").wait_for()
    _shot(page, "query language")


def test_a_fault_inside_a_job_is_told_and_the_next_one_runs(
    page: Any, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> Any:
        raise ZeroDivisionError("a fault that nobody foresaw")

    page.get_by_role("tab", name="Activations").click()
    with monkeypatch.context() as broken:
        broken.setattr(workplace, "run", fault)
        page.get_by_role("button", name="Random input").click()
        page.get_by_role("alert").wait_for()
        _shot(page, "fault in a job")
    page.get_by_role("button", name="Random input").click()
    page.locator(".answer").wait_for()
    assert page.get_by_role("alert").count() == 0
