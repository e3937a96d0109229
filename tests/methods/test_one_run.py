"""Is a model run once for a class map, and do rows keep to themselves beside other inputs?"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import inspector
from inspector.autograd.network import Network
from inspector.methods import Preparation, attribute, find_method, prepare


@cache
def small() -> tuple[inspector.Model, np.ndarray]:
    torch.manual_seed(0)
    body = (nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU())
    net = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    x = torch.randn(2, 3, 20, 20)
    return inspector.open_model(net, example=x), x.numpy()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of steps of every net that is run."""
    found: list[int] = []
    state = Network.state

    def counted(net: Network, *arguments: object) -> object:
        found.append(len(net.block.steps))
        return state(net, *arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Network, "state", counted)
    return found


@pytest.mark.parametrize("layer", [None, "conv2d"])
def test_a_class_map_costs_one_run_and_the_tail(ran: list[int], layer: str | None) -> None:
    model, x = small()
    subject = prepare(model, x, target=1, layer=layer)
    for method in ("grad-cam", "hires-cam", "eigen-cam"):
        find_method(method).run(subject)
    assert float(subject.own_score[0]) != 0
    assert ran == [len(subject.net.block.steps), len(subject.tail(subject.layer.key).tail.block.steps)]


@pytest.mark.parametrize("method", ["gradient", "guided-backprop", "deconvnet"])
@pytest.mark.parametrize("target", [1, "top"])
def test_a_gradient_costs_one_run(ran: list[int], method: str, target: int | str) -> None:
    model, x = small()
    subject = prepare(model, x, target=target)
    made = find_method(method).run(subject)
    score = float(subject.own_score[0])
    assert ran == [len(subject.net.block.steps)]
    assert float(made.values.abs().max()) > 1e-6
    assert score == float(subject.score()[0])


def test_targets_of_one_input_share_the_run(ran: list[int]) -> None:
    model, x = small()
    prepared = Preparation(model, x)
    maps = [find_method("grad-cam").run(prepared.subject(find_method("grad-cam"), k)) for k in (0, 1)]
    assert not torch.equal(maps[0].values, maps[1].values)
    assert len(ran) == 3
    assert ran[1] == ran[2] < ran[0]


METHODS = ("grad-cam", "grad-cam++", "eigen-cam", "layer-cam", "finer-cam", "guided-grad-cam", "gradient")


@pytest.mark.parametrize("layer", [None, "conv2d"])
@pytest.mark.parametrize("name", METHODS)
def test_on_another_input_the_values_come_from_onnx_runtime(
    ran: list[int], name: str, layer: str | None
) -> None:
    model, x = small()
    method = find_method(name)
    first = Preparation(model, x, layer=layer)
    first.subject(method, "top").target  # noqa: B018
    lent = first.on(np.flip(x, -1).copy()).subject(method, "top")
    ran.clear()
    made = method.run(lent)
    score = lent.own_score
    whole = len(lent.net.block.steps)
    assert ran.count(whole) == (name in ("guided-grad-cam", "gradient"))
    alone = Preparation(model, np.flip(x, -1).copy(), layer=layer).subject(method, "top")
    wanted = method.run(alone)
    assert lent.target == alone.target
    size = float(wanted.values.abs().max())
    assert size > 1e-8
    assert float((made.values - wanted.values).abs().max()) <= 2e-6 * size
    assert torch.allclose(score, alone.own_score, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "options", [{"dtype": "float64"}, {"straight_through": True, "layer": "no such layer"}]
)
def test_what_onnx_runtime_cannot_tell_is_run_in_torch(options: dict[str, Any]) -> None:
    """Double precision, and an unknown layer that a gradient does not need."""
    model, x = small()
    method = find_method("gradient")
    first = Preparation(model, x, **options)
    first.subject(method, 1)
    made = method.run(first.on(2 * x).subject(method, 1)).values
    wanted = method.run(Preparation(model, 2 * x, **options).subject(method, 1)).values
    assert torch.equal(made, wanted)


