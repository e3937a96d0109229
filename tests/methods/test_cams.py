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


def test_grad_cam_peaks_on_the_cup(maps: dict[str, Any]) -> None:
    row, column = np.unravel_index(maps["grad-cam"].at_layer[0].argmax(), (13, 13))
    assert 3 <= row <= 6
    assert 3 <= column <= 8


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
