"""What gradient has a quantised model? None by nature; that of the unrounded one under straight-through."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from inspector.autograd import to_torch

Array = np.ndarray[Any, Any]


def built(nodes: list[onnx.NodeProto], weights: dict[str, Array], shape: tuple[int, ...]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def rounding(kind: str = "uint8", axis: int | None = None) -> onnx.ModelProto:
    """Quantise and read back; the scale is per tensor or along an axis."""
    count = 3 if axis is not None else None
    scale = np.array([0.05, 0.1, 0.2] if count else 0.05, dtype=np.float32)
    zero = np.full(scale.shape, 3).astype(kind)
    extra = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **extra),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **extra),
    ]
    return built(nodes, {"s": scale, "z": zero}, (4, 3))


X = torch.linspace(-9.0, 15.0, 12).reshape(4, 3)


def test_the_true_derivative_is_none() -> None:
    x = X.clone().requires_grad_()
    (y,) = to_torch(rounding())(x)
    (gradient,) = torch.autograd.grad(y.sum(), x, allow_unused=True)
    assert gradient is None or not gradient.any()


@pytest.mark.parametrize(("kind", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127)])
def test_straight_through_equals_torchs_fake_quantisation(kind: str, low: int, high: int) -> None:
    x, other = X.clone().requires_grad_(), X.clone().requires_grad_()
    (y,) = to_torch(rounding(kind), straight_through=True)(x)
    expected = torch.fake_quantize_per_tensor_affine(other, 0.05, 3, low, high)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)
    factor = torch.randn(X.shape, generator=torch.Generator().manual_seed(0))
    (mine,) = torch.autograd.grad((y * factor).sum(), x)
    (theirs,) = torch.autograd.grad((expected * factor).sum(), other)
    torch.testing.assert_close(mine, theirs)
    assert (mine == 0).any(), "some inputs must lie outside the range"
    assert (mine != 0).any()


def test_straight_through_along_an_axis() -> None:
    x, other = X.clone().requires_grad_(), X.clone().requires_grad_()
    (y,) = to_torch(rounding("uint8", 1), straight_through=True)(x)
    scale, zero = torch.tensor([0.05, 0.1, 0.2]), torch.tensor([3, 3, 3], dtype=torch.int32)
    expected = torch.fake_quantize_per_channel_affine(other, scale, zero, 1, 0, 255)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)
    (mine,) = torch.autograd.grad(y.sum(), x)
    (theirs,) = torch.autograd.grad(expected.sum(), other)
    torch.testing.assert_close(mine, theirs)


def test_forward_is_the_same_with_and_without() -> None:
    for model in (rounding(), rounding("int8"), rounding("uint8", 1), convolution()):
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        x = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(
            to_torch(model, straight_through=True)(x)[0], to_torch(model)(x)[0], rtol=0, atol=1e-6
        )


def convolution() -> onnx.ModelProto:
    """A quantised convolution with a quantised sum behind it, read back at the end."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "z"], ["q"]),
        helper.make_node(
            "QLinearConv", ["q", "xs", "z", "w", "ws", "wz", "ys", "z"], ["c"], pads=[1, 1, 1, 1]
        ),
        helper.make_node(
            "QLinearAdd", ["c", "ys", "z", "c", "ys", "z", "as", "z"], ["a"], domain="com.microsoft"
        ),
        helper.make_node("DequantizeLinear", ["a", "as", "z"], ["y"]),
    ]
    weights: dict[str, Array] = {
        "xs": np.float32(0.05),
        "z": np.uint8(128),
        "w": rng.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8),
        "ws": np.float32(0.01) * (1 + np.arange(4, dtype=np.float32)),
        "wz": np.zeros(4, dtype=np.int8),
        "ys": np.float32(0.3),
        "as": np.float32(0.6),
    }
    return built(nodes, weights, (1, 2, 5, 5))


def test_straight_through_passes_quantised_operators() -> None:
    model = convolution()
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 2, 5, 5, generator=generator).requires_grad_()
    (y,) = to_torch(model, straight_through=True)(x)
    factor = torch.randn(y.shape, generator=generator)
    (mine,) = torch.autograd.grad((y * factor).sum(), x)
    arrays = {w.name: torch.from_numpy(np.array(numpy_helper.to_array(w))) for w in model.graph.initializer}
    kernel = arrays["w"].float() * arrays["ws"].reshape(4, 1, 1, 1)
    real = x.detach().clone().requires_grad_()
    plain = 2 * torch.nn.functional.conv2d(real, kernel, padding=1)
    assert_near(mine, torch.autograd.grad((plain * factor).sum(), real)[0])


def assert_near(mine: Tensor, theirs: Tensor) -> None:
    """Equal wherever nothing was clipped: the input lies inside the ranges."""
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_scale_gets_a_gradient_too() -> None:
    net = to_torch(rounding(), straight_through=True)
    (y,) = net(X)
    (gradient,) = torch.autograd.grad(y.square().sum(), net.weights["s"])
    assert torch.isfinite(gradient).all()
    assert gradient.any()
