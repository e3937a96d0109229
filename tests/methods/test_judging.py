"""Do the measures of maps give what closed forms and their definitions say?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import inspector
from inspector import methods
from inspector.errors import BadInput, UnknownName
from inspector.methods import Evaluation
from inspector.methods.judging.agreement import rank_correlation
from inspector.methods.judging.insertion import most_important
from inspector.methods.judging.road import imputed
from inspector.methods.judging.sparseness import gini

SIDE = 12
COFFEE = Path(__file__).parents[2] / "fixtures" / "coffee.png"
X = np.abs(np.random.default_rng(1).normal(size=(1, 1, SIDE, SIDE))).astype(np.float32) + 0.2


@pytest.fixture(scope="module")
def linear() -> inspector.Model:
    """One score: the sum of weight × pixel, most of it in the upper left quarter."""
    weight = np.random.default_rng(0).normal(size=(SIDE, SIDE)) * 0.05
    weight[:6, :6] += 1
    stored = numpy_helper.from_array(weight.astype(np.float32).reshape(-1, 1), "w")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], name="flat"),
        helper.make_node("MatMul", ["flat", "w"], ["y"], name="dense"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "linear", [x], [y], [stored])
    return inspector.open_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    )


def judged(model: inspector.Model, names: list[str], measures: list[str], **how: object) -> Evaluation:
    subject = methods.prepare(model, X, target=0, dtype="float64")
    return methods.evaluate(subject, names, measures, **how)


def test_a_linear_score_is_foretold_exactly(linear: inspector.Model) -> None:
    found = judged(linear, ["gradient-x-input", "gradient"], ["infidelity", "max-sensitivity"])
    assert found.measurements["gradient-x-input"]["infidelity"].value < 1e-10
    assert found.measurements["gradient"]["infidelity"].value > 1e-3  # misses the input's size
    assert found.measurements["gradient"]["max-sensitivity"].value < 1e-10  # a constant gradient
    assert found.measurements["gradient-x-input"]["max-sensitivity"].value > 1e-4


def test_curves_are_the_sums_of_the_places_shown(linear: inspector.Model) -> None:
    found = judged(linear, ["gradient-x-input"], ["deletion", "insertion"])
    places = found.maps["gradient-x-input"].values[0, 0].astype(np.float64)
    ordered = np.sort(places, axis=None)[::-1]
    left = [ordered[round(k / 20 * ordered.size) :].sum() for k in range(21)]
    one = found.measurements["gradient-x-input"]["deletion"]
    assert one.curve is not None
    np.testing.assert_allclose(one.curve[1], left, rtol=0, atol=1e-10)
    assert one.value == pytest.approx(np.trapezoid(left, np.linspace(0, 1, 21)), abs=1e-10)
    insertion = found.measurements["gradient-x-input"]["insertion"].curve
    assert insertion is not None
    assert insertion[1][-1] == pytest.approx(places.sum(), abs=1e-10)
    worse = judged(linear, ["rise"], ["deletion"], options={"rise": {"masks": 30}})
    assert worse.measurements["rise"]["deletion"].value > one.value  # the exact order falls fastest


def test_the_gini_index() -> None:
    assert gini(np.full(10, 3.0)) == pytest.approx(0, abs=1e-12)
    assert gini(np.eye(1, 10)) == pytest.approx(0.9, abs=1e-12)
    values = np.random.default_rng(2).normal(size=30)
    sizes = np.abs(values)
    slow = np.abs(sizes[:, None] - sizes[None]).sum() / (2 * 30**2 * sizes.mean())
    assert gini(values) == pytest.approx(slow, abs=1e-12)


def test_rank_correlation_sees_order_only() -> None:
    values = np.random.default_rng(3).normal(size=(4, 5))
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1, abs=1e-12)
    assert rank_correlation(values, -values) == pytest.approx(-1, abs=1e-12)
    assert rank_correlation(values, np.ones((4, 5))) == 0


def test_holes_are_filled_by_their_neighbours() -> None:
    """A plane is harmonic, so inner holes get it back exactly but for the noise."""
    rows, columns = np.mgrid[0:9, 0:9]
    plane = (2.0 * rows - columns)[None]
    holes = np.zeros((9, 9), bool)
    holes[3:6, 2:5] = True
    rng = np.random.default_rng(4)
    found = imputed(plane, holes, rng)
    noise = 0.01 * (plane.max() - plane.min()) * np.random.default_rng(4).standard_normal((9, 1))
    np.testing.assert_allclose(found[0][holes] - noise[:, 0], plane[0][holes], rtol=0, atol=1e-10)
    assert np.array_equal(found[0][~holes], plane[0][~holes])


def test_road_prefers_the_right_map(linear: inspector.Model) -> None:
    model = linear
    rng = np.random.default_rng(5)
    rough = rng.normal(size=(1, 1, SIDE, SIDE)).astype(np.float32)
    rough[..., :6, :6] += 3
    subject = methods.prepare(model, rough, target=0, dtype="float64")
    found = methods.evaluate(subject, ["gradient-x-input"], ["road"]).measurements["gradient-x-input"]["road"]
    assert found.value > 1


def test_the_peak_is_held_against_a_mask(linear: inspector.Model) -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:6, :6] = True
    here = judged(linear, ["gradient-x-input"], ["pointing-game", "inside-mask"], mask=mask)
    places = here.maps["gradient-x-input"].values[0, 0].clip(min=0)
    assert here.measurements["gradient-x-input"]["pointing-game"].value == 1
    assert here.measurements["gradient-x-input"]["inside-mask"].value == pytest.approx(
        places[mask].sum() / places.sum()
    )
    there = judged(linear, ["gradient-x-input"], ["pointing-game"], mask=np.rot90(mask, 2))
    assert there.measurements["gradient-x-input"]["pointing-game"].value == 0
    none = judged(linear, ["gradient-x-input"], ["pointing-game"])
    assert "--mask" in none.refused["pointing-game of gradient-x-input"]
    with pytest.raises(UnknownName, match="insertion"):
        judged(linear, ["gradient"], ["insert"])


def test_a_method_that_refuses_leaves_the_others(linear: inspector.Model) -> None:
    found = judged(linear, ["gradient", "rollout"], ["sparseness"])
    assert list(found.maps) == ["gradient"]
    assert "attention" in found.refused["rollout"]
    with pytest.raises(BadInput, match="attention"):
        judged(linear, ["rollout"], ["sparseness"])


def test_what_methods_say_about_their_maps_is_said_here_too(classifier: inspector.Model) -> None:
    subject = methods.prepare(classifier, str(COFFEE))
    notes = methods.evaluate(subject, ["guided-backprop", "gradient"], ["sparseness"]).notes
    assert sum("Guided backpropagation draws edges" in note for note in notes) == 1


def test_two_equal_calls_give_equal_numbers(linear: inspector.Model) -> None:
    measures = ["insertion", "infidelity", "max-sensitivity", "randomisation", "road"]
    one, two = (judged(linear, ["gradient-x-input"], measures) for _ in range(2))
    for name, value in one.measurements["gradient-x-input"].items():
        assert value == two.measurements["gradient-x-input"][name]


def test_the_command_prints_json_and_reads_a_mask(tmp_path: Path, fixtures: Path) -> None:
    size = Image.open(COFFEE).size
    Image.new("L", size, 255).save(tmp_path / "mask.png")
    command = [
        str(Path(sys.executable).parent / "inspector"),
        "evaluate",
        str(fixtures / "squeezenet1_1.onnx"),
    ]
    command += ["--input", str(COFFEE), "--methods", "grad-cam,gradient", "--measures", "sparseness,deletion"]
    command += ["--mask", str(tmp_path / "mask.png"), "--json", "-o", str(tmp_path / "curves.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert set(found["methods"]["grad-cam"]) == {"sparseness", "deletion", "pointing-game", "inside-mask"}
    assert found["methods"]["grad-cam"]["inside-mask"]["value"] == pytest.approx(1)
    assert (
        found["methods"]["grad-cam"]["sparseness"]["value"]
        < found["methods"]["gradient"]["sparseness"]["value"]
    )
    assert found["agreement"]["rank_correlation"][0][0] == pytest.approx(1)
    assert [Path(name).is_file() for name in found["files"]] == [True, True]


def test_places_that_only_rounding_tells_apart_are_ties() -> None:
    places = np.array([[0.5, 1.0, 0.5], [0.5, 0.2, 0.5]])
    wanted = most_important(places, 0.5)
    assert wanted.tolist() == [[True, True, True], [False, False, False]]
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=places.shape) * 1e-15
        assert np.array_equal(most_important(places + noise, 0.5), wanted)
    assert most_important(np.zeros((2, 2)), 0.25).tolist() == [[True, False], [False, False]]
