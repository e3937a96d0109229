"""Does fast mode find the chains that exporters write for one torch function, and keep their values?"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

import inspector
from inspector.autograd import Network

WIDTH, TOKENS = 8, 5
Weights = dict[str, object]


def model(nodes: list[onnx.NodeProto], inputs: dict[str, list[int]], weights: Weights) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(np.asarray(w), n) for n, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def node(operator: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name=output, **attributes)


def attention_model(mask: bool, divide: bool) -> onnx.ModelProto:
    shape = [2, 3, TOKENS, WIDTH]
    nodes = [
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", "scores"),
        node("Div" if divide else "Mul", "scores factor", "scaled"),
        *([node("Add", "scaled mask", "masked")] if mask else []),
        node("Softmax", "masked" if mask else "scaled", "weights", axis=-1),
        node("MatMul", "weights v", "y"),
    ]
    weights: Weights = {"factor": np.float64(math.sqrt(WIDTH) if divide else WIDTH**-0.5)}
    inputs = dict.fromkeys("qkv", shape) | ({"mask": [1, 1, TOKENS, TOKENS]} if mask else {})
    return model(nodes, inputs, weights)


def gelu_model(first: bool) -> onnx.ModelProto:
    head = [
        node("Div", "x root", "a"),
        node("Erf", "a", "b"),
        node("Add", "b one", "c"),
    ]
    late = [node("Mul", "x c", "d"), node("Mul", "d half", "y")]
    early = [node("Mul", "x half", "d"), node("Mul", "d c", "y")]
    weights: Weights = {
        "root": np.float64(math.sqrt(2)),
        "one": np.float64(1),
        "half": np.float64(0.5),
    }
    return model([*head, *(early if first else late)], {"x": [3, WIDTH]}, weights)


def norm_model() -> onnx.ModelProto:
    nodes = [
        node("ReduceMean", "x", "mean", axes=[-1]),
        node("Sub", "x mean", "away"),
        node("Pow", "away two", "squares"),
        node("ReduceMean", "squares", "variance", axes=[-1]),
        node("Add", "variance epsilon", "lifted"),
        node("Sqrt", "lifted", "root"),
        node("Div", "away root", "y"),
    ]
    return model(nodes, {"x": [3, WIDTH]}, {"two": np.float64(2), "epsilon": np.float64(1e-5)})


def linear_model() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weights: Weights = {"w": rng.normal(size=(WIDTH, 4)), "b": rng.normal(size=4)}
    return model([node("MatMul", "x w", "p"), node("Add", "b p", "y")], {"x": [2, 3, WIDTH]}, weights)


CASES = {
    "attention": (attention_model(mask=False, divide=False), "Attention"),
    "attention, divided and masked": (attention_model(mask=True, divide=True), "Attention"),
    "gelu, half last": (gelu_model(first=False), "Gelu"),
    "gelu, half first": (gelu_model(first=True), "Gelu"),
    "layer norm": (norm_model(), "LayerNormalization"),
    "linear": (linear_model(), "Linear"),
}


def operators(net: Network) -> Counter[str]:
    return Counter(step.node.op_type for step in net.block.steps)


@pytest.mark.parametrize("name", list(CASES))
def test_a_chain_becomes_one_step_with_the_same_values_and_gradients(name: str) -> None:
    proto, operator = CASES[name]
    exact, fast = inspector.to_torch(proto).double(), inspector.to_torch(proto, mode="fast").double()
    assert operators(fast)[operator] == 1
    assert len(fast.block.steps) <= 2
    generator = torch.Generator().manual_seed(0)
    shapes = [[d.dim_value for d in i.type.tensor_type.shape.dim] for i in proto.graph.input]
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]
    y, z = exact(*inputs)[0], fast(*inputs)[0]
    assert float(y.detach().std()) > 0.01
    assert torch.allclose(y, z, rtol=1e-7, atol=1e-10)
    direction = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    for a, b in zip(_gradients(y, direction, inputs), _gradients(z, direction, inputs), strict=True):
        assert float(a.abs().max()) > 1e-3
        assert torch.allclose(a, b, rtol=1e-7, atol=1e-9)


def _gradients(y: Tensor, direction: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad((y * direction).sum(), inputs)


@pytest.mark.parametrize("value", ["scores", "scaled", "weights"])
def test_a_chain_whose_inside_is_an_output_stays_as_it_is(value: str) -> None:
    proto = attention_model(mask=False, divide=False)
    proto.graph.output.append(helper.make_tensor_value_info(value, TensorProto.DOUBLE, None))
    assert operators(inspector.to_torch(proto, mode="fast"))["Attention"] == 0


@pytest.mark.parametrize(("name", "number"), [("half", 0.4), ("one", 2.0), ("root", 1.5)])
def test_a_chain_with_another_constant_is_no_gelu(name: str, number: float) -> None:
    proto = gelu_model(first=False)
    held = next(t for t in proto.graph.initializer if t.name == name)
    held.CopyFrom(numpy_helper.from_array(np.asarray(number), name))
    assert operators(inspector.to_torch(proto, mode="fast"))["Gelu"] == 0


def test_a_query_that_may_see_no_key_is_not_hidden() -> None:
    """The chain gives NaN there, and fast mode too; the other queries are as they were, with gradients."""
    proto = attention_model(mask=True, divide=False)
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn((2, 3, TOKENS, WIDTH), generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(3)
    )
    mask = torch.zeros((1, 1, TOKENS, TOKENS), dtype=torch.float64)
    mask[..., 1, :] = -math.inf
    mask[..., 2, 3:] = -math.inf
    seen = [0, 2, 3, 4]
    found: list[Tensor] = []
    for mode in ("exact", "fast"):
        (y,) = inspector.to_torch(proto, mode=mode).double()(q, k, v, mask)
        assert bool(y[:, :, 1].isnan().all())
        found.append(y[:, :, seen])
    assert torch.allclose(found[1], found[0], rtol=1e-7, atol=1e-10)
    (gradient,) = torch.autograd.grad(found[1].sum(), v)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("trained", [False, True])
def test_factors_at_queries_and_keys_go_into_the_kernel(trained: bool) -> None:
    nodes = [
        node("Mul", "q r", "qr"),
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("Mul", "r kt", "kr"),
        node("MatMul", "qr kr", "scores"),
        node("Softmax", "scores", "weights", axis=-1),
        node("MatMul", "weights v", "y"),
    ]
    shape = [2, 3, TOKENS, WIDTH]
    proto = model(nodes, dict.fromkeys("qkv", shape), {"r": np.float64(WIDTH**-0.25)})
    exact, fast = inspector.to_torch(proto).double(), inspector.to_torch(proto, mode="fast").double()
    assert operators(fast) == {"Transpose": 1, "Attention": 1}
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn((2, 3, TOKENS, WIDTH), generator=generator, dtype=torch.float64) for _ in range(3)]
    nets = (exact, fast)
    for net in nets:
        net.weights["r"].requires_grad_(trained)
    a, b = (net(*inputs)[0] for net in nets)
    assert torch.allclose(a, b, rtol=1e-7, atol=1e-10)
    if trained:
        x, y = (
            torch.autograd.grad(o.square().sum(), n.weights["r"])[0]
            for o, n in zip((a, b), nets, strict=True)
        )
        assert float(x.abs()) > 1e-3
        assert torch.allclose(x, y, rtol=1e-7)
