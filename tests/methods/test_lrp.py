"""Does relevance propagation conserve the score, and follow the rules as Captum does where it is right?"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from captum.attr import LRP
from torch import Tensor, nn

import inspector
from inspector.errors import UnsupportedOperator
from inspector.methods import attribute
from inspector.methods.rules.lrp import COMPOSITES

X = np.random.default_rng(0).normal(size=(1, 3, 10, 10)).astype(np.float32)


class Net(nn.Module):
    def __init__(self, biased: bool, activation: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 6, 3, padding=1, bias=biased)
        self.second = nn.Conv2d(6, 6, 3, padding=1, bias=biased)
        self.last = nn.Linear(6 * 25, 4, bias=biased)
        self.pool, self.one, self.two = nn.AvgPool2d(2), activation, nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.two(self.second(self.pool(self.one(self.first(x))))).flatten(1))


class Shortcut(Net):
    """A sum of two branches behind BatchNorm."""

    def __init__(self) -> None:
        super().__init__(False, nn.ReLU())
        self.norm = nn.BatchNorm2d(6)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.first(x))), 2)
        return self.last(F.gelu(x + self.second(x)).flatten(1))


def relevance(net: nn.Module, **options: object) -> inspector.methods.Attribution:
    model = inspector.open_model(net.eval(), example=torch.from_numpy(X))
    return attribute(model, X, "lrp", 1, dtype="float64", **options)


@lru_cache(maxsize=1)
def bare_models() -> list[inspector.Model]:
    nets = (Net(False, nn.ReLU()).eval(), Shortcut().eval())
    return [inspector.open_model(net, example=torch.from_numpy(X)) for net in nets]


@pytest.mark.parametrize("composite", sorted(COMPOSITES))
def test_conserved_without_biases(composite: str) -> None:
    for model in bare_models():
        got = attribute(model, X, "lrp", 1, dtype="float64", composite=composite, epsilon=0.0)
        assert got.residual is not None
        assert got.residual < 1e-10
        assert np.abs(got.values).max() > 1e-4


def test_zero_epsilon_is_gradient_times_input() -> None:
    model = inspector.open_model(Net(False, nn.ReLU()).eval(), example=torch.from_numpy(X))
    wanted = attribute(model, X, "gradient-x-input", 1, dtype="float64").values
    assert np.abs(relevance(Net(False, nn.ReLU()), epsilon=0.0).values - wanted).max() < 1e-10


@pytest.mark.filterwarnings("ignore")
def test_captum_agrees_where_it_is_right() -> None:
    net = Net(True, nn.ReLU()).double().eval()
    wanted = LRP(net).attribute(torch.from_numpy(X).double().requires_grad_(), target=1).detach().numpy()
    got = relevance(Net(True, nn.ReLU()), epsilon=1e-9)
    assert np.abs(got.values - wanted).max() < 1e-10
    assert got.residual is not None
    assert got.residual > 1e-4


@pytest.mark.parametrize("kind", [nn.GELU, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.Sigmoid])
def test_activations_that_captum_refuses(kind: type[nn.Module]) -> None:
    got = relevance(Net(False, kind()), epsilon=0.0)
    assert got.residual is not None
    assert got.residual < 1e-10


def test_an_operator_without_a_rule_is_named() -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(x.flatten(1), 1)

    with pytest.raises(UnsupportedOperator, match="CumSum"):
        relevance(Sorted())
