"""Do class activation maps give what their papers write, on a small net with a bias in its linear head?"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import inspector
from inspector.errors import BadInput, NoGradientPath, UnknownName
from inspector.methods import Attribution, attribute

TARGET = 2
X = np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype(np.float32)


class Pooled(nn.Module):
    """Convolutions, BatchNorm with statistics of its own, global average pooling and a linear head."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 8, 3, stride=2, bias=bias)
        self.head = nn.Linear(8, 5, bias=bias)
        self.norm.running_mean, self.norm.running_var = torch.randn(6), torch.rand(6) + 0.5

    def before(self, x: Tensor) -> Tensor:
        return self.second(F.relu(self.norm(self.first(x)))).relu()

    def after(self, activations: Tensor) -> Tensor:
        return self.head(activations.mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.before(x))


class Mixed(Pooled):
    """A head that is not linear in the pooled values, so that higher derivatives differ from zero."""

    def after(self, activations: Tensor) -> Tensor:
        return self.head(activations.mean((2, 3)).tanh() + activations.amax((2, 3)))


def built(kind: type[Pooled]) -> Pooled:
    torch.manual_seed(5)
    return kind().eval()


@cache
def opened(kind: type[Pooled]) -> inspector.Model:
    return inspector.open_model(built(kind), example=torch.from_numpy(X))


def explained(kind: type[Pooled], method: str, **options: object) -> Attribution:
    return attribute(opened(kind), X, method, TARGET, dtype="float64", **options)


def layer_of(kind: type[Pooled]) -> tuple[Pooled, Tensor, Tensor]:
    """The net, its last layer (c, h, w) and the score's gradient there, by torch alone."""
    net = built(kind).double()
    activations = net.before(torch.from_numpy(X).double()).detach().requires_grad_()
    score = net.after(activations)[0, TARGET]
    return net, activations.detach()[0], torch.autograd.grad(score, activations)[0][0]


def close(found: np.ndarray | None, wanted: Tensor) -> None:
    assert found is not None
    assert float(wanted.detach().max() - wanted.detach().min()) > 1e-3, "a flat map proves nothing"
    np.testing.assert_allclose(found[0], wanted.detach().numpy(), rtol=0, atol=1e-10)


def test_cam_is_places_times_grad_cam_and_the_heads_row() -> None:
    net, activations, _ = layer_of(Pooled)
    cam = explained(Pooled, "cam").at_layer
    close(cam, torch.einsum("k,khw->hw", net.head.weight[TARGET], activations))
    signed = explained(Pooled, "grad-cam", rectified=False).at_layer
    assert cam is not None
    assert signed is not None
    np.testing.assert_allclose(cam, signed * signed[0].size, rtol=0, atol=1e-10)


def test_hires_cam_sums_to_the_score_without_the_heads_bias() -> None:
    net = built(Pooled).double()
    hires = explained(Pooled, "hires-cam")
    grad = explained(Pooled, "grad-cam", rectified=False)
    assert hires.at_layer is not None
    np.testing.assert_allclose(hires.at_layer, grad.at_layer, rtol=0, atol=1e-10)
    assert hires.at_layer.sum() + net.head.bias[TARGET].item() == pytest.approx(hires.score, abs=1e-10)


def test_grad_cam_of_any_head() -> None:
    _, activations, gradient = layer_of(Mixed)
    total = sum(gradient[k].mean() * activations[k] for k in range(len(activations)))
    close(explained(Mixed, "grad-cam", rectified=False).at_layer, torch.as_tensor(total))


def test_grad_cam_plus_plus_place_by_place() -> None:
    _, activations, gradient = layer_of(Mixed)
    total = torch.zeros_like(activations[0])
    for k in range(len(activations)):
        weight = torch.zeros((), dtype=torch.float64)
        for i, j in np.ndindex(*activations[k].shape):
            slope = gradient[k, i, j]
            below = 2 * slope**2 + activations[k].sum() * slope**3
            if below != 0:
                weight += slope**2 / below * max(slope, torch.zeros(()))
        total += weight * activations[k]
    close(explained(Mixed, "grad-cam++").at_layer, total.clamp(min=0))


def test_layer_cam_place_by_place() -> None:
    _, activations, gradient = layer_of(Mixed)
    total = torch.zeros_like(activations[0])
    for k, i, j in np.ndindex(*activations.shape):
        total[i, j] += max(float(gradient[k, i, j]), 0.0) * activations[k, i, j]
    close(explained(Mixed, "layer-cam").at_layer, total)


def test_xgrad_cam_weighs_gradients_by_activation() -> None:
    _, activations, gradient = layer_of(Mixed)
    total = torch.zeros_like(activations[0])
    for k in range(len(activations)):
        if activations[k].sum() > 0:
            total += (gradient[k] * activations[k]).sum() / activations[k].sum() * activations[k]
    close(explained(Mixed, "xgrad-cam", rectified=False).at_layer, total)


