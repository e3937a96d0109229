"""Does the structure view colour, trace, fold, cut out and export what it shows?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import inspector
from inspector.server import Address, Workplace, start

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parent.parent / ".artefacts"

BAR = """() => {
  const c = document.querySelector('.legend canvas').getContext('2d');
  return [...Array(160).keys()].map(x => c.getImageData(x, 5, 1, 1).data.join());
}"""


@pytest.fixture(scope="module")
def address(fixtures: Path) -> Iterator[Address]:
    with Workplace() as made:
        made.first = (made.add(fixtures / "squeezenet1_1.onnx"),)
        made.input = made.share(fixtures / "coffee.png").id
        with start(made) as found:
            yield found


@pytest.fixture
def page(browser: Any, address: Address) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda fault: faults.append(str(fault)))
    made.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    made.goto(address.url)
    made.wait_for_function("() => Number(document.body.dataset.seq || 0) >= 1")
    yield made
    context.close()
    assert faults == []


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
