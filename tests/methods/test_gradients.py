"""Are gradients, their means over noise and their integrals over paths what the papers say?"""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import inspector
from inspector.errors import BadInput, UnknownName
from inspector.methods import attribute
from inspector.methods.gradients.prefix import affine_end
from inspector.methods.gradients.quadrature import QUADRATURES, nodes_of
from inspector.methods.preparing import prepare


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.head = nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    made = Convolutional().eval()
    norm = made.body[1]
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return made.double()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(1, 3, 12, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def model(net: nn.Module, x: np.ndarray) -> inspector.Model:
    return inspector.open_model(copy.deepcopy(net).float(), example=torch.from_numpy(x))


@pytest.fixture(scope="module")
def linear() -> inspector.Model:
    weight = np.random.default_rng(3).normal(size=(6, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weight, "w")],
    )
    opset = [helper.make_opsetid("", 18)]
    return inspector.open_model(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9))


def slow_gradient(net: nn.Module, x: torch.Tensor, target: int) -> torch.Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x)[0, target], x)[0]


def test_gradient_times_input(model: inspector.Model, net: nn.Module, x: np.ndarray) -> None:
    got = attribute(model, x, "gradient-x-input", 2, dtype="float64").values
    wide = torch.from_numpy(x).double()
    assert np.abs(got - (slow_gradient(net, wide, 2) * wide).numpy()).max() < 1e-10


