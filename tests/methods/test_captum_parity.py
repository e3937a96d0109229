"""Do well-known architectures get Captum's map, in double precision, where Captum is right?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    Saliency,
)
from parity_nets import INNER, pair
from torch import Tensor, nn

from inspector.methods import attribute

pytestmark = pytest.mark.usefixtures("attention_as_stored")

NAMES = ("resnet", "densenet", "vgg", "inception", "convnext", "vit")
"""Classifiers of pictures: BatchNorm, shortcuts, concatenation, GELU, LayerNorm, attention."""
LAYERS = {name: layer for name, layer in INNER.items() if name != "vit"}
RECTIFYING = ("resnet", "densenet", "vgg", "inception", "pooled-unet", "modular-mobilenet")
"""Nets whose rectifiers are all modules, which Captum's hooks need, and ReLU, the only kind it changes."""
TARGET = 1
STEPS = 16
"""A power of two: Captum keeps weights in float32, which are exact then."""


def rival(name: str, net: nn.Module, x: Tensor) -> Tensor:
    found: dict[str, Callable[[], Tensor]] = {
        "gradient": lambda: Saliency(net).attribute(x, target=TARGET, abs=False),
        "gradient-x-input": lambda: InputXGradient(net).attribute(x, target=TARGET),
        "integrated-gradients": lambda: IntegratedGradients(net).attribute(
            x, target=TARGET, n_steps=STEPS, method="riemann_middle"
        ),
    }
    return found[name]()


OPTIONS = {"integrated-gradients": {"steps": STEPS, "quadrature": "midpoint"}}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["gradient", "gradient-x-input", "integrated-gradients"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_captums(name: str, method: str) -> None:
    model, net, x = pair(name)
    wanted = rival(method, net, torch.from_numpy(x).double().requires_grad_()).detach().numpy()
    got = attribute(model, x, method, TARGET, dtype="float64", logit=False, **OPTIONS.get(method, {}))
    assert np.abs(wanted).max() > 1e-6
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-6
    assert np.abs(got.values - wanted).max() < 1e-10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("method", "kind"), [("guided-backprop", GuidedBackprop), ("deconvnet", Deconvolution)]
)
@pytest.mark.parametrize("name", RECTIFYING)
def test_rules_are_captums_where_rectifiers_are_modules(name: str, method: str, kind: type) -> None:
    model, net, x = pair(name)
    wanted = kind(net).attribute(torch.from_numpy(x).double().requires_grad_(), target=TARGET)
    got = attribute(model, x, method, TARGET, dtype="float64", logit=False).values
    assert np.abs(got).max() > 1e-6
    assert np.abs(got - wanted.detach().numpy()).max() < 1e-10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LAYERS)
def test_class_maps_are_captums(name: str) -> None:
    model, net, x = pair(name)
    module = net.get_submodule(LAYERS[name])
    wanted = LayerGradCam(net, module).attribute(
        torch.from_numpy(x).double(), target=TARGET, relu_attributions=False
    )
    scope = LAYERS[name].replace(".", "/")
    got = attribute(
        model, x, "grad-cam", TARGET, layer=scope, dtype="float64", logit=False, rectified=False
    ).at_layer
    assert got is not None
    assert np.abs(got).max() > 1e-6
    assert np.abs(got - wanted.detach().numpy()[:, 0]).max() < 1e-10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RECTIFYING)
def test_guided_class_maps_are_captums(name: str) -> None:
    model, net, x = pair(name)
    layer = LAYERS.get(name, "project.0")
    wanted = (
        GuidedGradCam(net, net.get_submodule(layer))
        .attribute(torch.from_numpy(x).double().requires_grad_(), target=TARGET, interpolate_mode="bilinear")
        .detach()
        .numpy()
    )
    got = attribute(
        model, x, "guided-grad-cam", TARGET, layer=layer.replace(".", "/"), dtype="float64", logit=False
    ).values
    top = np.abs(wanted).max()
    assert top > 1e-8
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-8
    assert np.abs(got - wanted).max() < 1e-10 * min(top, 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mobilenet", "its rectifier is a function, which no hook sees, and Hardswish is no ReLU"),
        ("convnext", "GELU is no ReLU: Captum returns the gradient"),
        ("vit", "GELU is no ReLU: Captum returns the gradient"),
    ],
)
def test_captum_passes_over_rectifiers(name: str, reason: str) -> None:
    model, net, x = pair(name)
    wanted = GuidedBackprop(net).attribute(torch.from_numpy(x).double().requires_grad_(), target=TARGET)
    got = attribute(model, x, "guided-backprop", TARGET, dtype="float64", logit=False).values
    assert np.abs(got - wanted.detach().numpy()).max() > 1e-6, reason
