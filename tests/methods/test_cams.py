"""Do class activation maps keep their identities in float64, and agree with the papers written out?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import inspector
from inspector.methods.cams.principal import principal_map

COFFEE = Path(__file__).parents[2] / "fixtures" / "coffee.png"


@pytest.fixture(scope="module")
def maps(classifier: inspector.Model) -> dict[str, Any]:
    names = ("cam", "grad-cam", "hires-cam", "xgrad-cam", "grad-cam++", "layer-cam")
    return {name: inspector.attribute(classifier, str(COFFEE), name, dtype="float64") for name in names}


def test_cam_is_places_times_grad_cam(maps: dict[str, Any]) -> None:
    cam, grad = maps["cam"].at_layer, maps["grad-cam"].at_layer
    assert np.ptp(cam) > 1
    np.testing.assert_allclose(cam, 13 * 13 * grad, rtol=0, atol=1e-10)


def test_hires_cam_is_grad_cam_and_sums_to_the_score(maps: dict[str, Any]) -> None:
    hires = maps["hires-cam"]
    np.testing.assert_allclose(hires.at_layer, maps["grad-cam"].at_layer, rtol=0, atol=1e-10)
    assert hires.at_layer.sum() == pytest.approx(hires.score, abs=1e-10)  # this head has no bias


def test_xgrad_cam_is_grad_cam_on_a_linear_head(maps: dict[str, Any]) -> None:
    np.testing.assert_allclose(maps["xgrad-cam"].at_layer, maps["grad-cam"].at_layer, rtol=0, atol=1e-7)


BOXES = {
    "coffee.png": (30, 135, 45, 185),  # the cup
    "chelsea.png": (90, 215, 15, 200),  # eyes, nose and whiskers
    "rocket.jpg": (65, 224, 100, 155),  # the rocket and what it stands on
}
"""Top, bottom, left and right of the object in the 224 × 224 that the net sees, drawn by hand."""


@pytest.mark.parametrize("picture", BOXES)
def test_grad_cam_peaks_on_the_object_of_every_shipped_picture(
    classifier: inspector.Model, picture: str
) -> None:
    found = inspector.attribute(classifier, str(COFFEE.parent / picture), "grad-cam")
    row, column = np.unravel_index(found.values[0].argmax(), (224, 224))
    top, bottom, left, right = BOXES[picture]
    assert top <= row < bottom
    assert left <= column < right


def test_grad_cam_peaks_on_the_horse(classifier: inspector.Model, shared_models: Path) -> None:
    """A silhouette is its own mask."""
    found = inspector.attribute(classifier, str(shared_models / "images" / "horse.png"), "grad-cam")
    assert found.picture is not None
    row, column = np.unravel_index(found.values[0].argmax(), (224, 224))
    assert found.picture[row, column].max() < 128


def test_an_expression_is_explained_at_a_layer_that_leads_to_it(shared_models: Path, fixtures: Path) -> None:
    """The first output of this net, boxes, hangs on another branch than the faces it is asked for."""
    net = shared_models / "mtcnn" / "onnx" / "pnet.onnx"
    found = inspector.attribute(net, str(fixtures / "coffee.png"), "grad-cam", "softmax[:, :, 1].max()")
    assert found.target.value == "softmax"
    assert found.values.shape == (1, 224, 224)


def test_principal_map_is_the_singular_vector_with_its_sign_fixed() -> None:
    for channels in (5, 60):
        values = torch.randn(2, channels, 4, 5, generator=torch.Generator().manual_seed(1)).double()
        found = principal_map(values)
        torch.testing.assert_close(found, principal_map(values.clone()))
        for row in range(2):
            centred = values[row].flatten(1).T
            centred = centred - centred.mean(0)
            u, s, _ = torch.linalg.svd(centred, full_matrices=False)
            slow = (u[:, 0] * s[0]).reshape(4, 5)
            slow = slow * torch.sign((slow.flatten() * centred.mean(1)).sum())
            torch.testing.assert_close(found[row], slow, rtol=0, atol=1e-10)
        torch.testing.assert_close(principal_map(-values), -found, rtol=0, atol=1e-10)
