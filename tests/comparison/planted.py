"""A small residual network and copies of it with one fault each, as conversions and edits make them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, np.ndarray[Any, np.dtype[Any]]]
Nodes = list[onnx.NodeProto]


def network(seed: int = 5, blocks: int = 3) -> tuple[Nodes, Weights]:
    """Stem, pooling, residual blocks and a dense layer; every BatchNorm has statistics of its own."""
    rng = np.random.default_rng(seed)
    nodes: Nodes = []
    weights: Weights = {}

    def conv(x: str, name: str, inputs: int, stride: int = 1, relu: bool = True) -> str:
        size = (16, inputs, 3, 3)
        weights[f"{name}.w"] = rng.standard_normal(size) * np.sqrt(2 / (inputs * 9))
        weights[f"{name}.g"], weights[f"{name}.b"] = rng.uniform(0.5, 1.5, 16), rng.normal(0, 0.1, 16)
        weights[f"{name}.m"], weights[f"{name}.v"] = rng.normal(0, 0.1, 16), rng.uniform(0.5, 2, 16)
        nodes.append(
            helper.make_node(
                "Conv",
                [x, f"{name}.w"],
                [f"{name}.c"],
                name=name,
                kernel_shape=[3, 3],
                strides=[stride] * 2,
                pads=[1] * 4,
            )
        )
        inputs_ = [f"{name}.{part}" for part in "cgbmv"]
        norm = helper.make_node("BatchNormalization", inputs_, [f"{name}.n"], name=f"{name}.bn", epsilon=1e-5)
        nodes.append(norm)
        if not relu:
            return f"{name}.n"
        nodes.append(helper.make_node("Relu", [f"{name}.n"], [f"{name}.r"], name=f"{name}.relu"))
        return f"{name}.r"

    x = conv("x", "stem", 3, 2)
    nodes.append(
        helper.make_node(
            "MaxPool", [x], ["pool"], name="pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
        )
    )
    x = "pool"
    for i in range(blocks):
        y = conv(conv(x, f"b{i}.1", 16), f"b{i}.2", 16, relu=False)
        nodes.append(helper.make_node("Add", [x, y], [f"b{i}.s"], name=f"b{i}.add"))
        nodes.append(helper.make_node("Relu", [f"b{i}.s"], [f"b{i}.o"], name=f"b{i}.relu"))
        x = f"b{i}.o"
    nodes.append(helper.make_node("Flatten", [x], ["f"], name="flat"))
    weights["fc.w"], weights["fc.b"] = rng.normal(0, 0.05, (10, 1024)), rng.normal(0, 0.1, 10)
    nodes.append(helper.make_node("Gemm", ["f", "fc.w", "fc.b"], ["y"], name="fc", transB=1))
    return nodes, {name: array.astype(np.float32) for name, array in weights.items()}


def proto(nodes: Nodes, weights: Weights) -> onnx.ModelProto:
    """The network as a model that takes (1, 3, 32, 32)."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def faulty(kind: str) -> onnx.ModelProto:
    """The network with one fault; "clean" has none."""
    nodes, weights = copy.deepcopy(network())
    by_name = {node.name: node for node in nodes}
    if kind == "epsilon":
        _set(by_name["b1.1.bn"], "epsilon", 1e-3)
    elif kind == "pad":
        _set(by_name["stem"], "pads", [0, 0, 2, 2])
    elif kind == "pool pad":
        _set(by_name["pool"], "pads", [0, 0, 2, 2])
    elif kind == "bgr":
        weights["stem.w"] = weights["stem.w"][:, ::-1]
    elif kind == "swapped":
        weights["b1.2.w"] = weights["b1.2.w"].transpose(0, 1, 3, 2)
    elif kind == "relu6":
        at = nodes.index(by_name["b0.relu"])
        weights["low"], weights["high"] = np.zeros((), np.float32), np.full((), 2, np.float32)
        nodes[at] = helper.make_node("Clip", [nodes[at].input[0], "low", "high"], ["b0.o"], name="b0.relu")
    elif kind == "one weight":
        weights["b2.1.w"][3, 4, 1, 1] += 0.1
    elif kind == "columns":
        weights["fc.w"] = weights["fc.w"].reshape(10, 16, 64).transpose(0, 2, 1).reshape(10, -1)
    elif kind == "mean":
        weights["b2.2.m"] += 0.2
    elif kind == "half":
        weights["b2.1.w"] = weights["b2.1.w"].astype(np.float16).astype(np.float32)
    return proto(nodes, weights)


def _set(node: onnx.NodeProto, name: str, value: Any) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
