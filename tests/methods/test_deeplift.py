"""Is DeepLIFT complete for every activation, and Captum's where Captum is right?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from captum.attr import DeepLift
from torch import Tensor, nn

import inspector
from inspector.methods import attribute

RNG = np.random.default_rng(0)
X, BEGIN = (RNG.normal(size=(1, 3, 10, 10)).astype(np.float32) for _ in range(2))


class Net(nn.Module):
    def __init__(self, pool: nn.Module, *activations: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.pool = pool
        self.second = nn.Conv2d(6, 8, 3)
        self.last = nn.Linear(8 * 9, 4)
        self.activations = nn.ModuleList(activations)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.activations[0](self.norm(self.first(x))))
        return self.last(self.activations[-1](self.second(x)).flatten(1))


class Attending(nn.Module):
    """Softmax, layer norm, a product of two values and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.value = nn.Linear(5, 5), nn.Linear(5, 5)
        self.norm, self.last = nn.LayerNorm(5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(x @ self.key(x).transpose(1, 2), -1)
        return self.last(F.gelu(self.norm(x + weights @ self.value(x))).mean(1))


def built(*activations: nn.Module, pool: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(1)
    net = Net(pool or nn.MaxPool2d(3, 2, 1), *activations).eval()
    nn.init.normal_(net.norm.running_mean)
    nn.init.uniform_(net.norm.running_var, 0.5, 2)
    return net


def lifted(net: nn.Module, **options: object) -> inspector.methods.Attribution:
    model = inspector.open_model(net, example=torch.from_numpy(X))
    return attribute(model, X, "deeplift", 1, dtype="float64", baseline=BEGIN, **options)


def captum(net: nn.Module) -> np.ndarray:
    x, begin = (torch.from_numpy(a).double() for a in (X, BEGIN))
    return DeepLift(net.double()).attribute(x, begin, target=1).detach().numpy()


@pytest.mark.parametrize("kind", [nn.ReLU, nn.GELU, nn.SiLU, nn.ReLU6, nn.Hardswish, nn.ELU, nn.Mish])
def test_complete_for_every_activation(kind: type[nn.Module]) -> None:
    got = lifted(built(kind()))
    assert got.residual is not None
    assert got.residual < 1e-10
    assert abs(got.values.sum()) > 1e-3


def test_complete_through_attention() -> None:
    torch.manual_seed(0)
    x, begin = (np.random.default_rng(i).normal(size=(1, 6, 5)).astype(np.float32) for i in range(2))
    model = inspector.open_model(Attending().eval(), example=torch.from_numpy(x))
    got = attribute(model, x, "deeplift", 0, dtype="float64", baseline=begin)
    assert got.residual is not None
    assert got.residual < 1e-10
    assert abs(got.values.sum()) > 1e-3


def test_complete_where_a_normalisation_starts_from_nothing() -> None:
    """From all-equal values the derivative falls by a thousand over a thousandth of the way."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.LayerNorm(5), nn.Flatten(), nn.Linear(30, 3)).eval()
    x = np.random.default_rng(0).normal(size=(1, 6, 5)).astype(np.float32)
    model = inspector.open_model(net, example=torch.from_numpy(x))
    for dtype, limit in (("float64", 1e-12), ("float32", 1e-5)):
        got = attribute(model, x, "deeplift", 0, dtype=dtype)
        assert got.residual is not None
        assert got.residual < limit
        assert abs(got.values.sum()) > 1e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [nn.ReLU, nn.ELU, nn.Tanh])
def test_captum_agrees_where_it_is_right(kind: type[nn.Module]) -> None:
    def net() -> nn.Module:
        return built(kind(), kind(), pool=nn.AvgPool2d(3, 2, 1))

    assert np.abs(lifted(net()).values - captum(net())).max() < 1e-10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1)])
def test_max_pooling_stays_complete(pool: nn.Module) -> None:
    """Captum 0.9 misses part of the change here, whether windows overlap or not, and does not say so."""
    net = built(nn.Tanh(), nn.Tanh(), pool=pool).double()
    with torch.no_grad():
        change = float((net(torch.from_numpy(X).double()) - net(torch.from_numpy(BEGIN).double()))[0, 1])
    assert abs(captum(net).sum() - change) > 1e-3
    assert abs(lifted(net.float()).values.sum() - change) < 1e-10


def test_one_module_called_twice_is_two_nodes() -> None:
    once = lifted(built(nn.ReLU())).values
    assert np.abs(once - lifted(built(nn.ReLU(), nn.ReLU())).values).max() < 1e-12


def test_deep_shap_is_the_mean_over_the_background() -> None:
    model = inspector.open_model(built(nn.ReLU()), example=torch.from_numpy(X))
    rows = RNG.normal(size=(3, 3, 10, 10)).astype(np.float32)
    got = attribute(model, X, "deep-shap", 1, dtype="float64", baseline=rows)
    single = [attribute(model, X, "deeplift", 1, dtype="float64", baseline=row).values for row in rows]
    assert np.abs(got.values - np.mean(single, 0)).max() < 1e-12
    assert got.residual is not None
    assert got.residual < 1e-10


def test_equal_values_of_a_uniform_reference_are_no_matter_of_rounding() -> None:
    """Which of a window's equal values is the largest must not hang on the last bit of a sum."""
    model = inspector.open_model(built(nn.Tanh()), example=torch.from_numpy(X))
    uniform = np.full((1, 3, 10, 10), 0.4)
    shaken = [uniform * (1 + 1e-15 * np.random.default_rng(i).normal(size=uniform.shape)) for i in range(2)]
    first, second = (
        attribute(model, X, "deeplift", 1, dtype="float64", baseline=begin).values for begin in shaken
    )
    assert np.abs(first).max() > 1e-3
    assert np.abs(first - second).max() < 1e-9
