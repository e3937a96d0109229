"""Does each rule of the comparison view compute the same network as the nodes it replaces?"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from inspector.comparison.canonical import canonical
from inspector.model import open_model


def model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    shape: list[int | str],
    opset: int = 18,
    functions: list[onnx.FunctionProto] | None = None,
) -> onnx.ModelProto:
    """A model from x to y."""
    graph = helper.make_graph(
        nodes,
        "rule",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions or [])


def run(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of x."""
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def norm(draw: np.random.Generator, width: int) -> dict[str, np.ndarray]:
    """BatchNorm statistics, some factors negative."""
    found = {name: draw.uniform(-2, 2, width).astype(np.float32) for name in ("gamma", "beta", "mean")}
    return found | {"var": draw.uniform(0.5, 2, width).astype(np.float32)}


@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_behind_a_transposed_convolution_scales_its_outputs(groups: int) -> None:
    draw = np.random.default_rng(3)
    weights = {"w": draw.standard_normal((4, 6 // groups, 3, 3)).astype(np.float32)} | norm(draw, 6)
    conv = helper.make_node("ConvTranspose", ["x", "w"], ["c"], "conv", group=groups)
    names = ["c", "gamma", "beta", "mean", "var"]
    proto = model([conv, helper.make_node("BatchNormalization", names, ["y"], "bn")], weights, [1, 4, 5, 5])
    x = draw.standard_normal((1, 4, 5, 5)).astype(np.float32)
    wanted = run(proto, x)
    arrays = canonical(open_model(proto)).arrays["conv"]
    folded = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], group=groups)
    got = run(model([folded], {"w": arrays["weight"], "b": arrays["bias"]}, [1, 4, 5, 5]), x)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def view(proto: onnx.ModelProto) -> list[tuple[str, dict[str, object]]]:
    return [(atom.op, dict(atom.attributes)) for atom in canonical(open_model(proto)).atoms.values()]


KERNEL = {"w": draw(4, 3, 3, 3)}
node = helper.make_node


def numbers(*values: float | int) -> np.ndarray:
    return np.array(values, np.int64 if isinstance(values[0], int) else np.float32)


def test_explicit_and_automatic_pads_are_those_of_the_window() -> None:
    plain = model([node("Conv", ["x", "w"], ["y"], pads=[0, 0, 1, 1], strides=[2, 2])], KERNEL, [1, 3, 8, 8])
    same = model(
        [node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])], KERNEL, [1, 3, 8, 8]
    )
    pad = [node("Pad", ["x", "p"], ["z"]), node("Conv", ["z", "w"], ["y"], strides=[2, 2])]
    padded = model(pad, KERNEL | {"p": numbers(0, 0, 0, 0, 0, 0, 1, 1)}, [1, 3, 8, 8])
    last = [
        node("Pad", ["x", "p"], ["z"]),
        node("Transpose", ["z"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w"], ["y"], strides=[2, 2]),
    ]
    channels_last = model(last, KERNEL | {"p": numbers(0, 0, 0, 0, 0, 1, 1, 0)}, [1, 8, 8, 3])
    assert view(plain) == view(same) == view(padded) == view(channels_last)
    assert view(plain)[0][1]["pads"] == (0, 0, 1, 1)


def test_a_pad_with_other_values_stays() -> None:
    pad = [node("Pad", ["x", "p", "v"], ["z"]), node("Conv", ["z", "w"], ["y"])]
    weights = KERNEL | {"p": numbers(0, 0, 1, 1, 0, 0, 1, 1), "v": np.float32(0.5)}
    assert [op for op, _ in view(model(pad, weights, [1, 3, 8, 8]))] == ["Pad", "Conv"]


def gelu_erf(inner: str) -> list[onnx.NodeProto]:
    first = node("Div", ["x", "root"], ["d"]) if inner == "Div" else node("Mul", ["x", "inverse"], ["d"])
    return [first, node("Erf", ["d"], ["e"]), node("Add", ["e", "one"], ["a"])]


GELU = {
    "root": np.float32(2**0.5),
    "inverse": np.float32(0.5**0.5),
    "one": np.float32(1),
    "half": np.float32(0.5),
    "cubic": np.float32(0.044715),
    "outer": np.float32((2 / np.pi) ** 0.5),
    "three": np.float32(3),
}
FORMS = [
    ([*gelu_erf("Div"), node("Mul", ["x", "a"], ["m"]), node("Mul", ["m", "half"], ["y"])], "none"),
    ([*gelu_erf("Mul"), node("Mul", ["x", "half"], ["h"]), node("Mul", ["h", "a"], ["y"])], "none"),
    ([*gelu_erf("Div"), node("Mul", ["a", "half"], ["h"]), node("Mul", ["x", "h"], ["y"])], "none"),
    ([node("Gelu", ["x"], ["y"])], "none"),
    (
        [
            node("Pow", ["x", "three"], ["p"]),
            node("Mul", ["p", "cubic"], ["q"]),
            node("Add", ["x", "q"], ["s"]),
            node("Mul", ["s", "outer"], ["d"]),
            node("Tanh", ["d"], ["e"]),
            node("Add", ["e", "one"], ["a"]),
            node("Mul", ["x", "half"], ["h"]),
            node("Mul", ["h", "a"], ["y"]),
        ],
        "tanh",
    ),
]


@pytest.mark.parametrize(("nodes", "kind"), FORMS)
def test_gelu_in_every_form(nodes: list[onnx.NodeProto], kind: str) -> None:
    read = {name for n in nodes for name in n.input}
    weights = {name: array for name, array in GELU.items() if name in read}
    assert view(model(nodes, weights, [1, 8], 20)) == [("Gelu", {"approximate": kind})]


def test_a_curve_that_is_no_gelu_stays() -> None:
    nodes = [*gelu_erf("Div"), node("Mul", ["x", "a"], ["m"]), node("Mul", ["m", "three"], ["y"])]
    weights = {name: GELU[name] for name in ("root", "one", "three")}
    assert "Gelu" not in [op for op, _ in view(model(nodes, weights, [1, 8]))]


@pytest.mark.parametrize("square", ["Pow", "Mul"])
def test_layer_norm_from_its_steps(square: str) -> None:
    nodes = [
        node("ReduceMean", ["x"], ["m"], axes=[-1]),
        node("Sub", ["x", "m"], ["c"]),
        node("Pow", ["c", "two"], ["q"]) if square == "Pow" else node("Mul", ["c", "c"], ["q"]),
        node("ReduceMean", ["q"], ["v"], axes=[-1]),
        node("Add", ["v", "eps"], ["s"]),
        node("Sqrt", ["s"], ["r"]),
        node("Div", ["c", "r"], ["n"]),
        node("Mul", ["n", "gamma"], ["g"]),
        node("Add", ["g", "beta"], ["y"]),
    ]
    weights = {"eps": np.float32(1e-5), "gamma": draw(8), "beta": draw(8) + 1}
    weights |= {"two": np.float32(2)} if square == "Pow" else {}
    graph = canonical(open_model(model(nodes, weights, [1, 4, 8], 13)))
    (atom,) = graph.atoms.values()
    assert (atom.op, dict(atom.attributes)) == ("LayerNormalization", {"epsilon": 1e-5})
    np.testing.assert_array_equal(graph.arrays[atom.key]["weight"], weights["gamma"])
    np.testing.assert_array_equal(graph.arrays[atom.key]["bias"], weights["beta"])
    assert len(atom.origins) == 9


def test_split_slice_and_gather_are_one_kind() -> None:
    split = [node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2), node("Sub", ["a", "b"], ["y"])]
    cut = [
        node("Slice", ["x", "zero", "one", "one"], ["a"]),
        node("Slice", ["x", "one", "two", "one"], ["b"]),
        node("Sub", ["a", "b"], ["y"]),
    ]
    pick = [
        node("Gather", ["x", "zero"], ["a"], axis=1),
        node("Gather", ["x", "one"], ["b"], axis=1),
        node("Sub", ["a", "b"], ["y"]),
    ]
    stored = {"zero": numbers(0), "one": numbers(1), "two": numbers(2)}
    views = [
        view(model(split, {}, [1, 2, 8])),
        view(model(cut, stored, [1, 2, 8])),
        view(model(pick, {"zero": stored["zero"], "one": stored["one"]}, [1, 2, 8])),
    ]
    assert views[0] == views[1] == views[2]
    assert [op for op, _ in views[0]] == ["Part", "Part", "Sub"]


def test_means_are_told_apart_by_their_axes() -> None:
    space = view(model([node("ReduceMean", ["x"], ["y"], axes=[2, 3])], {}, [1, 3, 8, 8], 13))
    pooled = view(model([node("GlobalAveragePool", ["x"], ["y"])], {}, [1, 3, 8, 8]))
    window = view(model([node("AveragePool", ["x"], ["y"], kernel_shape=[8, 8])], {}, [1, 3, 8, 8]))
    turned = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["t"], ["y"], axes=[1, 2]),
    ]
    last = view(model(turned, {}, [1, 3, 8, 8], 13))
    assert space == pooled == window == last == [("Mean", {})]
    channels = view(model([node("ReduceMean", ["x"], ["y"], axes=[1])], {}, [1, 3, 8, 8], 13))
    assert channels == [("ReduceMean", {"axes": (-3,)})]


