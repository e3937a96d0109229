"""Does the page show two models side by side, link what matches, and tell what differs in a chosen pair?"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inspector.server import Workplace, start
from inspector.server.recents import Recents

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parent.parent / ".artefacts"
CONV, RELU = "node_conv2d_6", "node_relu_15"

APART = """([a, b]) => Math.abs(comparison.place(0, a).y - comparison.place(1, b).y)"""
TIE = """key => {
  const over = document.querySelector('.over'), box = over.getBoundingClientRect();
  const [a, b] = [comparison.place(0, key), comparison.place(1, key)];
  const at = [Math.round((a.x + b.x) / 2 - box.x), Math.round((a.y + b.y) / 2 - box.y)];
  return [...over.getContext('2d').getImageData(...at, 1, 1).data];
}"""
"""The pixel half-way between a node of A and the node of the same name of B."""


STRUCK = """() => {
  const over = document.querySelector('.over'), box = over.getBoundingClientRect(), c = over.getContext('2d');
  let struck = 0;
  for (const key of ['node_conv2d_5', 'node_conv2d_6', 'node_relu_5', 'node_relu_6', 'node_cat_1'])
    for (const side of [0, 1]) {
      const {x, y} = comparison.place(side, key);
      const pane = document.querySelectorAll('.panes > canvas')[side].getBoundingClientRect();
      if (x < pane.left + 8 || x > pane.right - 8) continue;
      struck += c.getImageData(x - box.x - 8, y - box.y - 4, 16, 8).data.filter(Boolean).length;
    }
  return struck;
}"""
DROP = """([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name));
  const drop = new DragEvent('drop', {bubbles: true, dataTransfer: data});
  document.querySelector('.compare').dispatchEvent(drop);
}"""


def _small(op: str) -> onnx.ModelProto:
    """One operator over four numbers."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], name="only")], "g", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.fixture(scope="module")
