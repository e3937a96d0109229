"""Does every method give on a CUDA device the map that it gives on the CPU?"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import inspector
from inspector.methods import attribute, evaluate, known_methods, prepare

sys.path.insert(0, str(Path(__file__).parent.parent))
from architectures import ARCHITECTURES

CHOSEN: dict[str, dict[str, Any]] = {
    "integrated-gradients": {"steps": 6},
    "conductance": {"steps": 3},
    "internal-influence": {"steps": 3},
    "smoothgrad": {"samples": 4},
    "smoothgrad-squared": {"samples": 4},
    "vargrad": {"samples": 4},
    "expected-gradients": {"samples": 4, "noise": 0.1, "baseline": "noise"},
    "lrp": {"composite": "epsilon-gamma-box"},
    "deep-shap": {"baseline": "noise"},
    "deconvnet": {"overlaps": "overwrite"},
    "ablation-cam": {"rectified": False},
    "rise": {"masks": 20},
    "feature-ablation": {"parts": "grid", "count": 9, "baseline": "blur"},
    "kernel-shap": {"parts": "grid", "count": 9, "samples": 20},
    "lime": {"parts": "grid", "count": 9, "samples": 20},
    "shapley-sampling": {"parts": "grid", "count": 9, "orders": 2},
    "shapley": {"parts": "grid", "count": 4},
}
TARGET = 1


MEASURES = (
    *("insertion", "deletion", "road", "infidelity", "max-sensitivity", "sparseness", "randomisation"),
)


@cache
def convolutional() -> tuple[inspector.Model, np.ndarray]:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    norm.running_mean, norm.running_var = torch.randn(8), torch.rand(8) + 0.5
    start = (nn.Conv2d(3, 8, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 6, 3))
    head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4), nn.Softmax(-1))
    x = torch.randn(2, 3, 24, 24)
    return inspector.open_model(nn.Sequential(*start, *head).eval(), example=x), x.numpy()


@cache
def transformer() -> tuple[inspector.Model, np.ndarray]:
    row = ARCHITECTURES["vit"]
    x = row.inputs(row.traced, seed=7)
    return inspector.open_model(row.module(), example=x), x.numpy()


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", known_methods())
def test_cuda_gives_the_map_of_the_cpu(method: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    model, x = transformer() if "attention" in known_methods()[method].needs else convolutional()
    options = CHOSEN.get(method, {})
    wanted, got = (
        attribute(model, x, method, TARGET, dtype="float64", device=device, **options).values
        for device in ("cpu", "cuda")
    )
    assert np.abs(wanted).max() > 1e-9
    assert np.abs(got - wanted).max() <= 1e-9 * np.abs(wanted).max()


@pytest.mark.gpu
def test_cuda_judges_as_the_cpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    model, x = convolutional()
    wanted, got = (
        evaluate(
            prepare(model, x[:1], target=TARGET, dtype="float64", device=device),
            ["gradient", "grad-cam"],
            MEASURES,
        )
        for device in ("cpu", "cuda")
    )
    assert not got.refused
    for method, row in wanted.measurements.items():
        for measure, one in row.items():
            assert got.measurements[method][measure].value == pytest.approx(one.value, rel=1e-6), measure
