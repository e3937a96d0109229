"""Does the structure view colour, trace, fold, cut out and export what it shows?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import inspector

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
