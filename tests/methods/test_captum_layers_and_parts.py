"""Do conductance, internal influence, occlusion, ablation and Shapley values give Captum's numbers?"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, InternalInfluence, LayerConductance, Occlusion, ShapleyValues
from captum.attr._core import shapley_value
from parity_nets import INNER, pair
from torch import Tensor

from inspector.methods import attribute
from inspector.model import Model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("attention_as_stored"),
]

FIRST = {
    "resnet": "stem.0",
    "densenet": "stem",
    "vgg": "features.0",
    "inception": "three.0.0",
    "convnext": "stem",
    "pooled-unet": "down1.0",
    "vit": "patches",
}
TARGET, STEPS = 1, 8
QUARTERS = np.arange(32)[:, None] // 16 * 2 + np.arange(32) // 16


def double(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x).double().requires_grad_()


def ours(model: Model, x: np.ndarray, method: str, layer: str, quadrature: str) -> np.ndarray:
    """Our map at a layer, the path's rule being that of Captum's call."""
    made = attribute(
        model, x, method, TARGET, layer=layer.replace(".", "/"), dtype="float64", logit=False,
        steps=STEPS, quadrature=quadrature,
    )  # fmt: skip
    return made.values


@pytest.mark.parametrize("name", INNER)
def test_internal_influence_is_captums(name: str) -> None:
    """Layers on a branch too: what goes around them walks along the path as well."""
    model, net, x = pair(name)
    wanted = (
        InternalInfluence(net, net.get_submodule(INNER[name]))
        .attribute(double(x), target=TARGET, n_steps=STEPS, method="riemann_middle")
        .detach()
        .numpy()
    )
    got = ours(model, x, "internal-influence", INNER[name], "midpoint")
    assert np.abs(wanted).max() > 1e-4
    assert np.abs(got.reshape(wanted.shape) - wanted).max() < 1e-10


@pytest.mark.parametrize("name", FIRST)
def test_conductance_is_captums_where_the_layer_is_linear(name: str) -> None:
    """Captum takes the layer's change from step to step for its speed, which is exact at a linear layer."""
    model, net, x = pair(name)
    wanted = (
        LayerConductance(net, net.get_submodule(FIRST[name]))
        .attribute(double(x), target=TARGET, n_steps=STEPS, method="riemann_trapezoid")
        .detach()
        .numpy()
    )
    got = ours(model, x, "conductance", FIRST[name], "left")
    assert np.abs(wanted).max() > 1e-4
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-4
    assert np.abs(got.reshape(wanted.shape) - wanted).max() < 1e-10


def in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captum sums what parts take away in float32, whatever the model's type."""
    wide = SimpleNamespace(**{**vars(torch), "float": torch.float64})
    monkeypatch.setattr(shapley_value, "torch", wide)
    monkeypatch.setattr(Tensor, "float", Tensor.double)


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("method", ["occlusion", "feature-ablation", "shapley"])
def test_parts_are_captums(name: str, method: str) -> None:
    model, net, x = pair(name)
    parts = torch.from_numpy(QUARTERS)[None, None]
    rivals = {
        "occlusion": lambda: Occlusion(net).attribute(double(x), (3, 8, 8), strides=(3, 4, 4), target=TARGET),
        "feature-ablation": lambda: FeatureAblation(net).attribute(
            double(x), target=TARGET, feature_mask=parts
        ),
        "shapley": lambda: ShapleyValues(net).attribute(double(x), target=TARGET, feature_mask=parts),
    }
    with pytest.MonkeyPatch.context() as patch:
        in_double(patch)
        wanted = rivals[method]().detach().numpy()
    options = {"window": 8, "stride": 4} if method == "occlusion" else {"labels": QUARTERS}
    got = attribute(model, x, method, TARGET, dtype="float64", logit=False, **options).values
    assert np.abs(wanted).max() > 1e-3
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-3
    assert np.abs(got[:, None] - wanted).max() < 1e-10