def edited(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier with other kernels in one Conv and a Sigmoid in place of a Relu."""
    model = onnx.load(fixtures / "squeezenet1_1.onnx")
    nodes = {node.name: node for node in model.graph.node}
    kernels = next(w for w in model.graph.initializer if w.name == nodes[CONV].input[1])
    values = numpy_helper.to_array(kernels).copy()
    values[3, 5] += 0.5
    kernels.CopyFrom(numpy_helper.from_array(values, kernels.name))
    nodes[RELU].op_type = "Sigmoid"
    path = tmp_path_factory.mktemp("edited") / "edited.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(90_000)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda fault: faults.append(str(fault)))
    made.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    made.faults = faults
    yield made
    context.close()
    assert faults == []


@pytest.fixture
def opened(page: Any) -> Iterator[Any]:
    """Opens models beside a server that lives as long as the test."""
    held: list[Any] = []

    def open_models(*paths: Path, given: Path | None = None, recent: Recents | None = None) -> Any:
        page.workplace = workplace = Workplace()
        workplace.recents = recent or workplace.recents
        workplace.first = tuple(workplace.add(path) for path in paths)
        workplace.input = workplace.share(given).id if given is not None else ""
        server = start(workplace)
        held.extend((workplace, server))
        page.goto(server.__enter__().url)
        return page

    yield open_models
    page.goto("about:blank")
    for workplace, server in zip(held[::2], held[1::2], strict=True):
        server.__exit__(None, None, None)
        workplace.close()


def _compared(page: Any) -> None:
    page.wait_for_function("() => Number(document.body.dataset.pairs || 0) > 0")


def _rows(page: Any) -> list[str]:
    return page.locator(".differences tbody tr").all_inner_texts()


def _shot(page: Any, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def test_one_network_in_two_formats_has_no_differences(
    opened: Any, fixtures: Path, shared_models: Path
) -> None:
    other = shared_models / "imagenet_squeezenet1_1" / "squeezenet1_1_imagenet.h5"
    page = opened(fixtures / "squeezenet1_1.onnx", other, given=fixtures / "coffee.png")
    _compared(page)
    assert "The same network" in page.locator(".verdict").inner_text()
    assert _rows(page) == []
    assert page.get_by_text("No differences.").is_visible()
    page.locator(".kind").get_by_text("same").click()
    assert len(_rows(page)) > 60
    page.locator(".differences tbody tr").nth(3).click()
    page.locator(".maps canvas").first.wait_for()
    assert "relative L2 0, cosine 1" in page.locator(".tensors").first.inner_text()
    _shot(page, "compare formats")
    page.evaluate("comparison.pan(0, 0, 700)")
    middle = page.evaluate("document.querySelector('.panes').clientHeight / 2")
    a, b = min(page.evaluate("comparison.heights()"), key=lambda ends: abs(ends[0] - middle))
    assert abs(a - b) < 40, "what matches stays at one height though the graphs are built differently"


def test_an_edit_is_clicked_and_stays(opened: Any, fixtures: Path, edited: Path) -> None:
    page = opened(fixtures / "squeezenet1_1.onnx", edited, given=fixtures / "coffee.png")
    _compared(page)
    assert "Not the same network" in page.locator(".verdict").inner_text()
    first = _rows(page)[0]
    assert (CONV in first, "weights" in first, "values part here" in first) == (True, True, True)
    page.locator(".differences tbody tr").first.click()
    page.wait_for_function("([a, b]) => comparison.place(0, a) && comparison.place(1, b)", arg=[CONV, CONV])
    assert page.evaluate(APART, [CONV, CONV]) < 1
    pair = page.get_by_role("region", name="Chosen pair")
    pair.get_by_role("heading", name="Conv ↔ Conv").wait_for()
    pair.locator(".maps canvas").first.wait_for()
    told = pair.locator(".tensors").first.inner_text()
    assert "largest |B − A| 0.5" in told, told
    assert pair.locator(".tensors").last.get_by_role("table").is_visible(), "activations of both"
    assert page.evaluate(TIE, CONV) == [0, 0, 0, 255], "the chosen pair is tied in black"
    assert page.evaluate(TIE, "node_relu_6") == [122, 63, 168, 255], (
        "the pair below in the colour of its state"
    )
    assert (f"node={CONV}" in page.url, f"partner={CONV}" in page.url, "with=" in page.url) == (True,) * 3
    assert page.evaluate(STRUCK) == 0, "no label is struck through"
    _shot(page, "compare edit")
    page.reload()
    pair.get_by_role("heading", name="Conv ↔ Conv").wait_for()
    pair.locator(".maps canvas").first.wait_for()
    assert page.locator(".differences tr.chosen").count() == 1
    page.get_by_role("button", name="Switch between dark and light").click()
    _shot(page, "compare edit dark")


def test_a_click_on_either_side_selects_both(opened: Any, fixtures: Path, edited: Path) -> None:
    page = opened(fixtures / "squeezenet1_1.onnx", edited)
    _compared(page)
    page.get_by_label("Filter differences").fill("Sigmoid")
    assert len(_rows(page)) == 1
    page.get_by_role("button", name="Next difference").click()
    pair = page.get_by_role("region", name="Chosen pair")
    pair.get_by_role("heading", name="Relu ↔ Sigmoid").wait_for()
    assert pair.locator("tr.differs").all_inner_texts() == ["operator\tRelu\tSigmoid"]
    page.wait_for_function("key => comparison.place(1, key)", arg="node_conv2d_15")
    place = page.evaluate("comparison.place(1, 'node_conv2d_15')")
    page.mouse.click(place["x"], place["y"])
    pair.get_by_role("heading", name="Conv ↔ Conv").wait_for()
    assert "node=node_conv2d_15" in page.url
    page.get_by_role("tab", name="Node").click()
    assert page.get_by_role("tabpanel").get_by_text("node_conv2d_15", exact=True).first.is_visible()


def test_both_move_together_until_unlocked(opened: Any, fixtures: Path, edited: Path) -> None:
    page = opened(fixtures / "squeezenet1_1.onnx", edited)
    _compared(page)
    eyes = "() => comparison.eyes.map(e => [e.x, e.y, e.k])"
    page.mouse.move(300, 400)
    page.mouse.wheel(0, 240)
    page.wait_for_function("() => comparison.eyes[0].y > 0")
    a, b = page.evaluate(eyes)
    assert a == pytest.approx(b)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function("k => comparison.eyes[0].k > k", arg=a[2])
    a, b = page.evaluate(eyes)
    assert a[1:] == pytest.approx(b[1:])
    page.get_by_label("move together").uncheck()
    page.mouse.move(300, 400)
    page.mouse.wheel(0, 240)
    page.wait_for_function("() => comparison.eyes[0].y !== comparison.eyes[1].y")
    assert page.evaluate(eyes)[1] == b


def test_a_second_model_comes_later(opened: Any, fixtures: Path, edited: Path) -> None:
    page = opened(fixtures / "squeezenet1_1.onnx")
    page.get_by_role("tab", name="Compare").click()
    _shot(page, "compare start")
    page.get_by_label("Compare with a file").set_input_files(edited)
    _compared(page)
    assert "edited" in page.get_by_label("Compare with", exact=True).locator("option:checked").inner_text()
    assert "squeezenet1_1" in page.locator("header .name").inner_text()
    before = page.url
    page.get_by_role("button", name="Swap").click()
    page.locator("header .name").get_by_text("edited").wait_for()
    page.locator(".differences tbody tr").first.wait_for()
    assert page.url != before


def test_files_of_weights_are_compared_weight_by_weight(opened: Any, tmp_path: Path) -> None:
    kernel = np.arange(12, dtype=np.float32).reshape(3, 4)
    for name, last in (("one", 1), ("two", 2)):
        np.savez(tmp_path / f"{name}.npz", kernel=kernel, scale=np.array([1, last], np.float32))
    page = opened(tmp_path / "one.npz", tmp_path / "two.npz")
    page.locator(".differences tbody tr").first.click()
    assert len(_rows(page)) == 1
    pair = page.get_by_role("region", name="Chosen pair")
    pair.locator(".maps canvas").wait_for()
    assert "largest |B − A| 1" in pair.inner_text()
    assert page.locator(".panes").count() == 0, "there is nothing to draw"
    _shot(page, "compare weights")


def test_one_file_twice_is_told(opened: Any, fixtures: Path) -> None:
    page = opened(fixtures / "squeezenet1_1.onnx", fixtures / "squeezenet1_1.onnx")
    page.get_by_text("Both files hold the same model").wait_for()


def test_an_input_that_does_not_fit_is_told(
    opened: Any, page: Any, fixtures: Path, edited: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 5), np.float32))
    opened(fixtures / "squeezenet1_1.onnx", edited, given=tmp_path / "x.npy")
    page.get_by_role("alert").wait_for()
    assert "4 axes" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Random instead").click()
    _compared(page)
    assert page.get_by_role("alert").count() == 0


def test_forgotten_values_are_made_again(
    opened: Any, fixtures: Path, edited: Path, tmp_path: Path, page: Any
) -> None:
    opened(fixtures / "squeezenet1_1.onnx", edited, given=fixtures / "coffee.png")
    _compared(page)
    assert "espresso" in page.get_by_role("region", name="Chosen pair").inner_text(), "A's answer"
    onnx.save(_small("Relu"), tmp_path / "small.onnx")
    small = page.workplace.add(tmp_path / "small.onnx")
    for _ in range(16):
        page.workplace.run_feeds(small, {"x": np.ones(4, np.float32)})
    page.locator(".differences tbody tr").nth(2).click()
    page.get_by_role("alert").wait_for()
    assert "forgotten" in page.get_by_role("alert").inner_text()
    page.faults.clear()  # the browser tells each answer 404
    page.get_by_role("button", name="Run both again").click()
    page.locator(".tensors .maps canvas").first.wait_for()


def test_a_weight_stands_beside_its_partner(opened: Any, fixtures: Path, edited: Path) -> None:
    page = opened(fixtures / "squeezenet1_1.onnx", edited)
    _compared(page)
    page.locator(".differences tbody tr").first.click()
    page.get_by_role("tab", name="Weights").click()
    page.get_by_text("Beside its partner in edited.onnx").click()
    page.locator(".besides .maps canvas").wait_for()
    assert "largest |B − A| 0.5" in page.locator(".besides").inner_text()


def test_files_dropped_on_the_view_are_compared_and_fed(opened: Any, page: Any, tmp_path: Path) -> None:
    onnx.save(_small("Relu"), tmp_path / "a.onnx")
    opened(tmp_path / "a.onnx")
    page.get_by_role("tab", name="Compare").click()
    page.locator(".compare").wait_for()
    page.evaluate(DROP, ["b.onnx", base64.b64encode(_small("Tanh").SerializeToString()).decode()])
    page.locator(".differences tbody tr").click()
    page.get_by_role("heading", name="Relu ↔ Tanh").wait_for()
    assert "a.onnx" in page.locator("header .name").inner_text(), "A stays"
    numbers = io.BytesIO()
    np.save(numbers, np.array([-1, 0, 1, 2], np.float32))
    page.evaluate(DROP, ["x.npy", base64.b64encode(numbers.getvalue()).decode()])
    page.get_by_text("fed with the given input").wait_for()
    page.get_by_text("largest |B − A| 1.036").wait_for()
    assert "input=" in page.url


def test_nodes_of_one_layer_meet_by_operator(opened: Any, page: Any, tmp_path: Path) -> None:
    for name, scale in (("a", 1), ("b", 2)):
        weight = numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(4, 4) * scale, "w")
        bias = numpy_helper.from_array(np.ones(4, np.float32), "bias")
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["m"], "product"),
            helper.make_node("Add", ["m", "bias"], ["y"], "sum"),
        ]
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "xy"]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight, bias])
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), tmp_path / f"{name}.onnx"
        )
    opened(tmp_path / "a.onnx", tmp_path / "b.onnx")
    _compared(page)
    assert page.evaluate("document.body.dataset.links") == "4", "input, product, sum and output, none crossed"
    for op, key in (("Add", "sum"), ("MatMul", "product")):
        place = page.evaluate(f"comparison.place(1, '{key}')")
        page.mouse.click(place["x"], place["y"])
        page.get_by_role("heading", name=f"{op} ↔ {op}").wait_for()


def test_a_file_opened_lately_is_compared(opened: Any, page: Any, tmp_path: Path) -> None:
    for name, op in (("a", "Relu"), ("b", "Tanh")):
        onnx.save(_small(op), tmp_path / f"{name}.onnx")
    recent = Recents(tmp_path / "recent.json")
    recent.add(tmp_path / "b.onnx")
    opened(tmp_path / "a.onnx", recent=recent)
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Compare with a file opened lately").select_option("b.onnx")
    page.locator(".differences tbody tr").click()
    page.get_by_role("heading", name="Relu ↔ Tanh").wait_for()
    assert "a.onnx" in page.locator("header .name").inner_text(), "A stays"
