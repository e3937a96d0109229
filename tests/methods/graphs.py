"""Small ONNX models from lists of nodes, as the tests of attribution take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

import inspector


def graph_of(
    nodes: Sequence[NodeProto],
    weights: Mapping[str, np.ndarray],
    shape: Sequence[int | str],
    *,
    rank: int = 2,
    opset: int = 18,
) -> inspector.Model:
    """A model from `x` of this shape to `y` of this rank."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return inspector.open_model(made)


def normal(seed: int, *shape: int) -> np.ndarray:
    """Float32 numbers of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
