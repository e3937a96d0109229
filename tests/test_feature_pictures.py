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
