"""Are Shapley values, LIME and feature ablation what their definitions say, on small models?"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import inspector
from inspector.errors import BadInput, TooLarge
from inspector.methods import attribute

FEATURES = 6
X = np.random.default_rng(3).normal(size=(2, FEATURES)).astype(np.float32)


def weights() -> tuple[np.ndarray, np.ndarray]:
    """Features 1 and 2 enter alike, feature 4 not at all."""
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(FEATURES, 7)), rng.normal(size=(7, 2))
    first[2], first[4] = first[1], 0
    return first.astype(np.float32), second.astype(np.float32)


@pytest.fixture(scope="module")
def table() -> inspector.Model:
    """tanh(x first) second: numbers of a table that act together."""
    first, second = weights()
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"], name="one"),
        helper.make_node("Tanh", ["a"], ["b"], name="bend"),
        helper.make_node("MatMul", ["b", "second"], ["y"], name="two"),
    ]
    stored = [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")]
    return model_of(nodes, [FEATURES], [2], stored)


def model_of(
    nodes: list[onnx.NodeProto],
    places: list[int],
    outputs: list[int],
    stored: list[onnx.TensorProto],
    kind: int = TensorProto.FLOAT,
) -> inspector.Model:
    x = helper.make_tensor_value_info("x", kind, ["n", *places])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *outputs])
    graph = helper.make_graph(nodes, "net", [x], [y], stored)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(proto)
    return inspector.open_model(proto)


def score(x: np.ndarray) -> float:
    first, second = (w.astype(np.float64) for w in weights())
    return float((np.tanh(x @ first) @ second)[1])


def by_orders(x: np.ndarray) -> np.ndarray:
    """The mean rise over all orders, straight from the definition."""
    total = np.zeros(FEATURES)
    for order in itertools.permutations(range(FEATURES)):
        shown = np.zeros(FEATURES)
        for i in order:
            before = score(shown)
            shown[i] = x[i]
            total[i] += score(shown) - before
    return total / math.factorial(FEATURES)


@pytest.mark.parametrize("method", ["shapley", "kernel-shap", "shapley-sampling"])
def test_exact_values_are_the_mean_over_all_orders(table: inspector.Model, method: str) -> None:
    options = {"shapley-sampling": {"orders": math.factorial(FEATURES)}}.get(method, {})
    found = attribute(table, X, method, 1, dtype="float64", **options)
    assert found.axes == ("n", "f")
    for row in range(2):
        wanted = by_orders(X[row].astype(np.float64))
        assert np.ptp(wanted) > 0.1
        np.testing.assert_allclose(found.values[row], wanted, rtol=0, atol=1e-10)
        gained = score(X[row].astype(np.float64)) - score(np.zeros(FEATURES))
        assert found.values[row].sum() == pytest.approx(gained, abs=1e-10)  # efficiency
        assert found.values[row][4] == pytest.approx(0, abs=1e-10)  # a feature that does nothing
    assert found.residual is not None
    assert found.residual < 1e-10


def test_equal_features_get_equal_shares(table: inspector.Model) -> None:
    x = X.copy()
    x[:, 2] = x[:, 1]
    values = attribute(table, x, "shapley", 1, dtype="float64").values
    np.testing.assert_allclose(values[:, 1], values[:, 2], rtol=0, atol=1e-12)
    assert np.abs(values[:, 1]).min() > 1e-3


@pytest.mark.parametrize("method", ["kernel-shap", "shapley-sampling"])
def test_samples_come_near_and_sum_exactly(table: inspector.Model, method: str) -> None:
    options = {"kernel-shap": {"samples": 50}, "shapley-sampling": {"orders": 300}}[method]
    found = attribute(table, X[:1], method, 1, dtype="float64", **options)
    wanted = by_orders(X[0].astype(np.float64))
    error = np.abs(found.values[0] - wanted).max()
    assert 1e-12 < error < 0.15 * np.abs(wanted).max()
    assert found.residual is not None
    assert found.residual < 1e-10
    again = attribute(table, X[:1], method, 1, dtype="float64", **options)
    assert again.values.tobytes() == found.values.tobytes()


def test_onnx_runtime_gives_the_same_without_a_gradient(table: inspector.Model) -> None:
    found = attribute(table, X[:1], "shapley", 1).values[0]
    np.testing.assert_allclose(found, by_orders(X[0].astype(np.float64)), atol=1e-5)


def test_lime_is_the_weighted_ridge_of_the_paper(table: inspector.Model) -> None:
    found = attribute(table, X[:1], "lime", 1, dtype="float64", seed=7, samples=60, width=0.4, ridge=0.3)
    shown = torch.rand(60, FEATURES, generator=torch.Generator().manual_seed(7)) < 0.5
    shown[0] = True
    z = shown.numpy().astype(np.float64)
    y = np.array([score(row * X[0]) for row in z])
    cosine = np.array([row @ np.ones(FEATURES) / (np.linalg.norm(row) * FEATURES**0.5 or 1) for row in z])
    root = np.sqrt(np.exp(-((1 - cosine) ** 2) / 0.4**2))
    penalty = np.hstack([np.sqrt(0.3) * np.eye(FEATURES), np.zeros((FEATURES, 1))])
    design = np.vstack([root[:, None] * np.hstack([z, np.ones((60, 1))]), penalty])
    wanted = np.linalg.lstsq(design, np.concatenate([root * y, np.zeros(FEATURES)]), rcond=None)[0][:-1]
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(found.values[0], wanted, rtol=0, atol=1e-10)


def test_ablation_of_own_parts(table: inspector.Model) -> None:
    found = attribute(table, X[:1], "feature-ablation", 1, dtype="float64", labels=[5, 5, 0, 0, 1, 1]).values[
        0
    ]
    x = X[0].astype(np.float64)
    for part in ([0, 1], [2, 3], [4, 5]):
        without = x.copy()
        without[part] = 0
        np.testing.assert_allclose(found[part], score(x) - score(without), rtol=0, atol=1e-10)


def test_tokens_are_parts_of_their_own() -> None:
    """y is the sum of one stored number a token, so every share is that number minus the one of token 0."""
    worth = np.random.default_rng(5).normal(size=(9, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["worth", "x"], ["each"], name="embed"),
        helper.make_node("ReduceSum", ["each", "axes"], ["y"], name="sum", keepdims=0),
    ]
    stored = [numpy_helper.from_array(worth, "worth"), numpy_helper.from_array(np.array([1]), "axes")]
    model = model_of(nodes, ["t"], [1], stored, TensorProto.INT64)  # type: ignore[list-item]
    tokens = np.array([[3, 8, 1, 3]])
    found = attribute(model, tokens, "shapley", 0)
    np.testing.assert_allclose(found.values[0], (worth[tokens[0], 0] - worth[0, 0]), atol=1e-5)
    with pytest.raises(BadInput, match="whole numbers"):
        attribute(model, tokens, "shapley", 0, baseline="mean")


def test_a_signal_is_cut_into_pieces_of_time() -> None:
    taps = np.random.default_rng(6).normal(size=(24, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], name="flat"),
        helper.make_node("MatMul", ["flat", "taps"], ["y"], name="dense"),
    ]
    model = model_of(nodes, [2, 12], [1], [numpy_helper.from_array(taps, "taps")])
    x = np.random.default_rng(7).normal(size=(1, 2, 12)).astype(np.float32)
    found = attribute(model, x, "kernel-shap", 0, dtype="float64", count=4)
    assert found.axes == ("n", "t")
    products = (x[0] * taps.reshape(2, 12)).astype(np.float64).reshape(2, 4, 3).sum((0, 2))
    np.testing.assert_allclose(found.values[0], products.repeat(3), atol=1e-6)


def test_too_much_is_refused_with_what_to_do(table: inspector.Model, classifier: inspector.Model) -> None:
    coffee = str(Path(__file__).parents[2] / "fixtures" / "coffee.png")
    with pytest.raises(TooLarge, match="shapley-sampling"):
        attribute(classifier, coffee, "shapley", count=60)
    with pytest.raises(BadInput, match="more samples"):
        attribute(table, X, "kernel-shap", 1, samples=4)
    with pytest.raises(BadInput, match="pictures"):
        attribute(table, X, "lime", 1, parts="superpixels")
    with pytest.raises(BadInput, match="one for each"):
        attribute(table, X, "lime", 1, labels=[1, 2])


def test_the_cup_is_found_by_hiding_superpixels(classifier: inspector.Model) -> None:
    coffee = str(Path(__file__).parents[2] / "fixtures" / "coffee.png")
    found = attribute(classifier, coffee, "kernel-shap", samples=120, count=25)
    row, column = np.unravel_index(found.values[0].argmax(), (224, 224))
    assert 5 <= row <= 130  # the rim begins at row 8
    assert 40 <= column <= 180
