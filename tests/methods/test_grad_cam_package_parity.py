"""Do well-known architectures get pytorch-grad-cam's raw map, in double precision, where it is right?

The package itself gives out only scaled maps; its raw ones are taken before scaling. Its Grad-CAM++ and
XGrad-CAM add 1e-6 and 1e-7 to denominators, so they are compared in test_cams with their papers instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inspector.methods import attribute

sys.path.insert(0, str(Path(__file__).parent.parent))
from architectures import ARCHITECTURES
from parity_nets import pair

package = pytest.importorskip("pytorch_grad_cam", reason="pytorch-grad-cam is not installed")

pytestmark = pytest.mark.usefixtures("attention_as_stored")

LAYERS = {
    "resnet": "layer2.conv2",
    "densenet": "transition.2",
    "vgg": "features.3",
    "inception": "three.1.0",
    "convnext": "stem",
    "vit": "norm1",
}
METHODS = {"grad-cam": "GradCAM", "hires-cam": "HiResCAM", "layer-cam": "LayerCAM"}
TARGET = 1


def on_grid(tokens: Tensor) -> Tensor:
    """Tokens (n, 1 + h·w, c) without the class token as (n, c, h, w)."""
    side = int((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].transpose(1, 2).reshape(tokens.shape[0], -1, side, side)


def raw_map(kind: str, net: nn.Module, layer: nn.Module, x: Tensor, *, tokens: bool) -> np.ndarray:
    cam = getattr(package, kind)(net, [layer], reshape_transform=on_grid if tokens else None)
    with cam:
        outputs = cam.activations_and_grads(x.requires_grad_())
        outputs[:, TARGET].sum().backward()
        activations, gradients = (
            found[0].numpy()
            for found in (cam.activations_and_grads.activations, cam.activations_and_grads.gradients)
        )
        return cam.get_cam_image(x, layer, [TARGET], activations, gradients, False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", LAYERS)
def test_class_maps_are_the_packages(name: str, method: str) -> None:
    model, net, x = pair(name)
    layer = net.get_submodule(LAYERS[name])
    wanted = raw_map(METHODS[method], net, layer, torch.from_numpy(x).double(), tokens=name == "vit")
    scope = LAYERS[name].replace(".", "/")
    got = attribute(
        model, x, method, TARGET, layer=scope, dtype="float64", logit=False, rectified=False
    ).at_layer
    assert got is not None
    assert np.abs(wanted).max() > 1e-6
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-6
    assert np.abs(got - wanted).max() < 1e-10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["resnet", "densenet", "vgg", "inception"])
def test_guided_backprop_is_the_packages(name: str) -> None:
    model, net, x = pair(name)
    got = attribute(model, x[:1], "guided-backprop", TARGET, dtype="float64", logit=False).values
    guided = package.GuidedBackpropReLUModel(model=ARCHITECTURES[name].module().double(), device="cpu")
    for layer, stored in zip(guided.model.modules(), net.modules(), strict=True):
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = stored.eps
    wanted = guided(torch.from_numpy(x[:1]).double(), target_category=TARGET).transpose(2, 0, 1)
    assert np.abs(wanted).max() > 1e-6
    assert np.abs(got[0] - wanted).max() < 1e-10
