"""Does a user get through: other formats, two models, drops, keyboard, reload, two tabs, a lost server?"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inspector.server import Address, Workplace, start

pytestmark = pytest.mark.browser

PATIENCE = 20_000

DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), held = new DataTransfer();
  held.items.add(new File([bytes], name));
  const target = document.querySelector('.app');
  for (const kind of ['dragover', 'drop'])
    target.dispatchEvent(new DragEvent(kind, {dataTransfer: held, bubbles: true, cancelable: true}));
}"""

FOCUS = """() => {
  const e = document.activeElement;
  return e.getAttribute('aria-label') || e.closest('label')?.textContent || e.textContent.trim() || e.tagName;
}"""


@pytest.fixture
def address(fixtures: Path) -> Iterator[Address]:
    with Workplace() as made:
        made.first = (made.add(fixtures / "squeezenet1_1.onnx"),)
        made.input = made.share(fixtures / "coffee.png").id
        with start(made) as found:
            yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that must not fail, nor ask anything of another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    faults: list[str] = []
    asked: list[str] = []
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))] == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A chain of MatMul, Relu, Softmax."""
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "eye")
    nodes = [
        helper.make_node("MatMul", ["x", "eye"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="second"),
        helper.make_node("Softmax", ["b"], ["y"], name="third"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def _ready(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_function("() => document.body.dataset.ready === 'yes'")


def _named(page: Any, name: str) -> None:
    page.locator("header .name").get_by_text(name, exact=True).wait_for()
    page.wait_for_function("() => document.body.dataset.ready === 'yes' && !!window.workbench.placed()")


def _drop(page: Any, path: Path) -> None:
    page.evaluate(DROP, [path.name, base64.b64encode(path.read_bytes()).decode("ascii")])


def _tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def _find(page: Any, query: str) -> None:
    page.get_by_label("Search").fill(query)
    page.locator(".count").wait_for()
    page.get_by_label("Search").press("Enter")


def test_a_keras_file_is_opened_beside_the_first_and_run(
    page: Any, address: Address, shared_models: Path
) -> None:
    _ready(page, address.url)
    path = shared_models / "imagenet_squeezenet1_1" / "squeezenet1_1_imagenet.h5"
    page.get_by_label("Open file").set_input_files(path)
    _named(page, path.name)
    assert "keras" in page.locator("header .facts").inner_text()
    _find(page, "op=Conv")
    page.get_by_role("heading", name="Conv", exact=True).wait_for()
    _tab(page, "Weights")
    page.locator(".histogram").first.wait_for()
    _tab(page, "Activations")
    page.get_by_role("button", name="Run the given input").click()
    page.locator(".answer").wait_for()
    assert page.locator(".answer").inner_text().count("%") == 5
    page.get_by_label("Model", exact=True).select_option(label="squeezenet1_1.onnx")
    _named(page, "squeezenet1_1.onnx")
    assert "opset 18" in page.locator("header .facts").inner_text()


def test_files_dropped_on_the_page_are_opened_or_run(
    page: Any, address: Address, small: Path, fixtures: Path
) -> None:
    _ready(page, address.url)
    _drop(page, fixtures / "coffee.png")
    page.locator(".answer").wait_for()
    assert "espresso" in page.locator(".answer").inner_text()
    _drop(page, small)
    _named(page, "small.onnx")
    assert page.evaluate("() => document.body.dataset.boxes") == "5"


def test_a_dropped_file_that_is_no_model_is_told_and_the_page_goes_on(
    page: Any, address: Address, tmp_path: Path
) -> None:
    _ready(page, address.url)
    (tmp_path / "notes.onnx").write_text("not a model")
    _drop(page, tmp_path / "notes.onnx")
    page.get_by_role("alert").wait_for()
    _named(page, "squeezenet1_1.onnx")
    _find(page, "op=Concat")
    page.get_by_role("heading", name="Concat", exact=True).wait_for()


def test_the_page_is_used_without_a_mouse(page: Any, address: Address) -> None:
    _ready(page, address.url)
    page.keyboard.press("/")
    page.keyboard.type("op=MaxPool")
    page.get_by_text("3 found").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="MaxPool", exact=True).wait_for()
    reached = []
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUS))
        if reached[-1] == "Node":
            break
    assert any("Structure of the model" in name for name in reached), "the drawing can be reached"
    assert reached[-1] == "Node", "then the views"
    for name in ("Weights", "Activations"):
        page.keyboard.press("ArrowRight")
        assert page.get_by_role("tab", name=name).get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowUp")
    page.get_by_role("heading", name="Relu", exact=True).wait_for()
    page.keyboard.press("ArrowDown")
    page.get_by_role("heading", name="MaxPool", exact=True).wait_for()
    page.keyboard.press("ArrowDown")
    boxes = page.evaluate("() => document.body.dataset.boxes")
    page.keyboard.press("Enter")
    page.wait_for_function("boxes => document.body.dataset.boxes !== boxes", arg=boxes)
    page.keyboard.press("Escape")
    assert page.get_by_label("Search").input_value() == ""


def test_what_is_focused_can_be_seen(page: Any, address: Address) -> None:
    _ready(page, address.url)
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "() => [document.activeElement, document.activeElement.closest('label')].filter(Boolean)"
            ".map(e => getComputedStyle(e))"
            ".some(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)"
        )
        assert outline, page.evaluate(FOCUS)


def test_reload_keeps_what_was_looked_at(page: Any, address: Address) -> None:
    _ready(page, address.url)
    _find(page, "op=Conv & params>1e5")
    page.get_by_role("heading", name="Conv", exact=True).wait_for()
    page.get_by_label("Colour", exact=False).and_(page.locator("select")).select_option("parameters")
    _tab(page, "Weights")
    heading = page.locator(".panel h2").inner_text()
    page.reload()
    page.wait_for_function("() => document.body.dataset.ready === 'yes'")
    assert page.locator(".panel h2").inner_text() == heading
    assert page.get_by_role("tab", name="Weights").get_attribute("aria-selected") == "true"
    assert page.get_by_label("Search").input_value() == "op=Conv & params>1e5"
    assert page.get_by_label("Colour", exact=False).and_(page.locator("select")).input_value() == "parameters"


def test_two_tabs_keep_their_own_model_and_selection(page: Any, address: Address, small: Path) -> None:
    _ready(page, address.url)
    other = page.context.new_page()
    _ready(other, address.url)
    other.get_by_label("Open file").set_input_files(small)
    _named(other, "small.onnx")
    shown = ((page, "squeezenet1_1.onnx", "Concat"), (other, "small.onnx", "Softmax"))
    for one, _, op in shown:
        _find(one, f"op={op}")
        one.get_by_role("heading", name=op, exact=True).wait_for()
    for one, name, op in shown:
        one.reload()
        _named(one, name)
        one.get_by_role("heading", name=op, exact=True).wait_for()


def test_a_server_that_is_lost_and_back_is_told_and_taken_up(page: Any, fixtures: Path) -> None:
    def serve() -> Any:
        made = Workplace()
        made.first = (made.add(fixtures / "squeezenet1_1.onnx"),)
        return made

    with serve() as made, start(made) as first:
        _ready(page, first.url)
        place = page.evaluate("workbench.place('node_conv2d')")
        page.mouse.click(place["x"], place["y"])
        page.get_by_role("heading", name="Conv", exact=True).wait_for()
    _tab(page, "Activations")
    page.get_by_role("button", name="Random input").click()
    page.get_by_role("alert").wait_for()
    assert "does not answer" in page.get_by_role("alert").inner_text()
    _tab(page, "Node")
    page.get_by_role("heading", name="Conv", exact=True).wait_for()
    with serve() as made, start(made, port=first.port) as again:
        page.reload()
        page.get_by_role("alert").wait_for()
        assert "token" in page.get_by_role("alert").inner_text()
        _ready(page, again.url)
        _find(page, "op=MaxPool")
        _tab(page, "Activations")
        page.get_by_role("button", name="Random input").click()
        page.locator(".tiles canvas").first.wait_for()
