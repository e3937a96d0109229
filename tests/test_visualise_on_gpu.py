"""Do invented pictures and data-set passes on CUDA repeat bit by bit, and agree with the CPU?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import inspector
from inspector.errors import DeviceUnavailable
from inspector.methods import dissection, maximize

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]


def climbed(
    model: inspector.Model, device: str, parametrization: str, *, double: bool
) -> maximize.Visualization:
    stage = maximize.open_stage(model, size=(160, 160), device=device, double=double)
    wanted = maximize.parse_objective("relu_12:20", stage)
    return maximize.ascend(stage, wanted, maximize.Settings(parametrization, steps=20))


@pytest.mark.parametrize("parametrization", ["fourier", "pixel", "cppn", "maco"])
def test_invented_pictures_repeat_on_cuda(classifier: inspector.Model, parametrization: str) -> None:
    first, second = (climbed(classifier, "cuda", parametrization, double=False) for _ in range(2))
    assert first.history == second.history
    np.testing.assert_array_equal(first.pictures, second.pictures)
    assert first.after[0] > first.before[0]


@pytest.mark.parametrize("parametrization", ["fourier", "pixel", "cppn", "maco"])
def test_invented_pictures_are_those_of_the_cpu_in_double_precision(
    classifier: inspector.Model, parametrization: str
) -> None:
    here, there = (climbed(classifier, device, parametrization, double=True) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(here.history, there.history, rtol=1e-6)
    assert np.abs(here.pictures.astype(int) - there.pictures.astype(int)).max() <= 1


def test_dreams_and_projections_agree_with_the_cpu(classifier: inspector.Model, fixtures: Path) -> None:
    picture = np.asarray(Image.open(fixtures / "chelsea.png").convert("RGB"))
    dreams, projections = [], []
    for device in ("cpu", "cuda", "cuda"):
        stage = maximize.open_stage(classifier, device=device, double=True)
        dreams.append(maximize.dream(stage, picture, "relu_4", octaves=1, steps=2).picture.astype(int))
        projections.append(dissection.project(stage, picture, "relu_12", channels=2).whole)
    assert np.abs(dreams[0] - dreams[1]).max() <= 1
    np.testing.assert_array_equal(dreams[1], dreams[2])
    np.testing.assert_allclose(projections[0], projections[1], atol=1e-8 * np.abs(projections[0]).max())


def test_data_set_passes_agree_with_the_cpu(classifier: inspector.Model, tmp_path: Path) -> None:
    labelled = dissection.synthetic_concepts(8)
    for example in labelled.stream():
        assert example.picture is not None
        Image.fromarray(example.picture).save(tmp_path / f"{example.name}.png")
    try:
        tops = [
            dissection.top_images(classifier, tmp_path, "relu_12", k=3, show=4, device=device)
            for device in ("cpu", "cuda", "cuda")
        ]
        layers = [
            dissection.dissect_layer(classifier, labelled, "relu_12", device=device)
            for device in ("cpu", "cuda", "cuda")
        ]
    except DeviceUnavailable as reason:
        pytest.skip(f"ONNX Runtime has no CUDA: {reason}")
    assert tops[1].hits == tops[2].hits
    for here, there in zip(tops[0].hits, tops[1].hits, strict=True):
        np.testing.assert_allclose(
            [hit.value for hit in here], [hit.value for hit in there], rtol=1e-3, atol=1e-3
        )
    np.testing.assert_array_equal(layers[1].iou, layers[2].iou)
    np.testing.assert_allclose(layers[0].iou, layers[1].iou, atol=0.02)
    np.testing.assert_allclose(layers[0].thresholds, layers[1].thresholds, rtol=1e-3, atol=1e-3)
