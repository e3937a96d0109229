"""Are attention heads, curves of vectors and surfaces shown as what they are?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inspector.execution import capture
from inspector.server import Workplace

pytestmark = pytest.mark.browser

HEADS, TOKENS, WIDTH = 4, 12, 6
ARTEFACTS = Path(__file__).parent.parent / ".artefacts"


def _transformer() -> onnx.ModelProto:
    """Ids → embedding → one attention layer of four heads → the mean over tokens."""
    random = np.random.default_rng(0)
    shapes = {"words": (50, HEADS * WIDTH), "q": (HEADS * WIDTH,) * 2, "k": (HEADS * WIDTH,) * 2}
    held = [numpy_helper.from_array(random.normal(size=s).astype(np.float32), n) for n, s in shapes.items()]
    held.append(numpy_helper.from_array(np.array([1, TOKENS, HEADS, WIDTH]), "split"))
    held.append(numpy_helper.from_array(np.float32(0.05), "scale"))
    node = helper.make_node
    nodes = [node("Gather", ["words", "ids"], ["e"], "embed")]
    for name, axes in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1])):
        nodes += [
            node("MatMul", ["e", name], [f"{name}e"], f"{name} product"),
            node("Reshape", [f"{name}e", "split"], [f"{name}s"], f"{name} split"),
            node("Transpose", [f"{name}s"], [f"{name}h"], f"{name} heads", perm=axes),
        ]
    nodes += [
        node("MatMul", ["qh", "kh"], ["scores"], "scores"),
        node("Mul", ["scores", "scale"], ["scaled"], "scale scores"),
        node("Softmax", ["scaled"], ["weights"], "weights", axis=-1),
        node("ReduceMean", ["weights"], ["y"], "mean", axes=[1, 2], keepdims=0),
        node("Softmax", ["y"], ["z"], "answer", axis=-1),
    ]
    x = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, TOKENS])
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, TOKENS])
    graph = helper.make_graph(nodes, "attending", [x], [z], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture(scope="module")
def ids() -> Any:
    return np.random.default_rng(1).integers(0, 50, (1, TOKENS))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, ids: Any) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("attention")
    onnx.save(_transformer(), folder / "attending.onnx")
    np.save(folder / "ids.npy", ids)
    with Workplace() as made:
        made.first = (made.add(folder / "attending.onnx"),)
        made.input = made.share(folder / "ids.npy").id
        yield made


def _run(page: Any, query: str) -> None:
    page.get_by_role("tab", name="Activations").click()
    page.get_by_role("button", name="Run the given input").click()
    page.get_by_text("Compare with another input").wait_for()
    page.get_by_label("Search").fill(query)
    page.locator(".outline li button").first.click()


def test_each_head_is_a_matrix_with_named_tokens(page: Any, workplace: Workplace, ids: Any) -> None:
    _run(page, "name=weights")
    matrix = page.locator(".attention > canvas")
    matrix.wait_for()
    assert matrix.get_attribute("aria-label") == f"Head 0: {TOKENS} queries down, {TOKENS} keys across"
    page.locator(".attention .tiles canvas").press("ArrowRight")
    page.locator(".attention .tiles canvas").press("ArrowRight")
    page.locator(".attention > canvas[aria-label^='Head 2']").wait_for()
    for _ in range(5):
        matrix.press("ArrowDown")
    for _ in range(4):
        matrix.press("ArrowRight")
    weights = capture(workplace.model(workplace.first[0]), ids)["weights"]
    said = page.locator(".attention .said").inner_text()
    assert said.startswith(f"Head 2, query token 5 “{ids[0, 5]}” → key token 3 “{ids[0, 3]}”: ")
    assert float(said.split(": ")[1]) == pytest.approx(weights[0, 2, 5, 3], rel=1e-3)
    ARTEFACTS.mkdir(exist_ok=True)
    matrix.scroll_into_view_if_needed()
    page.screenshot(path=ARTEFACTS / "attention.png")


def test_pointing_at_a_row_chooses_its_query(page: Any) -> None:
    _run(page, "name=weights")
    matrix = page.locator(".attention > canvas")
    matrix.scroll_into_view_if_needed()
    place = matrix.bounding_box()
    page.mouse.move(place["x"] + 60, place["y"] + 200)
    page.wait_for_function("() => /query token 6 /.test(document.querySelector('.said').textContent)")


def test_a_softmax_over_classes_is_no_attention_but_a_curve(page: Any) -> None:
    _run(page, "name=answer")
    page.locator(".curve canvas").wait_for()
    assert page.locator(".attention").count() == 0
    page.locator(".curve canvas").press("ArrowRight")
    page.locator(".curve figcaption").get_by_text("number 0 is").wait_for()


def test_a_surface_is_turned_by_keys_and_by_the_mouse(page: Any) -> None:
    _run(page, "name=scores")
    page.locator(".surface summary").click()
    surface = page.locator(".surface canvas")
    surface.press("ArrowRight")
    page.locator(".surface canvas[data-turn='0.70']").wait_for()
    surface.press("ArrowDown")
    page.locator(".surface canvas[data-tilt='1.00']").wait_for()
    surface.scroll_into_view_if_needed()
    place = surface.bounding_box()
    page.mouse.move(place["x"] + 100, place["y"] + 100)
    page.mouse.down()
    page.mouse.move(place["x"] + 160, place["y"] + 100)
    page.mouse.up()
    page.locator(".surface canvas[data-turn='1.20']").wait_for()