def test_softmax_keeps_its_axis() -> None:
    last, first = (view(model([node("Softmax", ["x"], ["y"], axis=axis)], {}, [1, 4, 8])) for axis in (-1, 1))
    assert last == view(model([node("Softmax", ["x"], ["y"], axis=2)], {}, [1, 4, 8]))
    assert last != first


def test_functions_are_written_out() -> None:
    body = [
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["a", "s"], ["b"]),
    ]
    function = helper.make_function("local", "Gated", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    nodes = [
        node("Gated", ["x"], ["h"], "first", domain="local"),
        node("Gated", ["h"], ["y"], "second", domain="local"),
    ]
    graph = canonical(open_model(model(nodes, {}, [1, 8], functions=[function])))
    assert [atom.op for atom in graph.atoms.values()] == ["Silu", "Silu"]
    assert [atom.origins[0] for atom in graph.atoms.values()] == ["first", "second"]


def branch(op: str) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("o", TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node(op, ["h"], ["o"])], "branch", [], [output])


def test_bodies_are_opaque_but_told_apart() -> None:
    def chosen(op: str) -> onnx.ModelProto:
        nodes = [
            node("Neg", ["x"], ["h"]),
            node("ReduceMax", ["x"], ["m"], keepdims=0),
            node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
            node("If", ["c"], ["y"], "if", then_branch=branch("Relu"), else_branch=branch(op)),
        ]
        return model(nodes, {}, [1, 8])

    graph = canonical(open_model(chosen("Tanh")))
    assert graph.atoms["if"].attributes == {"then_branch": "1 Relu", "else_branch": "1 Tanh"}
    assert {edge.source for edge in graph.edges if edge.target == "if"} == {"Neg_0", "ReduceMax_1"}
    assert view(chosen("Tanh")) != view(chosen("Exp"))


def test_duplicates_are_merged() -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Relu", ["x"], ["b"]),
        node("Exp", ["b"], ["c"]),
        node("Add", ["a", "c"], ["y"]),
    ]
    graph = canonical(open_model(model(nodes, {}, [1, 8])))
    assert [atom.op for atom in graph.atoms.values()] == ["Relu", "Exp", "Add"]
    assert graph.atoms["Relu_0"].origins == ("Relu_0", "Relu_1")
