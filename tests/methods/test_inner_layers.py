"""Do conductance, internal influence and excitation backpropagation follow their papers, unit by unit?"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from captum.attr import InternalInfluence
from graphs import graph_of, normal
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import inspector
from inspector.errors import BadInput, UnknownName
from inspector.methods import attribute

TARGET = 1
X, BEGIN = normal(0, 2, 4), normal(1, 2, 4)
WEIGHTS = {
    "w1": normal(2, 4, 5),
    "b1": normal(3, 5),
    "w2": normal(4, 5, 6),
    "b2": normal(5, 6),
    "w3": normal(6, 6, 3),
    "b3": normal(7, 3),
}


@cache
def smooth(kind: str = "Tanh") -> inspector.Model:
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"]),
        helper.make_node(kind, ["a"], ["h"], name="hidden"),
        helper.make_node("Gemm", ["h", "w2", "b2"], ["c"]),
        helper.make_node(kind, ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w3", "b3"], ["y"]),
    ]
    return graph_of(nodes, WEIGHTS, ["n", 4])


def module(kind: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(4, 5), kind(), nn.Linear(5, 6), kind(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        for i, layer in enumerate((net[0], net[2], net[4]), 1):
            layer.weight.copy_(torch.from_numpy(WEIGHTS[f"w{i}"].T))
            layer.bias.copy_(torch.from_numpy(WEIGHTS[f"b{i}"]))
    return net


def by_definition(x: Tensor, begin: Tensor) -> np.ndarray:
    """Dhamdhere et al., eq. 2: for each hidden unit the sum over inputs of (x_i - x'_i) times the integral of
    dF/dy · dy/dx_i, with full Jacobians at 200 Gauss-Legendre points."""
    net = module()
    first, rest = net[:2], net[2:]
    total = torch.zeros(5, dtype=torch.float64)
    places, weights = np.polynomial.legendre.leggauss(200)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        at = begin + place * (x - begin)
        jacobian = torch.autograd.functional.jacobian(first, at)
        slope = torch.autograd.functional.jacobian(lambda y: rest(y)[TARGET], first(at).detach())
        for unit in range(5):
            for i in range(4):
                total[unit] += weight * (x[i] - begin[i]) * slope[unit] * jacobian[unit, i]
    return total.detach().numpy()


def test_conductance_replicates_its_definition() -> None:
    got = attribute(smooth(), X, "conductance", TARGET, layer="h", dtype="float64", baseline=BEGIN, steps=200)
    wide = [torch.from_numpy(a).double() for a in (X, BEGIN)]
    wanted = np.stack([by_definition(x, begin) for x, begin in zip(*wide, strict=True)])
    assert np.abs(got.values - wanted).max() < 1e-10
    assert got.residual is not None
    assert got.residual < 1e-10
    assert np.abs(wanted).max() > 1e-2
    assert got.layer == "h"
    assert got.axes == ("n", "f")


def test_conductance_of_the_input_is_integrated_gradients() -> None:
    """A layer that only shifts the input has the input's own attribution."""
    nodes = [helper.make_node("Identity", ["x"], ["i"]), helper.make_node("Tanh", ["i"], ["t"])]
    nodes.append(helper.make_node("MatMul", ["t", "w"], ["y"]))
    model = graph_of(nodes, {"w": WEIGHTS["w1"]}, ["n", 4])
    options = {"dtype": "float64", "baseline": BEGIN, "steps": 30}
    inner = attribute(model, X, "conductance", 0, layer="i", **options)
    outer = attribute(model, X, "integrated-gradients", 0, **options)
    assert np.abs(inner.values - outer.values).max() < 1e-12


def test_influence_is_captums() -> None:
    """Sixteen equal steps have exact float32 weights, as Captum computes them."""
    net = module()
    rival = InternalInfluence(net, net[1])
    x, begin = (torch.from_numpy(a).double() for a in (X, BEGIN))
    wanted = rival.attribute(x, begin, target=TARGET, n_steps=16, method="riemann_middle").detach().numpy()
    got = attribute(
        smooth(),
        X,
        "internal-influence",
        TARGET,
        layer="hidden",
        dtype="float64",
        baseline=BEGIN,
        steps=16,
        quadrature="midpoint",
    )
    assert np.abs(got.values - wanted).max() < 1e-10
    assert np.abs(wanted).max() > 1e-2


def test_unknown_layers_are_named() -> None:
    with pytest.raises(UnknownName, match="nowhere"):
        attribute(smooth(), X, "conductance", TARGET, layer="nowhere")


class Around(nn.Module):
    """A product of a branch and of the input, so that the branch's slope is what goes around it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.inner(x).tanh() * x).mean((2, 3)))


@cache
def around() -> tuple[inspector.Model, Around, np.ndarray]:
    torch.manual_seed(0)
    net, x = Around().eval(), normal(20, 11, 2, 4, 4)
    return inspector.open_model(net, example=torch.from_numpy(x[:2])), net, x


def test_what_goes_around_a_layer_walks_along_the_path() -> None:
    """From zero to x the mean of what multiplies the branch is x / 2."""
    model, net, x = around()
    got = attribute(
        model, x, "internal-influence", TARGET, layer="tanh", dtype="float64", quadrature="midpoint", steps=4
    ).values
    row = net.head.weight[TARGET].detach().double().numpy()
    assert np.abs(got - row[:, None, None] * x / 2 / 16).max() < 1e-12


def test_more_rows_than_a_pass_holds_keep_their_own_way_around_a_layer() -> None:
    model, net, x = around()
    got = attribute(model, x, "hires-cam", TARGET, layer="tanh", dtype="float64", rectified=False).at_layer
    row = net.head.weight[TARGET].detach().double().numpy()
    inner = np.tanh(net.double().inner(torch.from_numpy(x).double()).detach().numpy())
    net.float()
    assert got is not None
    assert np.abs(got - (row[:, None, None] * x * inner).sum(1) / 16).max() < 1e-12


def test_what_goes_around_a_layer_of_tokens_walks_too() -> None:
    stored = {"table": normal(21, 7, 4), "w1": normal(22, 4, 4), "w2": normal(23, 4, 3)}
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"]),
        helper.make_node("MatMul", ["e", "w1"], ["a"]),
        helper.make_node("Tanh", ["a"], ["h"]),
        helper.make_node("Mul", ["h", "e"], ["p"]),
        helper.make_node("MatMul", ["p", "w2"], ["s"]),
        helper.make_node("ReduceMax", ["s"], ["y"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    got = attribute(
        inspector.open_model(proto),
        np.array([[3], [5]]),
        "internal-influence",
        TARGET,
        layer="h",
        dtype="float64",
        quadrature="midpoint",
        steps=4,
    ).values
    e = stored["table"].astype(float)[[[3], [5]]]
    assert np.abs(got - e / 2 * stored["w2"][:, TARGET]).max() < 1e-12


EXCITING = {"w1": normal(8, 3, 2, 2, 2) + 0.3, "b1": normal(9, 3) * 0.1, "w2": normal(12, 4, 3, 1, 1)}


@cache
def exciting() -> inspector.Model:
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p", "w2"], ["c2"]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["g"]),
        helper.make_node("Flatten", ["g"], ["y"]),
    ]
    return graph_of(nodes, EXCITING, ["n", 2, 5, 5])


def winning(x: np.ndarray, sign: float, target: int) -> tuple[np.ndarray, float]:
    """Zhang et al., eq. 1 and 5 for the net above: P(child) = sum over parents of P(parent) · child's
    activation · positive weight / their sum; a pool's winner takes all. Unit by unit at `r1`."""
    w1, w2 = EXCITING["w1"].astype(float), EXCITING["w2"].astype(float)[:, :, 0, 0]
    c1 = torch.nn.functional.conv2d(*(torch.from_numpy(a).double() for a in (x, w1, EXCITING["b1"])))
    r1 = c1.clamp(min=0)[0].numpy()
    pooled = r1.reshape(3, 2, 2, 2, 2).max((2, 4))
    r2 = np.maximum(np.einsum("kc,chw->khw", w2, pooled), 0)
    top = r2[target] / r2[target].sum() if r2[target].sum() else r2[target] * 0
    found = np.zeros_like(r1)
    for i in range(2):
        for j in range(2):
            excited = [pooled[c, i, j] * max(sign * w2[target, c], 0) for c in range(3)]
            for c in range(3):
                if sum(excited) and top[i, j]:
                    window = r1[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                    a, b = np.unravel_index(window.argmax(), (2, 2))
                    found[c, 2 * i + a, 2 * j + b] += top[i, j] * excited[c] / sum(excited)
    return found, float(found.sum())


@pytest.mark.parametrize("contrastive", [False, True])
def test_winners_replicate_the_paper(contrastive: bool) -> None:
    x = np.abs(normal(11, 1, 2, 5, 5))
    target = max(range(4), key=lambda k: winning(x, 1.0, k)[1] * winning(x, -1.0, k)[1])
    wanted, arrived = winning(x, 1.0, target)
    if contrastive:
        wanted = np.maximum(wanted - winning(x, -1.0, target)[0], 0)
    got = attribute(
        exciting(), x, "excitation-backprop", target, layer="r1", dtype="float64", contrastive=contrastive
    )
    assert got.at_layer is not None
    assert wanted.max() > 1e-2
    assert np.abs(got.at_layer[0] - wanted.sum(0)).max() < 1e-10
    if not contrastive:
        assert got.residual == pytest.approx(1 - arrived, abs=1e-10)


def test_contrast_needs_a_layer_below_the_top() -> None:
    x = np.abs(normal(11, 1, 2, 5, 5))
    with pytest.raises(BadInput, match="r1"):
        attribute(exciting(), x, "excitation-backprop", 0, layer="r2", contrastive=True)
    chosen = attribute(exciting(), x, "excitation-backprop", 0, contrastive=True)
    assert chosen.values.shape == (1, 5, 5)
