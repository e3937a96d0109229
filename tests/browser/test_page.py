"""Does the page show what it promises, in a real browser, without an error, a loss or an outside request?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import inspector
from inspector.server import Address, Workplace, start

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parent.parent / ".artefacts"
PATIENCE = 90_000

BOXES = """() => {
  const p = workbench.placed(), seen = new Map();
  let overlaps = 0;
  const boxes = [...p.id].map((id, i) => ({id, x: p.x[i], y: p.y[i], w: p.w[i], h: p.h[i], open: p.open[i]}))
    .filter(b => !b.open);
  for (const b of boxes) seen.set(b.id, (seen.get(b.id) || 0) + 1);
  boxes.sort((a, b) => a.y - b.y);
  boxes.forEach((a, i) => { for (let j = i + 1; j < boxes.length && boxes[j].y < a.y + a.h - 0.01; j++)
    if (a.x < boxes[j].x + boxes[j].w - 0.01 && boxes[j].x < a.x + a.w - 0.01) overlaps++; });
  const twice = [...seen.values()].filter(n => n > 1).length;
  return {boxes: boxes.length, twice, overlaps, edges: p.from.length};
}"""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda fault: faults.append(str(fault)))
    made.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    asked: list[str] = []
    made.on("request", lambda request: asked.append(request.url))
    made.faults, made.asked = faults, asked
    yield made
    context.close()
    allowed = ("http://127.0.0.1:", "blob:", "data:", "file:")
    assert [url for url in asked if not url.startswith(allowed)] == []


def _ready(page: Any, seq: int = 1) -> None:
    page.wait_for_function("s => Number(document.body.dataset.seq || 0) >= s", arg=seq)


def _shot(page: Any, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def _tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_a_users_journey(page: Any, address: Address) -> None:
    page.goto(address.url)
    _ready(page)
    assert address.token not in page.url
    _shot(page, "structure")
    page.get_by_label("Search").fill("op=Conv & params>1e5")
    page.get_by_text("3 found").wait_for()
    page.locator(".outline li button").first.click()
    page.get_by_role("heading", name="Conv", exact=True).wait_for()
    assert page.get_by_text("147,712").is_visible()
    _shot(page, "node")
    _tab(page, "Weights")
    page.locator(".tiles canvas").wait_for()
    assert (
        "256 maps" in page.locator(".tiles figcaption").inner_text()
        or "3 × 3" in page.locator(".tiles figcaption").inner_text()
    )
    _shot(page, "weights")
    _tab(page, "Activations")
    page.get_by_role("button", name="Run the given input").click()
    page.locator(".answer").wait_for()
    assert "espresso" in page.locator(".answer").inner_text()
    page.locator(".tiles canvas").wait_for()
    page.locator(".surface summary").click()
    _shot(page, "activations")
    _tab(page, "Attribution")
    page.get_by_text("integrated-gradients", exact=True).wait_for()
    page.get_by_label("gradient", exact=True).check()
    page.get_by_role("button", name="Run attribute").click()
    page.locator(".heat").nth(1).wait_for()
    page.locator(".heat").first.scroll_into_view_if_needed()
    page.get_by_role("button", name="Switch between dark and light").click()
    _shot(page, "attribution")
    assert page.faults == []


def test_the_address_holds_the_state_and_tabs_are_apart(page: Any, address: Address) -> None:
    page.goto(address.url)
    _ready(page)
    other = page.context.new_page()
    other.goto(address.url)
    _ready(other)
    place = page.evaluate("workbench.place('node_conv2d')")
    page.mouse.click(place["x"], place["y"])
    page.get_by_role("heading", name="Conv", exact=True).wait_for()
    _tab(page, "Weights")
    page.locator(".tiles canvas").wait_for()
    assert "node=node_conv2d" in page.url
    assert "node=" not in other.url
    page.reload()
    page.get_by_role("heading", name="Weights of Conv").wait_for()
    assert page.faults == []


def test_blocks_open_and_nothing_is_lost(page: Any, address: Address, classifier: inspector.Model) -> None:
    page.goto(address.url)
    _ready(page)
    first = page.evaluate(BOXES)
    page.get_by_role("button", name="All", exact=True).click()
    _ready(page, 2)
    whole = page.evaluate(BOXES)
    ends = len(classifier.inputs) + len(classifier.outputs)
    assert whole["boxes"] == len(classifier.nodes) + ends > first["boxes"]
    assert (whole["twice"], whole["overlaps"], first["overlaps"]) == (0, 0, 0)
    links = {
        (p.key, n.key)
        for n in classifier.nodes.values()
        for k in n.inputs
        if (p := classifier.producers.get(k))
    }
    assert whole["edges"] == len(links) + ends
    page.get_by_role("button", name="None", exact=True).click()
    _ready(page, 3)
    assert page.evaluate(BOXES)["boxes"] < first["boxes"]


def test_keyboard(page: Any, address: Address) -> None:
    page.goto(address.url)
    _ready(page)
    page.keyboard.press("/")
    page.keyboard.type("op=")
    assert page.get_by_label("Search").input_value() == "op="
    page.keyboard.press("Escape")
    assert page.get_by_label("Search").input_value() == ""
    page.get_by_label("Search").fill("params>x")
    assert "no number" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("text", [b"no model", b""], ids=["junk", "empty"])
def test_a_bad_file_is_told(page: Any, address: Address, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(text)
    page.goto(address.url)
    _ready(page)
    page.get_by_label("Open file").set_input_files(tmp_path / "bad.onnx")
    page.get_by_role("alert").wait_for()
    _shot(page, "bad file")
    assert page.get_by_role("tab", name="Node").is_visible()


def test_a_lost_server_is_told(page: Any, fixtures: Path) -> None:
    with Workplace() as made:
        made.first = (made.add(fixtures / "squeezenet1_1.onnx"),)
        with start(made) as found:
            page.goto(found.url)
            _ready(page)
        _tab(page, "Activations")
        page.get_by_role("button", name="Random input").click()
        page.get_by_role("alert").wait_for()
        assert "does not answer" in page.get_by_role("alert").inner_text()


def test_an_address_without_token_is_told(page: Any, address: Address) -> None:
    page.goto(address.origin)
    page.get_by_role("alert").wait_for()
    assert "token" in page.get_by_role("alert").inner_text()


def _named(names: list[str]) -> onnx.ModelProto:
    nodes, last = [], "x"
    for number, name in enumerate(names):
        nodes.append(helper.make_node("Relu", [last], [f"v{number}"], name=name))
        last = f"v{number}"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, 4])
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 20)]
    )


HOSTILE = ["x:0", "x:1", "node", 'a"b', "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>",
           "\u202eevil", "n" * 10_000]  # fmt: skip


def test_hostile_names_are_only_text(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "hostile.onnx"
    onnx.save(_named(HOSTILE), path)
    fired: list[str] = []
    page.on("dialog", lambda dialog: (fired.append(dialog.message), dialog.dismiss()))
    inspector.report(path, path=tmp_path / "hostile.html")
    page.goto((tmp_path / "hostile.html").as_uri())
    _ready(page)
    page.get_by_role("button", name="All", exact=True).click()
    assert page.locator("img").count() == 0
    assert page.evaluate(BOXES)["twice"] == 0
    assert (fired, page.faults) == ([], [])


def test_a_report_asks_for_nothing(page: Any, fixtures: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    made = inspector.report(fixtures / "squeezenet1_1.onnx", str(fixtures / "coffee.png"), target)
    assert made.size < 2_000_000
    page.goto(target.as_uri())
    _ready(page)
    _tab(page, "Attribution")
    assert page.locator(".panel img").count() == 2
    _tab(page, "Weights")
    page.locator(".values button").first.click()
    page.locator(".histogram").wait_for()
    _tab(page, "Activations")
    assert "espresso" in page.locator(".answer").inner_text()
    _shot(page, "report")
    assert [url for url in page.asked if not url.startswith(("file:", "blob:", "data:"))] == []
    assert page.faults == []


def _deep(layers: int) -> onnx.ModelProto:
    """Blocks of ten nodes with a residual and one mask that every block reads."""
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    nodes, last = [helper.make_node("Relu", ["m"], ["mask"], name="mask")], "x"
    for n in range(layers):
        start, scope = last, f"/stage.{n // 50}/layer.{n}"
        for step, op in enumerate(
            ["MatMul", "Relu", "MatMul", "Sigmoid", "MatMul", "Tanh", "Relu", "MatMul"]
        ):
            inputs = [last, "w"] if op == "MatMul" else [last]
            last = f"v{n}.{step}"
            nodes.append(helper.make_node(op, inputs, [last], name=f"{scope}/part.{step % 2}/{op}_{step}"))
        nodes.append(helper.make_node("Mul", [last, "mask"], [f"v{n}.m"], name=f"{scope}/Mul"))
        last = f"v{n}"
        nodes.append(helper.make_node("Add", [f"v{n}.m", start], [last], name=f"{scope}/Add"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("x", "m", last)]
    graph = helper.make_graph(nodes, "deep", ends[:2], ends[2:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def test_twenty_thousand_nodes(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "deep.onnx"
    onnx.save(_deep(2000), path)
    with Workplace() as made:
        made.first = (made.add(path),)
        with start(made) as found:
            page.goto(found.url)
            _ready(page)
            _shot(page, "20000 first")
            first = page.evaluate(BOXES)
            page.get_by_role("button", name="All", exact=True).click()
            _ready(page, 2)
            _shot(page, "20000 open")
            whole = page.evaluate(BOXES)
            drawn = int(page.evaluate("document.body.dataset.drawn"))
    assert first["boxes"] < 400
    assert whole["boxes"] == 20_001 + 3
    assert (whole["twice"], whole["overlaps"]) == (0, 0)
    assert drawn < 200, "only what is in view is painted"
    assert page.faults == []
