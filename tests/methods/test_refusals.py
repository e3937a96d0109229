"""Is what cannot be explained said plainly, with what to do instead?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import inspector
from inspector.actions.attribute import attribute as run_attribute
from inspector.errors import BadInput, InspectorError, NoGradientPath, UnknownName
from inspector.methods import attribute

X = np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)
RNG = np.random.default_rng(1)


def model_of(nodes: list[onnx.NodeProto], *stored: onnx.TensorProto) -> inspector.Model:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    weight = numpy_helper.from_array(RNG.normal(size=(4, 3)).astype(np.float32), "w")
    graph = helper.make_graph(nodes, "net", [x], [y], [weight, *stored])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(proto)
    return inspector.open_model(proto)


@pytest.fixture(scope="module")
def dense() -> inspector.Model:
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"], name="dense")])


@pytest.fixture(scope="module")
def rounded() -> inspector.Model:
    """Quantised and back before the linear layer: no derivative but a straight-through one."""
    scale = numpy_helper.from_array(np.float32(0.05), "scale")
    zero = numpy_helper.from_array(np.int8(0), "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="quantise"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], name="back"),
        helper.make_node("MatMul", ["d", "w"], ["y"], name="dense"),
    ]
    return model_of(nodes, scale, zero)


@pytest.mark.parametrize("method", ["gradient", "integrated-gradients", "guided-backprop"])
def test_a_quantised_model_needs_straight_through(rounded: inspector.Model, method: str) -> None:
    with pytest.raises(NoGradientPath, match="straight_through"):
        attribute(rounded, X, method, 1)
    assert np.abs(attribute(rounded, X, method, 1, straight_through=True).values).max() > 1e-3


def test_and_perturbation_needs_nothing(rounded: inspector.Model) -> None:
    assert np.abs(attribute(rounded, X, "shapley", 1).values).max() > 1e-3


@pytest.mark.parametrize("method", ["grad-cam", "eigen-cam", "score-cam"])
def test_a_net_without_places_has_no_class_map(dense: inspector.Model, method: str) -> None:
    with pytest.raises(NoGradientPath, match="gradients"):
        attribute(dense, X, method, 1)


@pytest.mark.parametrize("method", ["attention", "rollout", "legrad"])
def test_a_net_without_attention_has_no_attention_map(dense: inspector.Model, method: str) -> None:
    with pytest.raises(NoGradientPath, match="no attention"):
        attribute(dense, X, method, 1)


def test_a_wrong_target_is_told_the_right_ones(dense: inspector.Model) -> None:
    with pytest.raises(BadInput, match="3 classes, 0 to 2"):
        attribute(dense, X, "gradient", 3)
    with pytest.raises(UnknownName, match="index"):
        attribute(dense, X, "gradient", "tabby")
    with pytest.raises(BadInput, match="one number"):
        attribute(dense, X, "gradient", "y * 2")
    with pytest.raises(BadInput, match=r"out of bounds.*without the row axis the value is 3"):
        attribute(dense, X, "gradient", "y[5]")
    with pytest.raises(BadInput, match="too many indices"):
        attribute(dense, X, "gradient", "y[0, 1]")


def test_the_expression_that_is_proposed_can_be_asked() -> None:
    """A map of scores has no class; what the message shows is a target of it."""
    model = sequence_model([helper.make_node("Identity", ["x"], ["a"], name="same")], 18)
    proto = model.proto
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 8, 4]))
    frames = inspector.open_model(proto)
    with pytest.raises(BadInput, match="not one score a class") as told:
        attribute(frames, TOKENS, "gradient")
    proposed = str(told.value).split("'")[3]
    assert proposed == "a[:8, :4].mean()"
    made = attribute(frames, TOKENS, "gradient", proposed)
    np.testing.assert_allclose(made.values, np.full((1, 8, 4), 1 / 32), rtol=1e-6)


def test_a_label_of_two_classes_is_told_both(classifier: inspector.Model) -> None:
    """ImageNet has two cranes: the bird and the machine."""
    with pytest.raises(BadInput, match="2 classes are called 'crane': 134, 517"):
        attribute(classifier, np.zeros((1, 3, 224, 224), np.float32), "gradient", "crane")
    with pytest.raises(BadInput, match="134, 517"):
        inspector.maximize(classifier, objective=f"{classifier.outputs[0].name}:crane", size=8, steps=1)


def test_one_number_takes_no_index_and_is_called_by_its_output() -> None:
    single = helper.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=0, name="total")
    model = model_of([single], numpy_helper.from_array(np.array([1]), "axis"))
    with pytest.raises(BadInput, match="one number: leave the index out"):
        attribute(model, X, "gradient", "y[0]")
    assert str(attribute(model, X, "gradient").target).startswith("y ")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"method": "rollout"}, "families `gradients` and `perturbation`"),
        ({"method": "grad-cam"}, "need no layer"),
        ({"method": "gradient,gradcam"}, "grad-cam"),
        ({"target": "7", "method": "gradient"}, "0 to 2"),
        ({"option": "baseline=grey", "method": "deeplift"}, "black"),
    ],
)
def test_what_is_refused_writes_no_file(
    dense: inspector.Model, tmp_path: Path, asked: dict[str, str], words: str
) -> None:
    given = {name: [text] for name, text in asked.items()}
    with pytest.raises(InspectorError, match=words):
        run_attribute(dense, ["random"], tmp_path / "a.png", raw=tmp_path / "a.npy", **given)  # pyright: ignore[reportArgumentType]
    assert not list(tmp_path.iterdir())


def test_the_command_ends_with_2(rounded: inspector.Model, tmp_path: Path) -> None:
    onnx.save(rounded.proto, tmp_path / "net.onnx")
    command = [str(Path(sys.executable).parent / "inspector"), "attribute", "net.onnx", "--input", "random"]
    command += ["--method", "gradient", "-o", "map.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "straight" in done.stderr
    assert not (tmp_path / "map.png").exists()


def test_names_of_methods_are_parted_by_commas(dense: inspector.Model) -> None:
    made = run_attribute(dense, ["random"], method=["gradient, shapley", "deeplift"])
    assert made.methods == ("gradient", "shapley", "deeplift")
    assert len(made.maps) == 3


def test_wrong_names_are_told_near_ones(dense: inspector.Model, classifier: inspector.Model) -> None:
    with pytest.raises(UnknownName, match="grad-cam"):
        attribute(dense, X, "gradcam", 1)
    with pytest.raises(UnknownName, match="samples"):
        attribute(dense, X, "lime", 1, sample=3)
    with pytest.raises(UnknownName, match="relu_25"):
        attribute(classifier, np.zeros((1, 3, 224, 224), np.float32), "grad-cam", 1, layer="relu_26")


def test_a_map_of_zeros_says_what_to_try() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="dense"),
        helper.make_node("Sub", ["a", "far"], ["b"], name="shift"),
        helper.make_node("Relu", ["b"], ["y"], name="dead"),
    ]
    dead = model_of(nodes, numpy_helper.from_array(np.float32(1000), "far"))
    found = attribute(dead, X, "gradient", 1)
    assert not found.values.any()
    assert "zero everywhere" in " ".join(found.notes)


def sequence_model(nodes: list[onnx.NodeProto], opset: int, **weights: np.ndarray) -> inspector.Model:
    """From `x` (n, 8, 4) to two scores, the mean over the tokens of a value `a` through a linear head."""
    head = [
        helper.make_node("ReduceMean", ["a", "axis"], ["m"], keepdims=0, name="mean"),
        helper.make_node("MatMul", ["m", "w"], ["y"], name="head"),
    ]
    stored = {"axis": np.array([1]), "w": RNG.normal(size=(4, 2)).astype(np.float32), **weights}
    graph = helper.make_graph(
        [*nodes, *head],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return inspector.open_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    )


TOKENS = np.random.default_rng(4).normal(size=(1, 8, 4)).astype(np.float32)


@pytest.mark.parametrize("method", ["attention", "rollout", "legrad"])
def test_fused_attention_names_its_node_and_a_way_out(method: str) -> None:
    fused = helper.make_node(
        "Attention", ["x", "x", "x"], ["a"], q_num_heads=2, kv_num_heads=2, name="self_attention"
    )
    model = sequence_model([fused], 23)
    with pytest.raises(NoGradientPath, match=r"Attention 'self_attention'.*Export .* or use"):
        attribute(model, TOKENS, method, 1)
    assert np.abs(attribute(model, TOKENS, "gradient-x-input", 1).values).max() > 1e-6


@pytest.mark.parametrize("method", ["attention", "rollout", "legrad"])
def test_attention_within_windows_says_so_and_a_way_out(method: str) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "windows"], ["q"], name="cut"),
        helper.make_node("Transpose", ["q"], ["k"], perm=[0, 1, 3, 2], name="turn"),
        helper.make_node("MatMul", ["q", "k"], ["s"], name="scores"),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1, name="weights"),
        helper.make_node("MatMul", ["p", "q"], ["o"], name="mix"),
        helper.make_node("Reshape", ["o", "whole"], ["a"], name="join"),
    ]
    model = sequence_model(nodes, 18, windows=np.array([-1, 1, 4, 4]), whole=np.array([-1, 8, 4]))
    with pytest.raises(BadInput, match=r"\[2, 1, 4, 4\].*within windows.*cams"):
        attribute(model, TOKENS, method, 1)


@pytest.mark.parametrize("method", ["full-grad", "score-cam", "rise"])
def test_tokens_are_refused_where_places_of_pictures_are_hidden(method: str) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"], name="embed"),
        helper.make_node("ReduceMean", ["e", "axis"], ["m"], keepdims=0, name="mean"),
        helper.make_node("MatMul", ["m", "w"], ["y"], name="head"),
    ]
    stored = {
        "table": RNG.normal(size=(9, 4)).astype(np.float32),
        "axis": np.array([1]),
        "w": RNG.normal(size=(4, 2)).astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = inspector.open_model(helper.make_model(graph, opset_imports=opsets, ir_version=10))
    with pytest.raises(BadInput, match=r"n, c, h, w"):
        attribute(model, {"ids": np.array([[1, 2, 3, 4, 5]])}, method, 1, dtype="float64")
