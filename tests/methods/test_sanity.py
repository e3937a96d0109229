"""Which methods look at the model? The randomisation check on a small net trained on handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import inspector
from inspector import methods
from inspector.methods import Evaluation

pytestmark = pytest.mark.slow  # trains a net
HONEST = ("gradient", "integrated-gradients", "grad-cam")
PICTURES = 6


class Reader(nn.Module):
    """Three convolutions, global average pooling and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.three, self.head = nn.Conv2d(32, 32, 3, padding=1), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.two(self.one(x).relu()).relu(), 2)
        return self.head(self.three(x).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def digits(shared_models: Path) -> tuple[Tensor, Tensor]:
    """Pictures (n, 1, 8, 8) of 0 … 1 and their digits."""
    rows = np.loadtxt(shared_models / "datasets" / "digits.csv.gz", delimiter=",", dtype=np.float32)
    pictures = torch.from_numpy(rows[:, :-1] / 16).reshape(-1, 1, 8, 8)
    return pictures, torch.from_numpy(rows[:, -1]).long()


@pytest.fixture(scope="module")
def reader(digits: tuple[Tensor, Tensor]) -> inspector.Model:
    """Trained until it reads at least nine of ten held-out digits."""
    pictures, answers = digits
    torch.manual_seed(0)
    net = Reader()
    learner = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(12):
        for part in torch.randperm(1500).split(100):
            learner.zero_grad()
            F.cross_entropy(net(pictures[part]), answers[part]).backward()
            learner.step()
    with torch.no_grad():
        right = (net.eval()(pictures[1500:]).argmax(1) == answers[1500:]).float().mean().item()
    assert right > 0.9
    return inspector.open_model(net, example=pictures[:1])


@pytest.fixture(scope="module")
def checked(reader: inspector.Model, digits: tuple[Tensor, Tensor]) -> list[Evaluation]:
    found: list[Evaluation] = []
    for picture in digits[0][1500 : 1500 + PICTURES]:
        subject = methods.prepare(reader, picture[None].numpy(), dtype="float64")
        found.append(methods.evaluate(subject, [*HONEST, "guided-backprop"], ["randomisation"]))
    return found


def correlation(checked: list[Evaluation], method: str) -> float:
    """Mean over pictures of the rank correlation with the map of a net of noise."""
    return float(np.mean([one.measurements[method]["randomisation"].value for one in checked]))


@pytest.mark.parametrize("method", HONEST)
def test_maps_that_depend_on_the_model_change(checked: list[Evaluation], method: str) -> None:
    assert correlation(checked, method) < 0.5


def test_guided_backprop_keeps_drawing_the_picture_and_the_user_is_told(checked: list[Evaluation]) -> None:
    assert correlation(checked, "guided-backprop") > 0.5
    told = [note for one in checked for note in one.notes if "fails the sanity check" in note]
    assert len(told) >= PICTURES // 2
    assert any(note.startswith("guided-backprop") for note in told)
