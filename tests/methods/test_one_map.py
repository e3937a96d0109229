"""Does one network give one map, whichever of eight files it comes from?"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import inspector
from inspector.methods import Attribution, attribute, known_methods

REFERENCE = "squeezenet1_1_imagenet_op18.onnx"
FILES = {
    "squeezenet1_1_imagenet_op13_ts.onnx": {},
    "squeezenet1_1_imagenet_torchscript.pt": {},
    "squeezenet1_1_imagenet.pt2": {},
    "squeezenet1_1_imagenet.keras": {},
    "squeezenet1_1_imagenet.h5": {},
    "squeezenet1_1_imagenet_state_dict.pth": {"factory": True},
    "squeezenet1_1_imagenet.safetensors": {"factory": True},
}
FEW = {"parts": "grid", "count": 9}
OPTIONS = {
    "integrated-gradients": {"steps": 4, "baseline": "blur"},
    "conductance": {"steps": 3},
    "internal-influence": {"steps": 3, "baseline": "black"},
    "smoothgrad": {"samples": 3},
    "smoothgrad-squared": {"samples": 3},
    "vargrad": {"samples": 3},
    "expected-gradients": {"samples": 3, "noise": 0.1},
    "lrp": {"composite": "epsilon-gamma-box"},
    "deep-shap": {"baseline": "noise"},
    "occlusion": {"window": 75, "stride": 75},
    "rise": {"masks": 6},
    "feature-ablation": FEW,
    "kernel-shap": FEW | {"samples": 12},
    "lime": FEW | {"samples": 12},
    "shapley-sampling": FEW | {"orders": 1},
    "shapley": {"parts": "grid", "count": 4},
    "score-cam": {"channels": 8},
}
LEFT_OUT = {"ablation-cam": "512 channels, each a pass through the tail: minutes in float64"}
METHODS = sorted(set(known_methods()) - set(LEFT_OUT))


class Fire(nn.Module):
    """A 1x1 convolution, then 1x1 and 3x3 ones side by side (Iandola et al., figure 1)."""

    def __init__(self, inside: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inside, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """Version 1.1, its modules where the weights' names expect them."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        inside = 64
        for squeezed, expanded in ((16, 64), (16, 64), (0, 0), (32, 128), (32, 128), (0, 0), (48, 192)):
            layers.append(Fire(inside, squeezed, expanded) if squeezed else nn.MaxPool2d(3, 2))
            inside = 2 * expanded or inside
        layers += [Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).mean((2, 3))


@cache
def opened(path: Path) -> inspector.Model:
    """Each file is converted once for all methods."""
    options: dict[str, object] = {}
    if FILES.get(path.name):
        example = torch.zeros(1, 3, 224, 224)
        options = {"factory": f"{__name__}:SqueezeNet", "trust": True, "example": example}
    return inspector.open_model(path, **options)


@cache
def reference(path: Path, picture: Path, method: str) -> Attribution:
    return explained(path, picture, method)


def explained(path: Path, picture: Path, method: str) -> Attribution:
    return attribute(
        opened(path),
        picture,
        method,
        281,
        dtype="float64",
        preprocess="imagenet-caffe",
        **OPTIONS.get(method, {}),
    )


def channels_first(made: Attribution) -> np.ndarray:
    return np.moveaxis(made.values, -1, 1) if made.axes[-1] == "c" else made.values


def needs_attention(method: str) -> bool:
    return "attention" in known_methods()[method].needs


@pytest.mark.slow
@pytest.mark.parametrize("method", [m for m in METHODS if not needs_attention(m)])
@pytest.mark.parametrize("name", FILES)
def test_every_file_gives_the_same_map(shared_models: Path, fixtures: Path, name: str, method: str) -> None:
    folder, picture = shared_models / "imagenet_squeezenet1_1", fixtures / "chelsea.png"
    wanted = reference(folder / REFERENCE, picture, method)
    got = explained(folder / name, picture, method)
    assert got.target.label in ("", wanted.target.label)
    assert np.abs(channels_first(wanted)).max() > 1e-6
    assert np.abs(channels_first(got) - channels_first(wanted)).max() <= 1e-9
    if wanted.residual is not None:
        assert got.residual == pytest.approx(wanted.residual, abs=1e-9)


def test_pictures_with_channels_last_keep_their_axes(shared_models: Path, fixtures: Path) -> None:
    """A quick row of the table above, and an array in the model's own layout."""
    folder, picture = shared_models / "imagenet_squeezenet1_1", fixtures / "chelsea.png"
    first = explained(folder / REFERENCE, picture, "gradient")
    last = explained(folder / "squeezenet1_1_imagenet.keras", picture, "gradient")
    assert first.axes == ("n", "c", "h", "w")
    assert last.axes == ("n", "h", "w", "c")
    assert np.abs(first.values - channels_first(last)).max() <= 1e-9
    assert last.cells().shape == (3, 224, 224)
    array = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    model = opened(folder / "squeezenet1_1_imagenet.keras")
    given = attribute(model, array, "deeplift", 281, dtype="float64", baseline=array / 2)
    assert given.values.shape == array.shape
    assert given.residual is not None
    assert given.residual < 1e-10


def test_an_assumed_recipe_is_said(shared_models: Path, fixtures: Path) -> None:
    """The shared file says nothing of how pictures are prepared: without a recipe the answer is wrong."""
    path = shared_models / "imagenet_squeezenet1_1" / REFERENCE
    guessed = attribute(opened(path), fixtures / "chelsea.png", "gradient")
    assert "assumed" in " ".join(guessed.notes)
    told = attribute(opened(path), fixtures / "chelsea.png", "gradient", preprocess="imagenet-caffe")
    assert not told.notes
    assert told.target.index != guessed.target.index
