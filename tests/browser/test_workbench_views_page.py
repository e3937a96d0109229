"""Do the views answer a user in a real browser? Maps and their targets, growing pictures, tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import inspector
from inspector.server import Address, Workplace, start
from inspector.server.recents import Recents

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parent.parent / ".artefacts"

PIXELS = """() => [...document.querySelectorAll('.heat')].map(c => {
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let sum = 0;
  for (let i = 0; i < d.length; i += 97) sum = (sum * 31 + d[i]) % 1000003;
  return sum;
})"""


def _shot(page: Any, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def _tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_maps_lie_side_by_side_for_a_target_found_by_its_label(page: Any) -> None:
    _tab(page, "Attribution")
    picker = page.get_by_role("combobox", name="Explain")
    picker.fill("espresso")
    page.get_by_role("option", name="espresso maker").wait_for()
    picker.press("ArrowDown")
    picker.press("ArrowUp")
    picker.press("Enter")
    page.locator(".chip").wait_for()
    chosen = page.locator(".chip").inner_text()
    assert "espresso" in chosen
    _shot(page, "target")
    page.get_by_label("gradient", exact=True).check()
    page.get_by_role("button", name="Run attribute").click()
    page.locator(".heat").nth(1).wait_for()
    first = page.evaluate(PIXELS)
    assert len(first) == 2
    page.get_by_label("Opacity of the maps").fill("0")
    page.wait_for_function(f"() => new Set(({PIXELS})()).size === 1")  # without the maps only the input
    bare = page.evaluate(PIXELS)[0]
    page.get_by_label("Opacity of the maps").fill("1")
    page.wait_for_function(f"() => new Set(({PIXELS})()).size === 2")
    assert len({*page.evaluate(PIXELS), *first, bare}) == 5
    page.get_by_label("Opacity of the maps").fill("0.6")
    page.locator(".heat").first.scroll_into_view_if_needed()
    _shot(page, "maps")
    _tab(page, "Node")
    _tab(page, "Attribution")
    page.locator(".heat").nth(1).wait_for()  # the answer is still there


def _grow(page: Any, question: str, boxes: dict[str, str], *, steps: int, frames: int) -> None:
    """Ask for a picture that is made step by step, and wait until some of it has been shown."""
    _tab(page, "More")
    page.get_by_label("question").select_option(question)
    for name, words in boxes.items():
        page.get_by_role("textbox", name=name).fill(words)
    page.get_by_role("spinbutton", name="steps").fill(str(steps))
    page.get_by_role("button", name=f"Run {question}").click()
    shown = "document.querySelector('.growing')?.dataset.frames || 0"
    page.wait_for_function(f"() => Number({shown}) >= {frames}")


def test_a_picture_grows_while_it_is_looked_at_and_can_be_stopped(page: Any) -> None:
    _grow(page, "maximize", {"objective": "logit:967"}, steps=3000, frames=3)
    page.locator(".growing").scroll_into_view_if_needed()
    _shot(page, "growing")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    page.get_by_text("Stopped at step").wait_for()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Save picture").click()
    with Image.open(waited.value.path()) as kept:
        assert np.ptp(np.asarray(kept)) > 50, "what it had become stays"
    assert page.get_by_role("button", name="Run maximize").is_enabled()
    assert page.locator(".progress").count() == 0, "to stop is not to run again"


def test_a_dream_grows_too(page: Any) -> None:
    _grow(page, "dream", {"layer": "node_relu_12"}, steps=400, frames=2)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped at step").wait_for()


def test_a_second_tab_of_the_same_address_gets_the_token_from_the_first(page: Any, address: Address) -> None:
    other = page.context.new_page()
    other.goto(address.origin)
    other.wait_for_function("() => Number(document.body.dataset.seq || 0) >= 1")
    assert "token" not in other.url


def test_reload_keeps_weight_and_value(page: Any, address: Address) -> None:
    page.get_by_label("Search").fill("node_conv2d")
    page.get_by_role("button", name="Conv 64×3×3×3 node_conv2d", exact=True).click()
    page.locator(".values button").filter(has_text="bias").first.click()
    page.get_by_role("heading", name="Weights of Conv").wait_for()
    kept = page.locator(".values .chosen").inner_text()
    page.reload()
    page.get_by_role("heading", name="Weights of Conv").wait_for()
    assert page.locator(".values .chosen").inner_text() == kept
    assert "bias" in kept


def test_recent_files_open_from_the_page(browser: Any, fixtures: Path, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    with Workplace() as made:
        made.recents = Recents(tmp_path / "recent.json")
        made.recents.add(fixtures / "squeezenet1_1.onnx")
        with start(made) as found:
            page.goto(found.url)
            page.get_by_text("Opened lately").wait_for()
            _shot(page, "recent")
            page.get_by_role("button", name="squeezenet1_1.onnx").click()
            page.wait_for_function("() => Number(document.body.dataset.seq || 0) >= 1", timeout=60_000)
            page.get_by_role("button", name="Recent").click()
            page.get_by_role("button", name="Forget them").click()
            page.get_by_role("button", name="Recent").click()
            assert page.get_by_text("Opened lately").count() == 0
    context.close()


def test_a_lost_server_is_told_and_the_banner_goes_when_it_is_back(browser: Any, fixtures: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    with Workplace() as made:
        made.first = (made.add(fixtures / "squeezenet1_1.onnx"),)
        with start(made) as found:
            page.goto(found.url)
            page.wait_for_function("() => Number(document.body.dataset.seq || 0) >= 1", timeout=60_000)
            context.set_offline(True)
            page.locator(".lost").wait_for(timeout=30_000)
            _shot(page, "lost")
            context.set_offline(False)
            page.locator(".lost").wait_for(state="detached", timeout=30_000)
    context.close()


def test_a_job_that_crashes_says_why_and_the_page_goes_on(page: Any) -> None:
    _tab(page, "More")
    page.get_by_label("question").select_option("maximize")
    page.get_by_role("textbox", name="objective").fill("no such layer:3")
    page.get_by_role("button", name="Run maximize").click()
    page.get_by_role("alert").wait_for()
    assert "no such layer" in page.get_by_role("alert").inner_text()
    _shot(page, "crash")
    _tab(page, "Node")
    assert page.get_by_role("heading", name="squeezenet1_1.onnx").is_visible()


def _select(page: Any, text: str) -> None:
    page.get_by_label("Search").fill(text)
    page.locator(".outline li button").first.click()


def test_any_slice_of_a_weight_is_shown(page: Any, classifier: inspector.Model) -> None:
    _select(page, "node_conv2d")
    _tab(page, "Weights")
    page.locator(".tiles canvas").wait_for()
    key = page.locator(".values .chosen").inner_text()
    whole = classifier.weight(key).array()
    page.get_by_label("rows").select_option("0")
    page.get_by_label("columns").select_option("1")
    page.get_by_text("of 9 maps of 64 × 3").wait_for()
    page.get_by_role("spinbutton", name="axis 2").fill("1")
    page.get_by_role("spinbutton", name="axis 3").fill("2")
    wanted = whole[:16, :, 1, 2]
    page.wait_for_function(
        "want => { const d = [...document.querySelectorAll('.numbers td')].map(t => Number(t.textContent));"
        "return d.length === want.length"
        " && d.every((v, i) => Math.abs(v - want[i]) <= 6e-3 * Math.abs(want[i])); }",
        arg=[float(v) for v in wanted.reshape(-1)],
    )
    with page.expect_download() as waited:
        page.get_by_role("button", name="Save .npy").click()
    assert np.array_equal(np.load(waited.value.path()), whole), "saved as it is stored"
    _shot(page, "slice")


def test_two_inputs_are_subtracted_and_channels_ranked(page: Any, fixtures: Path) -> None:
    _select(page, "node_relu_25")
    _tab(page, "Activations")
    page.get_by_role("button", name="Run the given input").click()
    page.locator(".tiles canvas").wait_for()
    page.get_by_label("strongest first").check()
    page.wait_for_function(
        "() => document.querySelector('.tiles canvas').getAttribute('aria-label').startsWith('64 of 1000')"
    )
    page.get_by_label("Compare with another input").set_input_files(fixtures / "chelsea.png")
    page.locator(".beside-inputs .tiles canvas").nth(1).wait_for()
    first, second = page.locator(".beside-inputs figcaption").all_inner_texts()
    assert first.split("bright")[1].split(".")[0] == second.split("bright")[1].split(".")[0], "one scale"
    page.get_by_label("same scale").uncheck()
    page.wait_for_function(
        "() => new Set([...document.querySelectorAll('.beside-inputs figcaption')]"
        ".map(c => c.textContent.split('bright')[1].split('.')[0])).size === 2"
    )
    page.locator(".beside-inputs").scroll_into_view_if_needed()
    _shot(page, "side by side")
    page.get_by_label("this − other").check()
    page.locator(".beside-inputs").wait_for(state="detached")
    page.locator(".tiles canvas").wait_for()
    spread = page.locator(".histogram").get_attribute("aria-label") or ""
    assert "from -" in spread, "after a Relu only a difference is below zero"
    page.locator(".two").scroll_into_view_if_needed()
    _shot(page, "two inputs")
    page.get_by_label("other", exact=True).check()
    page.wait_for_function(
        "() => /^Histogram from 0/.test(document.querySelector('.histogram')?.getAttribute('aria-label'))"
    )


def test_any_value_shows_at_once(page: Any, classifier: inspector.Model) -> None:
    page.get_by_label("Search").fill("node")
    _tab(page, "Activations")
    page.get_by_role("button", name="Run the given input").click()
    page.locator(".answer").wait_for()
    for key in ("node_conv2d", "node_relu_12", "node_conv2d_25"):
        page.evaluate("() => { delete document.body.dataset.value; }")
        page.get_by_role("button", name=key, exact=False).first.click()
        page.wait_for_function("() => Number(document.body.dataset.value) > 0")


def _click(page: Any, key: str, *, shift: bool = False) -> None:
    place = page.evaluate("key => workbench.place(key)", key)
    if shift:
        page.keyboard.down("Shift")
    page.mouse.click(place["x"], place["y"])
    if shift:
        page.keyboard.up("Shift")


def test_boxes_marked_with_shift_are_saved_together(page: Any, tmp_path: Path) -> None:
    _click(page, "node_conv2d")
    page.get_by_role("heading", name="Conv", exact=True).wait_for()
    _click(page, "node_relu", shift=True)
    _click(page, "node_max_pool2d", shift=True)
    page.get_by_role("heading", name="3 boxes marked").wait_for()
    _shot(page, "marked")
    with page.expect_download() as waited:
        page.get_by_role("button", name="Save as ONNX").click()
    waited.value.save_as(tmp_path / "part.onnx")
    part = inspector.open_model(tmp_path / "part.onnx")
    assert [node.op for node in part.nodes.values()] == ["Conv", "Relu", "MaxPool"]
    _click(page, "node_relu")
    page.get_by_role("heading", name="Relu", exact=True).wait_for()


def test_what_leads_to_a_box_is_lit_up(page: Any) -> None:
    def lit() -> int:
        return page.evaluate(
            "() => { const c = document.querySelector('.drawing canvas'), d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; let n = 0;"
            "for (let i = 0; i < d.length; i += 4)"
            " if (d[i] === 196 && d[i+1] === 81 && d[i+2] === 10) n++; return n; }"
        )

    _click(page, "node_max_pool2d")
    page.get_by_role("heading", name="MaxPool", exact=True).wait_for()
    page.get_by_role("button", name="All", exact=True).click()
    page.wait_for_function("() => Number(document.body.dataset.seq) >= 2")
    near = lit()
    page.get_by_label("Light up").select_option("after")
    page.wait_for_timeout(300)
    after = lit()
    assert after > near > 0
    _shot(page, "lineage")


def test_the_whole_drawing_is_a_picture(page: Any) -> None:
    with page.expect_download() as waited:
        page.get_by_role("button", name="PNG all").click()
    with Image.open(waited.value.path()) as picture:
        width, height = page.evaluate("() => [workbench.placed().width, workbench.placed().height]")
        assert picture.size == (-(-(width + 40) // 1), -(-(height + 40) // 1))
        pixels = np.asarray(picture.convert("RGB"))
    assert len(np.unique(pixels[-300:].reshape(-1, 3), axis=0)) > 20, "the last boxes are there"
    Image.fromarray(pixels).save(ARTEFACTS / "whole drawing.png")


def test_arrow_keys_walk_along_what_was_found(page: Any) -> None:
    field = page.get_by_label("Search")
    field.fill("op=MaxPool")
    page.get_by_text("3 found").wait_for()
    field.press("ArrowDown")
    field.press("ArrowDown")
    page.locator(".outline .chosen").filter(has_text="node_max_pool2d_1").wait_for()
    field.press("ArrowUp")
    page.wait_for_function("() => document.querySelector('.outline .chosen').textContent.endsWith('pool2d')")
