"""Do pictures of captured values say the right type, name the right axes, and keep their words apart?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from onnx import TensorProto, helper

import inspector
from inspector import views
from inspector.actions.features import features
from inspector.actions.kernels import kernels
from inspector.execution import axes_of_value

SVG = "image/svg+xml"


def words(figure: views.Figure) -> str:
    """The text of an SVG picture, words one space apart."""
    return " ".join(" ".join(ElementTree.fromstring(figure.data).itertext()).split())


def test_sizes_are_written_with_their_own_type() -> None:
    figure = views.picture_of(np.array([2, 16, 4, 4]), title="shape", media=SVG)
    assert "int64" in words(figure)
    assert "float" not in words(figure)


def test_one_number_a_channel_is_drawn_as_bars_not_as_a_signal() -> None:
    pooled = views.picture_of(np.linspace(0, 1, 20)[None, :, None], axes="n c t", media=SVG)
    assert pooled.height > pooled.width  # a bar a channel, under one another; a strip lies flat


@pytest.mark.parametrize("count", [2, 4])
def test_heads_on_their_own_scales_have_short_titles(count: int) -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(17), (count, 17))
    figure = views.picture_of(weights, axes="heads q k", shared=False, media=SVG)
    assert "head 1: 0 … " in words(figure)
    assert "on its own scale, written above it" in words(figure)
    assert words(figure).count("values beyond") == 0


def test_heads_of_queries_and_keys_are_not_called_a_volume() -> None:
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale"], ["normed"], name="norm"),
        helper.make_node("Reshape", ["normed", "shape"], ["split"], name="heads"),
        helper.make_node("Transpose", ["split"], ["qkv"], name="qkv", perm=[2, 0, 3, 1, 4]),
    ]
    graph = helper.make_graph(
        nodes,
        "attends",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 5, 24])],
        [helper.make_tensor_value_info("qkv", TensorProto.FLOAT, [3, 2, 4, 5, 2])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [24], np.ones(24)),
            helper.make_tensor("shape", TensorProto.INT64, [5], [2, 5, 3, 4, 2]),
        ],
    )
    model = inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert axes_of_value(model, "qkv", (3, 2, 4, 5, 2)) == "n n c h w"


@pytest.mark.parametrize("between", [[], ["Identity"], ["Dropout", "Identity"]])
def test_attention_is_known_through_nodes_that_keep_it(between: list[str]) -> None:
    nodes = [helper.make_node("Softmax", ["scores"], ["weights"], axis=-1)]
    for number, op in enumerate(between):
        nodes.append(helper.make_node(op, [nodes[-1].output[0]], [f"kept_{number}"], name=f"{op}_{number}"))
    nodes.append(helper.make_node("MatMul", [nodes[-1].output[0], "values"], ["seen"]))
    shapes = {"scores": [1, 2, 5, 5], "values": [1, 2, 5, 3], "seen": [1, 2, 5, 3]}
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
    }
    graph = helper.make_graph(nodes, "g", [infos["scores"], infos["values"]], [infos["seen"]])
    model = inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert axes_of_value(model, "weights", (1, 2, 5, 5)) == "n heads q k"
    assert axes_of_value(model, "seen", (1, 2, 5, 3)) != "n heads q k"


def test_maps_and_kernels_have_their_own_scale_where_asked(
    classifier: inspector.Model, fixtures: Path, tmp_path: Path
) -> None:
    captions = {}
    for scale in ("shared", "own"):
        found = features(
            classifier,
            [str(fixtures / "coffee.png")],
            tmp_path / scale,
            values=["relu"],
            scale=scale,
            format="svg",
        )
        assert len(found.rows) == 1
        captions[scale] = next((tmp_path / scale).glob("*relu.maps.svg")).read_text("utf-8")
    assert "One scale for all" in captions["shared"]
    assert "on its own scale, written below it" in captions["own"]
    one = kernels(classifier, tmp_path / "k.svg", layer="conv2d_1", scale="own")
    assert one.figure.data


def test_inputs_and_outputs_that_are_no_picture_and_no_class_are_drawn_too(
    shared_models: Path, tmp_path: Path
) -> None:
    model = inspector.open_model(shared_models / "silero_vad" / "silero_vad.onnx")
    folder = tmp_path / "vad"
    found = features(model, ["random"], folder, values=["output"])
    titles = {figure.title for figure in found.figures().values()}
    assert {"Input input: 1×512", "Input sr: one number", "Output stateN: 2×1×128"} <= titles
    page = (folder / "index.html").read_text("utf-8")
    assert page.count("<h2>Input ") == 3
    assert page.count("<h2>Output ") == 2
    answer = inspector.predict(model, "random")
    assert [figure.title for figure in answer.figures().values()] == [
        "Output output: 1×1", "Output stateN: 2×1×128",
    ]  # fmt: skip


def test_the_bars_of_a_batch_say_whose_they_are(classifier: inspector.Model, fixtures: Path) -> None:
    pictures = [str(fixtures / "coffee.png"), str(fixtures / "chelsea.png")]
    figures = inspector.predict(classifier, pictures).figures()
    assert "item 0 of 2" in figures["logits"].caption


SQUEEZENETS = (
    "squeezenet1_1_imagenet.safetensors",
    "squeezenet1_1_imagenet_state_dict.pth",
    "squeezenet1_1_imagenet.weights.h5",
    "ndf_squeezenet_weights.pkl",
    "squeezenet1_1_imagenet.h5",
)


@pytest.mark.parametrize("name", SQUEEZENETS)
def test_first_kernels_are_found_in_files_without_layers_too(
    classifier: inspector.Model, shared_models: Path, name: str
) -> None:
    expected = kernels(classifier).array
    drawn = kernels(shared_models / "imagenet_squeezenet1_1" / name)
    assert np.array_equal(drawn.array, expected)
    assert "Kernels 64×3×3×3" in drawn.figure.caption


@pytest.mark.parametrize("limit", [0, -1])
def test_no_kernels_at_all_is_refused(classifier: inspector.Model, limit: int) -> None:
    with pytest.raises(inspector.InspectorError, match="at least one kernel"):
        kernels(classifier, limit=limit)


def test_where_numbers_become_none_is_told(classifier: inspector.Model) -> None:
    x = np.ones((1, 3, 224, 224), np.float32)
    x[0, 0, 5, 5] = np.nan
    found = features(classifier, {"image": x}, values=["relu", "conv2d"], stats_only=True)
    assert any("the first in graph order is conv2d (" in note for note in found.notes)


def test_what_the_system_refuses_is_told_without_a_trace(fixtures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "inspector.cli", "features", str(fixtures / "squeezenet1_1.onnx")]
    asked = ["--input", "random", "--values", "relu", "-o", str(tmp_path / "file" / "out")]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = " ".join((done.stdout + done.stderr).split())
    assert "A part of the path is a file." in told
    assert "fault of the inspector" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_negative_budget_is_refused(classifier: inspector.Model) -> None:
    with pytest.raises(inspector.InspectorError, match="expected 0 or more"):
        features(classifier, ["random"], budget=-3)