def test_inputs_of_another_size_are_looked_at_anew() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    model = inspector.open_model(net, input_shape={"": (1, 3, "h", "w")})
    method = find_method("grad-cam")
    first = Preparation(model, np.random.default_rng(0).normal(size=(1, 3, 20, 20)).astype(np.float32))
    assert method.run(first.subject(method, 1)).values.shape == (1, 20, 20)
    other = np.random.default_rng(1).normal(size=(1, 3, 26, 32)).astype(np.float32)
    assert method.run(first.on(other).subject(method, 1)).values.shape == (1, 26, 32)


def test_what_was_seen_is_what_another_run_gives() -> None:
    model, x = small()
    subject = prepare(model, x, target=1, dtype="float64")
    again = dataclasses.replace(subject, feeds=dict(subject.feeds))
    assert subject.shapes
    assert subject.seen.values
    assert not again.seen.values
    assert again.shapes == subject.shapes
    assert torch.equal(again.own_score, subject.own_score)
    for method in ("grad-cam", "eigen-cam", "hires-cam"):
        seen, anew = (find_method(method).run(one).values for one in (subject, again))
        assert float(seen.abs().max()) > 1e-6
        assert torch.equal(seen, anew)


def test_another_net_or_input_forgets_what_was_seen() -> None:
    model, x = small()
    subject = prepare(model, x, target=1)
    moved = dataclasses.replace(subject, x=subject.x + 1, feeds={subject.entry: subject.x + 1})
    assert not torch.equal(moved.own_score, subject.own_score)


def test_a_net_is_folded_once_for_every_target() -> None:
    model, x = small()
    one = prepare(model, x, target=1)
    other = prepare(model, x, target=2, like=one)
    find_method("smoothgrad").run(one, samples=2)
    folded = one.folds[True]
    find_method("smoothgrad").run(other, samples=2)
    assert other.folds[True] is folded
    assert folded[0] is one.net


class Gated(nn.Module):
    """Features of a picture times a gate from numbers that come with it."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.gate, self.head = nn.Conv2d(2, 5, 3, padding=1), nn.Linear(3, 5), nn.Linear(5, 4)

    def forward(self, picture: Tensor, numbers: Tensor) -> Tensor:
        seen = torch.relu(self.see(picture)) * torch.sigmoid(self.gate(numbers))[:, :, None, None]
        return self.head(seen.mean((2, 3)))


@cache
def gated() -> inspector.Model:
    torch.manual_seed(1)
    example = {"picture": torch.randn(2, 2, 6, 6), "numbers": torch.randn(2, 3)}
    return inspector.open_model(Gated().eval(), example=example)


OPTIONS = {
    "smoothgrad": {"samples": 3, "noise": 0.0},
    "integrated-gradients": {"steps": 4},
    "conductance": {"steps": 2},
    "full-grad": {},
    "grad-cam": {"rectified": False},
    "lrp": {},
    "deeplift": {},
    "occlusion": {"window": 3},
    "rise": {"masks": 20},
    "kernel-shap": {"parts": "grid", "count": 4},
}


@pytest.mark.parametrize("rows", [2, 7, 17])
@pytest.mark.parametrize("method", OPTIONS)
def test_every_row_goes_with_its_own_other_inputs(method: str, rows: int) -> None:
    model = gated()
    drawn = np.random.default_rng(0)
    inputs = {"picture": drawn.normal(size=(rows, 2, 6, 6)), "numbers": 3 * drawn.normal(size=(rows, 3))}
    inputs = {name: array.astype(np.float32) for name, array in inputs.items()}
    together = attribute(model, inputs, method, 1, dtype="float64", **OPTIONS[method]).values
    last = {name: array[-1:] for name, array in inputs.items()}
    alone = attribute(model, last, method, 1, dtype="float64", **OPTIONS[method]).values
    assert np.abs(alone).max() > 1e-4
    assert np.abs(together[-1] - alone[0]).max() <= 1e-10