def noisy(x: np.ndarray, noise: float, samples: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    wide = torch.from_numpy(x).double()
    width = noise * (wide.max() - wide.min())
    return [
        wide + width * torch.randn(wide.shape, generator=generator, dtype=wide.dtype) for _ in range(samples)
    ]


@pytest.mark.parametrize("name", ["smoothgrad", "smoothgrad-squared", "vargrad"])
def test_moments_of_noisy_gradients(model: inspector.Model, net: nn.Module, x: np.ndarray, name: str) -> None:
    got = attribute(model, x, name, 2, dtype="float64", samples=12, noise=0.1).values
    gradients = torch.stack([slow_gradient(net, row, 2) for row in noisy(x, 0.1, 12)])
    wanted = {
        "smoothgrad": gradients.mean(0),
        "smoothgrad-squared": gradients.square().mean(0),
        "vargrad": gradients.var(0),
    }[name]
    assert np.abs(got - wanted.numpy()).max() < 1e-10
    assert np.abs(wanted.numpy()).max() > 1e-6


def test_variance_does_not_cancel() -> None:
    """A gradient of 100 ± 0.002 in float32: the difference of two squares would be negative noise."""
    nodes = [
        helper.make_node("Mul", ["x", "hundred"], ["big"]),
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("Mul", ["square", "little"], ["bend"]),
        helper.make_node("Add", ["big", "bend"], ["each"]),
        helper.make_node("ReduceSum", ["each", "axis"], ["y"], keepdims=1),
    ]
    weights = {"hundred": np.float32(100), "little": np.float32(0.001), "axis": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "steep",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    steep = inspector.open_model(helper.make_model(graph, opset_imports=opset, ir_version=9))
    start = np.linspace(-1, 1, 8, dtype=np.float32)[None]
    single = attribute(steep, start, "vargrad", 0, samples=200, noise=0.5).values
    double = attribute(steep, start, "vargrad", 0, dtype="float64", samples=200, noise=0.5).values
    assert (single > 0).all()
    assert np.abs(double - 4e-6).max() < 1.5e-6


@pytest.mark.parametrize("method", ["smoothgrad", "integrated-gradients"])
def test_affine_start_changes_nothing(model: inspector.Model, x: np.ndarray, method: str) -> None:
    assert affine_end(prepare(model, x, dtype="float64")) is not None
    quick = attribute(model, x, method, 1, dtype="float64").values
    whole = attribute(model, x, method, 1, dtype="float64", exact=True).values
    assert np.abs(quick - whole).max() < 1e-10


@pytest.mark.parametrize("rule", sorted(QUADRATURES))
def test_weights_sum_to_one(rule: str) -> None:
    for count in (2, 5, 50):
        assert abs(nodes_of(rule, count)[1].sum() - 1) < 1e-14


@pytest.mark.parametrize("rule", sorted(QUADRATURES))
@pytest.mark.parametrize("steps", [2, 5])
def test_linear_models_are_exact(linear: inspector.Model, rule: str, steps: int) -> None:
    row = np.random.default_rng(4).normal(size=(1, 6)).astype(np.float32)
    got = attribute(
        linear,
        row,
        "integrated-gradients",
        1,
        dtype="float64",
        quadrature=rule,
        steps=steps,
        baseline="noise",
    )
    assert got.residual is not None
    assert got.residual < 1e-10
    assert abs(got.values.sum()) > 1e-3


@pytest.mark.parametrize("rule", sorted(QUADRATURES))
def test_integrated_gradients_are_the_sum_of_the_paper(
    model: inspector.Model, net: nn.Module, x: np.ndarray, rule: str
) -> None:
    got = attribute(
        model, x, "integrated-gradients", 3, dtype="float64", steps=7, quadrature=rule, baseline="mean"
    )
    wide = torch.from_numpy(x).double()
    begin = wide.mean((2, 3), keepdim=True).expand_as(wide)
    total = torch.zeros_like(wide)
    for place, weight in zip(*nodes_of(rule, 7), strict=True):
        total += float(weight) * slow_gradient(net, begin + float(place) * (wide - begin), 3)
    wanted = (wide - begin) * total
    assert np.abs(got.values - wanted.numpy()).max() < 1e-10
    missing = float((net(wide) - net(begin))[0, 3] - wanted.sum())
    assert got.residual == pytest.approx(abs(missing), abs=1e-10)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_refinement_reaches_completeness(model: inspector.Model, x: np.ndarray, tolerance: float) -> None:
    """The gap is at most that fraction of what the score changes by from the baseline to the input."""
    got, nothing = (
        attribute(model, rows, "integrated-gradients", 1, dtype="float64", tolerance=tolerance, most=20_000)
        for rows in (x[:1], np.zeros_like(x[:1]))
    )
    assert got.residual is not None
    assert abs(got.score - nothing.score) > 1e-3
    assert got.residual <= tolerance * abs(got.score - nothing.score)
    assert not got.notes
    few = attribute(model, x, "integrated-gradients", 1, dtype="float64", tolerance=1e-12, most=60)
    assert "not reached" in " ".join(few.notes)


def test_expected_gradients_of_a_linear_model(linear: inspector.Model) -> None:
    """One baseline, one linear function: (x - b) · w, whatever the places drawn."""
    generator = np.random.default_rng(5)
    row, begin = (generator.normal(size=(1, 6)).astype(np.float32) for _ in range(2))
    got = attribute(linear, row, "expected-gradients", 0, dtype="float64", baseline=begin, samples=3)
    weight = np.random.default_rng(3).normal(size=(6, 3)).astype(np.float32).astype(np.float64)
    assert np.abs(got.values - (row.astype(float) - begin) * weight[:, 0]).max() < 1e-10
    assert got.residual is not None
    assert got.residual < 1e-10


def test_refusals(linear: inspector.Model) -> None:
    row = np.ones((1, 6), np.float32)
    with pytest.raises(UnknownName, match="quadrature"):
        attribute(linear, row, "integrated-gradients", quadrature="simpson")
    with pytest.raises(UnknownName, match="baseline"):
        attribute(linear, row, "integrated-gradients", baseline="grey")
    with pytest.raises(BadInput, match="picture"):
        attribute(linear, row, "integrated-gradients", baseline="black")
    with pytest.raises(BadInput, match="samples"):
        attribute(linear, row, "smoothgrad", samples=0)
