"""Takes the pictures of the page in docs/images anew: python docs/screenshots.py (needs Chromium)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper
from playwright.sync_api import sync_playwright

from inspector.server import Workplace, start

ROOT = Path(__file__).parent.parent
NET, PICTURE, IMAGES = (
    ROOT / "fixtures/squeezenet1_1.onnx",
    ROOT / "fixtures/coffee.png",
    ROOT / "docs/images",
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
CHOSEN = "node_conv2d_4"


def _edited(folder: Path) -> Path:
    """The classifier with another bias."""
    proto = onnx.load(NET)
    bias = next(t for t in proto.graph.initializer if t.name == "features.6.squeeze.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
    onnx.save(proto, folder / "edited.onnx")
    return folder / "edited.onnx"


def _select(page: Any) -> None:
    page.get_by_label("Search").fill(CHOSEN)
    page.get_by_label("Search").press("Enter")
    page.get_by_role("heading", name="Conv", exact=True).wait_for()
    page.get_by_label("Search").fill("")


def _structure(page: Any) -> None:
    _select(page)
    page.screenshot(path=IMAGES / "workbench.png")


def _activations(page: Any) -> None:
    _select(page)
    page.get_by_role("tab", name="Activations").click()
    page.get_by_role("button", name="Run the given input").click()
    page.locator(".tiles canvas").wait_for()
    page.locator(".surface summary").click()
    page.locator(".surface canvas").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / "workbench-activations.png")


def _compare(page: Any) -> None:
    page.wait_for_function("() => Number(document.body.dataset.pairs) > 0")
    page.get_by_role("button", name="Next difference").click()
    page.locator(".pair .maps canvas").first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / "workbench-compare.png")


def main() -> None:
    """Structure, activations and comparison of the shipped classifier."""
    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for take, others in ((_structure, []), (_activations, []), (_compare, [_edited(Path(folder))])):
            with Workplace() as workplace:
                workplace.first = tuple(workplace.add(path) for path in (NET, *others))
                workplace.input = workplace.share(PICTURE).id
                with start(workplace) as address:
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    page.set_default_timeout(90_000)
                    page.goto(address.url)
                    page.wait_for_function("() => document.body.dataset.ready === 'yes'")
                    take(page)
                    page.close()
        browser.close()


if __name__ == "__main__":
    main()
