"""Do DeepLIFT, DeepSHAP and LRP give Captum's map on well-known architectures, where Captum is right?"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from captum.attr import LRP, DeepLift, DeepLiftShap
from captum.attr._utils.lrp_rules import EpsilonRule
from parity_nets import pair
from torch import Tensor, nn

from inspector.methods import attribute

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

LIFTED = (
    *("densenet", "apart-resnet", "apart-vgg", "apart-inception", "apart-unet", "apart-mobilenet"),
    "lenet",
)
SHARED = ("vgg", "inception", "lenet", "apart-resnet", "apart-vgg", "apart-mobilenet")
"""Without these: Captum's LRP has no rule for transposed convolutions (unet), LayerNorm (convnext, vit), and
multiplies what a concatenation passes by the activation once more (densenet)."""
TARGET = 1
TINY = 1e-30


def references(x: np.ndarray, rows: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, *x.shape[1:])).astype(np.float32)


def double(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x).double().requires_grad_()


def without_places(net: nn.Module) -> nn.Module:
    """A copy whose rectifiers make new values: Captum compares them with what was there before."""
    net = deepcopy(net)
    for layer in net.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return net


@pytest.mark.parametrize("name", LIFTED)
def test_deeplift_is_captums(name: str) -> None:
    model, net, x = pair(name)
    begin = references(x, len(x))
    wanted = DeepLift(without_places(net)).attribute(double(x), double(begin), target=TARGET)
    got = attribute(model, x, "deeplift", TARGET, dtype="float64", logit=False, baseline=begin)
    assert np.abs(got.values).max() > 1e-3
    assert np.abs(got.values[0] - got.values[1]).max() > 1e-3
    assert np.abs(got.values - wanted.detach().numpy()).max() < 1e-10
    assert got.residual is not None
    assert got.residual < 1e-10


@pytest.mark.parametrize("name", LIFTED)
def test_deep_shap_is_captums(name: str) -> None:
    model, net, x = pair(name)
    background = references(x, 3)
    wanted = DeepLiftShap(without_places(net)).attribute(double(x), double(background), target=TARGET)
    got = attribute(model, x, "deep-shap", TARGET, dtype="float64", logit=False, baseline=background)
    assert np.abs(got.values).max() > 1e-3
    assert np.abs(got.values - wanted.detach().numpy()).max() < 1e-10


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vgg", "what max pooling passes does not add up"),
        ("inception", "a maximum over places passes only the gradient"),
        ("convnext", "LayerNorm and GELU pass the gradient"),
        ("mobilenet", "a product of two values, Hardswish and functional rectifiers pass the gradient"),
    ],
)
def test_captums_deeplift_misses_part_of_the_change(name: str, reason: str) -> None:
    model, net, x = pair(name)
    begin = references(x, len(x))
    with torch.no_grad():
        change = (net(double(x)) - net(double(begin)))[:, TARGET].numpy()
    wanted = DeepLift(without_places(net)).attribute(double(x), double(begin), target=TARGET)
    missed = np.abs(wanted.detach().numpy().sum((1, 2, 3)) - change).max()
    got = attribute(model, x, "deeplift", TARGET, dtype="float64", logit=False, baseline=begin)
    assert missed > 1e-5, reason
    assert got.residual is not None
    assert got.residual < 1e-10


@pytest.mark.parametrize("name", SHARED)
def test_epsilon_relevance_is_captums(name: str) -> None:
    """Captum stabilises a convolution and the BatchNorm behind it each, and pooling; merged they are one
    layer, and pooling needs nothing. So with BatchNorm both get an epsilon that does not count."""
    model, net, x = pair(name)
    net = without_places(net)
    merged = any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    epsilon = TINY if merged else 1e-4
    for layer in net.modules():
        if isinstance(layer, nn.MaxPool2d):
            layer.rule = EpsilonRule(TINY)
        elif not isinstance(layer, (nn.ReLU, nn.Tanh, nn.Dropout)) and not list(layer.children()):
            layer.rule = EpsilonRule(epsilon)
    wanted = LRP(net).attribute(double(x), target=TARGET).detach().numpy()
    got = attribute(model, x, "lrp", TARGET, dtype="float64", logit=False, epsilon=epsilon).values
    assert np.abs(wanted).max() > 1e-3
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-3
    assert np.abs(got - wanted).max() < 1e-10
