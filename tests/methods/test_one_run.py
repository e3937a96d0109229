"""Is a model run once for a class map, and do rows keep to themselves beside other inputs?"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import inspector
from inspector.autograd.network import Network
from inspector.methods import attribute, find_method, prepare


@cache
def small() -> tuple[inspector.Model, np.ndarray]:
    torch.manual_seed(0)
    body = (nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU())
    net = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    x = torch.randn(2, 3, 20, 20)
    return inspector.open_model(net, example=x), x.numpy()


@pytest.mark.parametrize("layer", [None, "conv2d"])
def test_a_class_map_costs_one_run_and_the_tail(monkeypatch: pytest.MonkeyPatch, layer: str | None) -> None:
    model, x = small()
    first = prepare(model, x, target=1, layer=layer)
    ran: list[int] = []
    state = Network.state

    def counted(net: Network, *arguments: object) -> object:
        ran.append(len(net.block.steps))
        return state(net, *arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Network, "state", counted)
    subject = prepare(model, x, target=1, layer=layer, like=first)
    find_method("grad-cam").run(subject)
    assert float(subject.own_score[0]) != 0
    assert ran == [len(first.net.block.steps), len(subject.tail(subject.layer.key).tail.block.steps)]


def test_what_was_seen_is_what_another_run_gives() -> None:
    model, x = small()
    subject = prepare(model, x, target=1, dtype="float64")
    again = dataclasses.replace(subject)
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
