"""What does the user read when a graph breaks ONNX or holds the unknown? The node and the fact, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from inspector.autograd import to_torch
from inspector.errors import BadFile, InspectorError, NotRunnable, UnsupportedOperator

node = helper.make_node


def value(
    name: str, shape: Sequence[int] | None = (2, 3), kind: int = TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    *nodes: onnx.NodeProto,
    opset: int = 22,
    domains: Sequence[str] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    **weights: Any,
) -> onnx.ModelProto:
    """From x (2, 3) to y."""
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(list(nodes), "g", [value("x")], [value("y", None)], held)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions))


def body(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "body", [], [value("b", None)])


def function(*nodes: onnx.NodeProto) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 22), helper.make_opsetid("own", 1)]
    return helper.make_function("own", "Part", ["a"], ["b"], list(nodes), opsets)


def chosen(inner: onnx.NodeProto) -> onnx.ModelProto:
    """An If whose taken branch is the node, from x to b."""
    branches = {"then_branch": body(inner), "else_branch": body(node("Identity", ["x"], ["b"]))}
    return model(node("If", ["c"], ["y"], name="choose", **branches), c=np.array(True))


def turned() -> onnx.ModelProto:
    inner = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("MatMul", ["s", "s"], ["t"], name="inner")],
        "body",
        [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL), value("s")],
        [value("on", (), TensorProto.BOOL), value("t", None)],
    )
    return model(node("Loop", ["n", "", "x"], ["y"], name="turn", body=inner), n=np.array(2))


def one(op: str, *extra: str, **options: Any) -> Callable[[], onnx.ModelProto]:
    """A model of one node `n` with input x and the named weights."""
    domain, opset = options.pop("domain", ""), options.pop("opset", 22)
    weights = {name: options.pop(name) for name in extra if name and name != "x"}

    def make() -> onnx.ModelProto:
        single = node(op, ["x", *extra], ["y"], name="n", domain=domain, **options)
        return model(single, opset=opset, domains=[domain] if domain else [], **weights)

    return make


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], type[InspectorError], str]] = {
    "unknown operator": (
        one("Frobnicate"),
        UnsupportedOperator,
        "Frobnicate 'n': domain ai.onnx, opset 22 has no",
    ),
    "misspelt operator": (one("relu"), UnsupportedOperator, "near are Relu of ai.onnx"),
    "operator of another domain": (one("FusedConv"), UnsupportedOperator, "FusedConv of com.microsoft"),
    "unknown domain": (
        one("Foo", domain="my.lab"),
        UnsupportedOperator,
        "domain my.lab, opset 1 .* known domains: ai",
    ),
    "newer operator": (one("Gelu", opset=13), UnsupportedOperator, "opset 13 .* exists from opset 20 on"),
    "unknown attribute": (
        one("Relu", alpha=2.0),
        UnsupportedOperator,
        r"Relu 'n' \(ai.onnx opset 22\): .*'alpha'",
    ),
    "unknown word": (
        one("Resize", "", "s", mode="bilinear", s=np.ones(2, np.float32)),
        UnsupportedOperator,
        "mode 'bilinear' is not known; known are nearest, linear, cubic",
    ),
    "unknown word of any operator": (
        one("MaxPool", kernel_shape=[1], auto_pad="SAME"),
        UnsupportedOperator,
        "auto_pad 'SAME' is not known; known are NOTSET",
    ),
    "missing attribute": (one("Concat", "x"), BadFile, "Concat 'n' .*attribute 'axis' is missing"),
    "attribute of another type": (
        one("Softmax", axis="last"),
        BadFile,
        "'axis' is STRING; the operator takes INT",
    ),
    "missing input": (one("MatMul"), BadFile, r"1 input\(s\) given; the operator takes 2"),
    "left out input": (one("MatMul", ""), BadFile, "input 'B' is left out"),
    "too many inputs": (one("Relu", "x"), BadFile, r"2 input\(s\) given; the operator takes 1"),
    "value of nobody": (
        lambda: model(node("Relu", ["z"], ["y"], name="n")),
        BadFile,
        "Relu 'n' reads value 'z', and nothing before it makes",
    ),
    "nodes in a circle": (
        lambda: model(node("Add", ["x", "y"], ["a"], name="n"), node("Relu", ["a"], ["y"])),
        BadFile,
        "Add 'n' reads value 'y', and nothing before it makes",
    ),
    "output of nobody": (
        lambda: model(node("Relu", ["x"], ["z"])),
        BadFile,
        "the output list reads value 'y'",
    ),
    "function that calls itself": (
        lambda: model(
            node("Part", ["x"], ["y"], name="n", domain="own"),
            domains=["own"],
            functions=[function(node("Part", ["a"], ["b"], name="inner", domain="own"))],
        ),
        BadFile,
        "function own::Part calls itself, at 'n/inner'",
    ),
    "unknown operator in a function": (
        lambda: model(
            node("Part", ["x"], ["y"], name="n", domain="own"),
            domains=["own"],
            functions=[function(node("Nope", ["a"], ["b"], name="inner"))],
        ),
        UnsupportedOperator,
        "Nope 'n/inner': domain ai.onnx, opset 22",
    ),
    "unknown operator in a branch": (
        lambda: chosen(node("Weird", ["x"], ["b"], name="inner")),
        UnsupportedOperator,
        "Weird 'choose.then_branch/inner'",
    ),
    "shapes in a branch": (
        lambda: chosen(node("MatMul", ["x", "x"], ["b"], name="inner")),
        NotRunnable,
        r"MatMul 'choose.then_branch/inner' .*Inputs: float32\[2, 3\], float32\[2, 3\]",
    ),
    "shapes in a loop": (turned, NotRunnable, r"MatMul 'turn.body/inner' .*Inputs: float32\[2, 3\]"),
    "shapes": (one("Add", "k", k=np.ones(4, np.float32)), NotRunnable, r"Add 'n' .*Inputs: .*float32\[4\]"),
    "types": (one("MatMul", "w", w=np.ones((3, 2))), NotRunnable, r"MatMul 'n' .*float64\[3, 2\]"),
    "order of axes": (one("Transpose", perm=[0, 2]), NotRunnable, r"perm \[0, 2\] is no order of 2 axes"),
    "place outside": (one("Gather", "i", i=np.array([7])), NotRunnable, "Gather 'n' .*out of range"),
    "rank": (one("Attention", "x", "x", opset=23), NotRunnable, "Q has 2 axes"),
    "text": (
        lambda: model(node("Relu", ["k"], ["y"], name="n"), k=np.array(["a"], object)),
        NotRunnable,
        r"Inputs: string\[1\]",
    ),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_graph_is_named_once(name: str) -> None:
    make, kind, said = HOSTILE[name]
    with pytest.raises(InspectorError, match=said) as caught:
        to_torch(make())(torch.ones(2, 3))
    assert type(caught.value) is kind
    assert str(caught.value).count("Inputs:") <= 1
    assert "\n" not in str(caught.value)


def test_a_weight_of_the_wrong_size_is_named() -> None:
    broken = one("Add", "k", k=np.ones((2, 3), np.float32))()
    broken.graph.initializer[0].raw_data = bytes(20)
    with pytest.raises(BadFile, match=r"weight 'k': .*size 5 .*\(2,3\)"):
        to_torch(broken)
