"""Do guided backpropagation and the deconvolutional net follow their rules at every rectifier?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from captum.attr import Deconvolution, GuidedBackprop
from torch import Tensor, nn

import inspector
from inspector.methods import attribute


class Functional(nn.Module):
    """Functional rectifiers: libraries that hook modules miss them and give the plain gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 8, 3)
        self.last = nn.Linear(8 * 9, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 3, 2, 1)
        return self.last(F.relu(self.second(x)).flatten(1))


class Modules(Functional):
    """The same net with a module for every rectifier, which libraries treat rightly."""

    def __init__(self) -> None:
        super().__init__()
        self.on, self.off = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.on(self.first(x)), 3, 2, 1)
        return self.last(self.off(self.second(x)).flatten(1))


class Reused(Modules):
    """The same net with one rectifier called twice."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.on(self.first(x)), 3, 2, 1)
        return self.last(self.on(self.second(x)).flatten(1))


X = np.random.default_rng(0).normal(size=(1, 3, 10, 10)).astype(np.float32)


def built(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(2)
    return kind().eval()


def opened(kind: type[nn.Module]) -> inspector.Model:
    return inspector.open_model(built(kind), example=torch.from_numpy(X))


def by_hand(rule: str, overwrite: bool = False) -> Tensor:
    """The backward pass written out, window by window at the pool."""
    net = built(Functional).double()
    x = torch.from_numpy(X).double()
    before = net.first(x)
    hidden = before.clamp(min=0)
    pooled, places = F.max_pool2d(hidden, 3, 2, 1, return_indices=True)
    later = net.second(pooled)
    back = net.last.weight[1].reshape(later.shape)
    back = back.clamp(min=0) * ((later > 0) if rule == "guided" else 1)
    back = F.conv_transpose2d(back, net.second.weight)
    unpooled = torch.zeros_like(hidden)
    for c in range(6):
        plane = unpooled[0, c].view(-1)
        for place, value in zip(places[0, c].view(-1).tolist(), back[0, c].reshape(-1), strict=True):
            plane[place] = value if overwrite else plane[place] + value
    back = unpooled.clamp(min=0) * ((before > 0) if rule == "guided" else 1)
    return F.conv_transpose2d(back, net.first.weight, padding=1).detach()


@pytest.mark.parametrize("kind", [Functional, Modules, Reused])
@pytest.mark.parametrize(("name", "rule"), [("guided-backprop", "guided"), ("deconvnet", "deconvolution")])
def test_hand_rule_however_the_net_was_written(kind: type[nn.Module], name: str, rule: str) -> None:
    got = attribute(opened(kind), X, name, 1, dtype="float64").values
    assert np.abs(got - by_hand(rule).numpy()).max() < 1e-10
    plain = attribute(opened(kind), X, "gradient", 1, dtype="float64").values
    assert np.abs(got - plain).max() > 1e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "rival"), [("guided-backprop", GuidedBackprop), ("deconvnet", Deconvolution)]
)
def test_captum_agrees_where_it_is_right(name: str, rival: type) -> None:
    x = torch.from_numpy(X).double().requires_grad_()
    wanted = rival(built(Modules).double()).attribute(x, target=1).detach().numpy()
    assert np.abs(attribute(opened(Modules), X, name, 1, dtype="float64").values - wanted).max() < 1e-10


def test_later_windows_overwrite() -> None:
    got = attribute(opened(Functional), X, "deconvnet", 1, dtype="float64", overlaps="overwrite").values
    assert np.abs(got - by_hand("deconvolution", overwrite=True).numpy()).max() < 1e-10
    summed = attribute(opened(Functional), X, "deconvnet", 1, dtype="float64").values
    assert np.abs(got - summed).max() > 1e-3


def test_guided_grad_cam_is_the_product() -> None:
    model = opened(Functional)
    got = attribute(model, X, "guided-grad-cam", 1, dtype="float64")
    cam = attribute(model, X, "grad-cam", 1, dtype="float64").values
    details = attribute(model, X, "guided-backprop", 1, dtype="float64").values
    assert np.abs(got.values - details * cam[:, None]).max() < 1e-12
    assert got.layer


def test_the_known_failure_is_said() -> None:
    assert "random" in " ".join(attribute(opened(Functional), X, "guided-backprop", 1).notes)
