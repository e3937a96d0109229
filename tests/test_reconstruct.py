"""Do projections keep what they should, and go back as a slow deconvolutional net does?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch.nn import functional

import inspector
from inspector.errors import BadInput, InspectorError, UnknownName
from inspector.methods import dissection, maximize

SIDE = 16


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "w1": random.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "w2": random.normal(size=(6, 4, 3, 3)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def net(weights: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> inspector.Model:
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"]),
        helper.make_node("Relu", ["c2"], ["r2"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("r2", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model.metadata_props.add(key="inspector.preprocess", value='{"preset": "imagenet-caffe", "size": null}')
    path = tmp_path_factory.mktemp("net") / "small.onnx"
    onnx.save(model, path)
    return inspector.open_model(path)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def slow(weights: dict[str, np.ndarray], x: np.ndarray, keep: list[int]) -> np.ndarray:
    """Zeiler's net by hand: unpool by switches, rectify, transpose the filters."""
    w1, w2 = (torch.from_numpy(w).double() for w in weights.values())
    c1 = functional.conv2d(torch.from_numpy(x).double(), w1)
    pooled, switches = functional.max_pool2d(c1.relu(), 2, return_indices=True)
    top = functional.conv2d(pooled, w2).relu()
    kept = torch.zeros_like(top)
    kept[:, keep] = top[:, keep]
    back = functional.conv_transpose2d(kept.relu(), w2)
    back = functional.max_unpool2d(back, switches, 2, output_size=c1.shape[2:])
    return functional.conv_transpose2d(back.relu(), w1).numpy()


def test_the_projection_is_that_of_a_deconvolutional_net(
    net: inspector.Model, weights: dict[str, np.ndarray], picture: np.ndarray
) -> None:
    stage = maximize.open_stage(net, double=True)
    made = dissection.project(stage, picture, "r2", channels=2)
    x = stage.recipe.apply(picture, np.float64)
    top = inspector.capture(net, {"image": x.astype(np.float32)}, ["r2"])["r2"][0].max((1, 2))
    assert list(made.channels) == np.argsort(-top)[:2].tolist()
    expected = slow(weights, x, list(made.channels))[0][::-1].transpose(1, 2, 0)  # BGR to RGB
    np.testing.assert_allclose(made.whole, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert np.abs(made.whole).max() > 0
    np.testing.assert_array_equal(made.picture, picture)


def test_one_place_projects_into_its_window(net: inspector.Model, picture: np.ndarray) -> None:
    made = dissection.project(maximize.open_stage(net), picture, "r2", channels=[1, 3])
    for values, window in zip(made.alone, made.windows, strict=True):
        assert window is not None
        top, left, bottom, right = window
        outside = values.copy()
        outside[top:bottom, left:right] = 0
        assert not outside.any()
        assert values.any()


def test_sheets_of_an_image_and_of_units(net: inspector.Model, picture: np.ndarray, tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(np.roll(picture, index * 5, 0)).save(tmp_path / f"p{index}.png")
    one = inspector.reconstruct(
        net, [str(tmp_path / "p0.png")], tmp_path / "one.png", layer="r2", top_channels=3
    )
    assert len(one.made[0].channels) == 3
    units = inspector.reconstruct(
        net, data=tmp_path, path=tmp_path / "units.svg", layer="r2", unit=[1, 2], top=2
    )
    assert [made.channels for made in units.made] == [(1,), (1,), (2,), (2,)]
    assert (tmp_path / "units.svg").stat().st_size > 1000
    assert one.to_dict()["images"][0]["channels"][0]["window"]


def test_what_cannot_be_projected_is_said(net: inspector.Model, picture: np.ndarray) -> None:
    stage = maximize.open_stage(net)
    with pytest.raises(BadInput, match="6 channels"):
        dissection.project(stage, picture, "r2", channels=[6])
    with pytest.raises(UnknownName):
        dissection.project(stage, picture, "r3")
    with pytest.raises(InspectorError, match="--input"):
        inspector.reconstruct(net, layer="r2")
