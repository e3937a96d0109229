"""Do trees and support vector machines predict what ONNX Runtime predicts?"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from inspector.autograd import to_torch

FEATURES, DEPTH = 3, 2


def model_of(operator: str, outputs: int, **attributes: Any) -> onnx.ModelProto:
    node = helper.make_node(
        operator, ["x"], [f"y{i}" for i in range(outputs)], domain="ai.onnx.ml", **attributes
    )
    results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output]
    for result in results:
        result.ClearField("type")
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [9, FEATURES])
    graph = helper.make_graph([node], "g", [entry], results)
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def compare(model: onnx.ModelProto) -> None:
    x = np.random.default_rng(5).standard_normal((9, FEATURES)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})
    found = to_torch(model).run({"x": x}).outputs
    for mine, theirs in zip(found, expected, strict=True):
        got = mine if isinstance(mine, np.ndarray) else mine.detach().numpy()
        if got.dtype.kind == "f":
            np.testing.assert_allclose(got, theirs, rtol=1e-4, atol=1e-5)
            assert theirs.std() > 0
        else:
            np.testing.assert_array_equal(got, theirs)


def forest(prefix: str, ids: list[int], *, positive: bool = False, trees: int = 3) -> dict[str, Any]:
    """Full binary trees of depth 2: nodes 0 to 2 decide, leaves 3 to 6 vote for every id."""
    rng = np.random.default_rng(2)
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT"]
    weights = rng.random((trees, 4, len(ids))) if positive else rng.standard_normal((trees, 4, len(ids)))
    every = range(trees)
    return {
        "nodes_treeids": [tree for tree in every for _ in range(7)],
        "nodes_nodeids": [node for _ in every for node in range(7)],
        "nodes_featureids": rng.integers(0, FEATURES, 7 * trees).tolist(),
        "nodes_values": (0.5 * rng.standard_normal(7 * trees)).tolist(),
        "nodes_modes": [mode for _ in every for mode in [*modes, *["LEAF"] * 4]],
        "nodes_truenodeids": [child for _ in every for child in (1, 3, 5, 0, 0, 0, 0)],
        "nodes_falsenodeids": [child for _ in every for child in (2, 4, 6, 0, 0, 0, 0)],
        f"{prefix}_treeids": [tree for tree in every for _ in range(4 * len(ids))],
        f"{prefix}_nodeids": [leaf for _ in every for leaf in range(3, 7) for _ in ids],
        f"{prefix}_ids": [target for _ in range(4 * trees) for target in ids],
        f"{prefix}_weights": (weights / trees).ravel().tolist(),
    }


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_regression_trees(aggregate: str) -> None:
    compare(
        model_of(
            "TreeEnsembleRegressor",
            1,
            n_targets=2,
            aggregate_function=aggregate,
            base_values=[0.3, -0.2],
            **forest("target", [0, 1]),
        )
    )


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_classification_trees(post: str) -> None:
    labels = {"classlabels_strings": ["a", "b", "c"]}
    compare(
        model_of("TreeEnsembleClassifier", 2, post_transform=post, **labels, **forest("class", [0, 1, 2]))
    )


@pytest.mark.parametrize("post", ["NONE", "LOGISTIC"])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("voted", [0, 1])
def test_classification_trees_of_two_classes(post: str, positive: bool, voted: int) -> None:
    labels = {"classlabels_int64s": [4, 7]}
    trees = forest("class", [voted], positive=positive)
    compare(model_of("TreeEnsembleClassifier", 2, post_transform=post, **labels, **trees))


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_classification_trees_of_two_classes_with_votes_for_both(post: str) -> None:
    """The label is the top class, as ONNX says; ONNX Runtime's is whether the second score is positive."""
    labels = {"classlabels_int64s": [4, 7]}
    trees = forest("class", [0, 1])
    model = model_of("TreeEnsembleClassifier", 2, post_transform=post, **labels, **trees)
    found, scores = compared_scores(model)
    assert found.tolist() == [(4, 7)[place] for place in scores.argmax(1)]


def compared_scores(model: onnx.ModelProto) -> tuple[Any, Any]:
    """Our labels, and the scores of ONNX Runtime, which ours equal."""
    x = np.random.default_rng(5).standard_normal((9, FEATURES)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(["y1"], {"x": x})
    labels, scores = to_torch(model).run({"x": x}).outputs
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-4, atol=1e-5)
    return labels, expected


@pytest.mark.parametrize("kernel", ["LINEAR", "POLY", "RBF", "SIGMOID"])
@pytest.mark.parametrize("classes", [2, 3])
def test_support_vectors(kernel: str, classes: int) -> None:
    rng = np.random.default_rng(3)
    count = 2 * classes
    compare(
        model_of(
            "SVMClassifier",
            2,
            classlabels_ints=[3, 5, 8][:classes],
            vectors_per_class=[2] * classes,
            support_vectors=rng.standard_normal(count * FEATURES).tolist(),
            coefficients=rng.standard_normal((classes - 1) * count).tolist(),
            rho=(0.1 * rng.standard_normal(classes * (classes - 1) // 2)).tolist(),
            kernel_type=kernel,
            kernel_params=[0.5, 0.2, 2.0],
        )
    )


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_linear_support_vectors(post: str) -> None:
    rng = np.random.default_rng(4)
    settings: dict[str, Any] = {
        "coefficients": rng.standard_normal(3 * FEATURES).tolist(),
        "rho": [0.2],
        "classlabels_ints": [3, 5, 8],
        "kernel_params": [0.0] * 3,
    }
    compare(model_of("SVMClassifier", 2, post_transform=post, **settings))


@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_linear_classifier_of_two_classes(post: str) -> None:
    settings: dict[str, Any] = {
        "coefficients": [0.4, -0.8, 0.3],
        "intercepts": [0.1],
        "classlabels_ints": [3, 5],
    }
    compare(model_of("LinearClassifier", 2, post_transform=post, **settings))
