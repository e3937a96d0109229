"""Do the perturbation methods give what their papers' sums give on a linear model?"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import inspector
from inspector.methods.perturbation.rise import random_masks

SIDE = 8


@pytest.fixture(scope="module")
def linear() -> tuple[inspector.Model, np.ndarray]:
    """One score: the sum of weight × pixel over a 1 × 8 × 8 picture."""
    weight = np.random.default_rng(0).normal(size=(SIDE * SIDE, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], name="flat"),
        helper.make_node("MatMul", ["flat", "w"], ["y"], name="dense"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "linear", [x], [y], [numpy_helper.from_array(weight, "w")])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(proto)
    return inspector.open_model(proto), weight.astype(np.float64).reshape(SIDE, SIDE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rise_is_the_sum_of_the_paper(linear: tuple[inspector.Model, np.ndarray], dtype: str) -> None:
    model, weight = linear
    x = np.random.default_rng(1).normal(size=(1, 1, SIDE, SIDE)).astype(np.float32)
    found = inspector.attribute(model, x, "rise", target=0, dtype=dtype, seed=3, masks=40, cells=4, keep=0.4)
    generator = torch.Generator().manual_seed(3)
    total = np.zeros((SIDE, SIDE))
    for first in range(0, 40, 16):
        for mask in random_masks(min(16, 40 - first), (SIDE, SIDE), 4, 0.4, generator).double().numpy():
            total += mask * (weight * x[0, 0] * mask).sum()
    expected = total / (0.4 * 40)
    assert np.ptp(expected) > 0.1
    tolerance = 1e-10 if dtype == "float64" else 1e-5
    assert np.abs(found.values[0] - expected).max() <= tolerance * np.abs(expected).max()


def test_masks_show_the_share_they_promise() -> None:
    masks = random_masks(400, (20, 20), 5, 0.3, torch.Generator().manual_seed(0))
    assert masks.shape == (400, 20, 20)
    assert 0 <= float(masks.min()) < float(masks.max()) <= 1
    assert abs(float(masks.mean()) - 0.3) < 0.02


def test_occlusion_of_a_linear_score_is_a_mean_of_sums(
    linear: tuple[inspector.Model, np.ndarray],
) -> None:
    model, weight = linear
    x = np.random.default_rng(2).normal(size=(1, 1, SIDE, SIDE)).astype(np.float32)
    found = inspector.attribute(model, x, "occlusion", target=0, dtype="float64", window=4, stride=2)
    total, count = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for top in range(0, SIDE - 3, 2):
        for left in range(0, SIDE - 3, 2):
            place = (slice(top, top + 4), slice(left, left + 4))
            total[place] += (weight * x[0, 0])[place].sum()  # score without hiding minus score with
            count[place] += 1
    assert np.abs(found.values[0] - total / count).max() <= 1e-10 * np.abs(total).max()
