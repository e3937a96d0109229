"""Synthetic graphs of known structure: transformers with shared values, residual chains, plain chains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and weights of one graph; names are scoped when asked."""

    def __init__(self, scoped: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.scoped = scoped

    def weight(self, name: str, *shape: int, dtype: str = "float32") -> str:
        self.weights.append(numpy_helper.from_array(np.zeros(shape, dtype), name))
        return name

    def constant(self, name: str, values: object) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, op: str, scope: str, *inputs: str, **attributes: object) -> str:
        output = f"v{len(self.nodes)}"
        name = f"{scope}/{op}_{len(self.nodes)}" if self.scoped else f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name, **attributes))
        return output

    def model(self, inputs: list[tuple[str, list[object]]], output: str, opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "synthetic",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def transformer(
    layers: int = 12, *, width: int = 16, tokens: int = 8, scoped: bool = True, mask: bool = True
) -> onnx.ModelProto:
    """A decoder of equal layers; one mask feeds them all. 27 nodes a layer."""
    b = Builder(scoped)
    x = b.add("MatMul", "/embed", "x", b.weight("embed.weight", width, width))
    for index in range(layers):
        x = _layer(b, x, index, width, mask)
    x = _norm(b, "/decoder/final_norm", x, "final_norm", width)
    x = b.add("MatMul", "/head", x, b.weight("head.weight", width, 32))
    inputs: list[tuple[str, list[object]]] = [("x", ["batch", tokens, width])]
    if mask:
        inputs.append(("mask", [1, tokens, tokens]))
    return b.model(inputs, x)


def _norm(b: Builder, scope: str, x: str, name: str, width: int) -> str:
    return b.add(
        "LayerNormalization",
        scope,
        x,
        b.weight(f"{name}.weight", width),
        b.weight(f"{name}.bias", width),
        axis=-1,
    )


def _linear(b: Builder, scope: str, x: str, name: str, rows: int, columns: int) -> str:
    y = b.add("MatMul", scope, x, b.weight(f"{name}.weight", rows, columns))
    return b.add("Add", scope, y, b.weight(f"{name}.bias", columns))


def _layer(b: Builder, x: str, index: int, width: int, mask: bool) -> str:
    name, scope = f"layers.{index}", f"/decoder/layers.{index}"
    y = _norm(b, f"{scope}/norm1", x, f"{name}.norm1", width)
    q = _linear(b, f"{scope}/attn/q", y, f"{name}.q", width, width)
    k = _linear(b, f"{scope}/attn/k", y, f"{name}.k", width, width)
    v = _linear(b, f"{scope}/attn/v", y, f"{name}.v", width, width)
    k = b.add("Transpose", f"{scope}/attn", k, perm=[0, 2, 1])
    s = b.add("MatMul", f"{scope}/attn", q, k)
    s = b.add("Mul", f"{scope}/attn", s, b.constant(f"{name}.scale", np.float32(width**-0.5)))
    if mask:
        s = b.add("Add", f"{scope}/attn", s, "mask")
    s = b.add("Softmax", f"{scope}/attn", s, axis=-1)
    y = b.add("MatMul", f"{scope}/attn", s, v)
    y = _linear(b, f"{scope}/attn/out", y, f"{name}.out", width, width)
    x = b.add("Add", scope, x, y)
    y = _norm(b, f"{scope}/norm2", x, f"{name}.norm2", width)
    y = _linear(b, f"{scope}/mlp/up", y, f"{name}.up", width, 4 * width)
    y = b.add("Mul", f"{scope}/mlp", y, b.add("Sigmoid", f"{scope}/mlp", y))
    y = _linear(b, f"{scope}/mlp/down", y, f"{name}.down", 4 * width, width)
    return b.add("Add", scope, x, y)


def chain(nodes: int) -> onnx.ModelProto:
    """A chain without names, scopes or repeats: operators drawn from a seed."""
    draw = np.random.default_rng(0)
    ops = ("Relu", "Sigmoid", "Tanh", "Exp", "Neg", "Abs", "Sqrt", "Erf")
    b = Builder(scoped=False)
    x = "x"
    for _ in range(nodes):
        x = b.add(ops[draw.integers(len(ops))], "", x)
    return b.model([("x", [1, 4])], x)


def bottlenecks(blocks: int, *, scoped: bool = False, channels: int = 8) -> onnx.ModelProto:
    """A chain of residual blocks of nine nodes."""
    b = Builder(scoped)
    x = b.add("Conv", "/stem", "x", b.weight("stem.weight", channels, 3, 3, 3), pads=[1, 1, 1, 1])
    for index in range(blocks):
        y, name = x, f"blocks.{index}"
        for part in range(3):
            w = b.weight(f"{name}.conv{part}.weight", channels, channels, 3, 3)
            y = b.add("Conv", f"/{name}/conv{part}", y, w, pads=[1, 1, 1, 1], kernel_shape=[3, 3])
            y = b.add("Relu", f"/{name}/act{part}", y) if part < 2 else y
        y = b.add("Add", f"/{name}", x, y)
        x = b.add("Relu", f"/{name}", y)
    x = b.add("GlobalAveragePool", "", x)
    return b.model([("x", [1, 3, 16, 16])], x)


def stages(counts: Sequence[int], *, channels: int = 8) -> onnx.ModelProto:
    """A residual net without names: stages of equal blocks, a projection at the head of each."""
    b = Builder(scoped=False)
    x = b.add("Conv", "", "x", b.weight("stem.weight", channels, 3, 3, 3), pads=[1, 1, 1, 1])
    for stage, count in enumerate(counts):
        for index in range(count):
            name, width = f"{stage}.{index}", channels << stage
            before = channels << max(0, stage - (index == 0))
            y = b.add("Relu", "", b.add("Conv", "", x, b.weight(f"{name}.a", width, before, 1, 1)))
            y = b.add("Conv", "", y, b.weight(f"{name}.b", width, width, 1, 1))
            short = x if index else b.add("Conv", "", x, b.weight(f"{name}.c", width, before, 1, 1))
            x = b.add("Relu", "", b.add("Add", "", y, short))
    return b.model([("x", [1, 3, 16, 16])], b.add("GlobalAveragePool", "", x))