def test_ablation_cam_channel_by_channel() -> None:
    net, activations, _ = layer_of(Mixed)
    full = net.after(activations[None])[0, TARGET]
    total = torch.zeros_like(activations[0])
    for k in range(len(activations)):
        without = activations.clone()
        without[k] = 0
        total += (full - net.after(without[None])[0, TARGET]) / full * activations[k]
    close(explained(Mixed, "ablation-cam", rectified=False).at_layer, total)


def test_score_cam_channel_by_channel() -> None:
    net, activations, _ = layer_of(Mixed)
    x = torch.from_numpy(X).double()
    scores, used = [], []
    for k, channel in enumerate(activations):
        mask = F.interpolate(channel[None, None], (16, 16), mode="bilinear", align_corners=False)
        if mask.max() > mask.min():
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            scores.append(net(x * mask)[0, TARGET] - net(torch.zeros_like(x))[0, TARGET])
            used.append(k)
    weights = torch.stack(scores).exp()
    total = torch.einsum("k,khw->hw", weights / weights.sum(), activations[used])
    close(explained(Mixed, "score-cam").at_layer, total.clamp(min=0))


def test_finer_cam_is_grad_cam_of_a_difference() -> None:
    net, activations, _ = layer_of(Mixed)
    leaf = activations[None].clone().requires_grad_()
    scores = net.after(leaf)[0]
    away = (scores - scores[TARGET]).abs().tolist()
    order = sorted((c for c in range(5) if c != TARGET), key=lambda c: away[c])
    apart = scores[TARGET] - 0.6 * (scores[order[0]] + scores[order[1]]) / 2
    gradient = torch.autograd.grad(apart, leaf)[0][0]
    total = torch.einsum("k,khw->hw", gradient.mean((1, 2)), activations)
    found = explained(Mixed, "finer-cam", classes=2, strength=0.6, rectified=False)
    close(found.at_layer, total)
    assert str(order[0]) in " ".join(found.notes)
    plain = explained(Mixed, "grad-cam").at_layer
    np.testing.assert_allclose(explained(Mixed, "finer-cam", strength=0.0).at_layer, plain, atol=1e-12)


def test_full_gradients_of_every_bias_make_up_the_score() -> None:
    net = built(Pooled).double()
    x = torch.from_numpy(X).double().requires_grad_()
    conv = net.first(x)
    norm = net.norm(conv)
    second = net.second(norm.relu())
    score = net.after(second.relu())[0, TARGET]
    scale = net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()
    biases = (net.first.bias, net.norm.bias - net.norm.running_mean * scale, net.second.bias)
    slopes = torch.autograd.grad(score, (x, conv, norm, second))
    parts = [slopes[0] * x, *(s * b[:, None, None] for s, b in zip(slopes[1:], biases, strict=True))]
    total = torch.zeros(16, 16, dtype=torch.float64)
    for part in parts:
        part = part.abs()
        part = (part - part.min()) / (part.max() - part.min())
        total += F.interpolate(part, (16, 16), mode="bilinear", align_corners=False)[0].sum(0)
    found = explained(Pooled, "full-grad")
    close(found.values, total)
    assert found.residual is not None
    assert found.residual < 1e-10
    assert abs(found.score - sum(p.sum().item() for p in parts)) > 1e-3  # the head's bias counts too
    curved = explained(Mixed, "full-grad").residual
    assert curved is not None
    assert curved > 1e-3  # tanh is not piecewise linear, and the residual says so


def test_sizes_read_from_the_input_do_not_hide_the_last_layer() -> None:
    """A Reshape whose target is computed from the input's Shape is no second path to the score."""
    shape = helper.make_node("Shape", ["x"], ["size"], name="size", start=0, end=1)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], name="conv"),
        helper.make_node("Relu", ["conv"], ["relu"], name="relu"),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"], name="pool"),
        shape,
        helper.make_node("Concat", ["size", "rest"], ["wanted"], name="wanted", axis=0),
        helper.make_node("Reshape", ["pool", "wanted"], ["y"], name="y"),
    ]
    weight = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    stored = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.array([-1]), "rest")]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])
    graph = helper.make_graph(nodes, "net", [x], [y], stored)
    opset = [helper.make_opsetid("", 20)]
    model = inspector.open_model(helper.make_model(graph, opset_imports=opset, ir_version=10))
    assert attribute(model, X, "grad-cam", TARGET).layer == "relu"


def test_cam_refuses_other_heads() -> None:
    with pytest.raises(NoGradientPath, match="global average pooling"):
        explained(Mixed, "cam")


def test_an_expression_has_no_similar_classes() -> None:
    model = opened(Pooled)
    name = str(model.outputs[0].name)
    with pytest.raises(BadInput, match="as a class"):
        attribute(model, X, "finer-cam", f"{name}[1] - {name}[0]")


def test_a_layer_without_places_lists_those_that_have() -> None:
    model = opened(Pooled)
    with pytest.raises(UnknownName, match="relu"):
        attribute(model, X, "grad-cam", TARGET, layer="linear")
