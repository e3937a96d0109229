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
