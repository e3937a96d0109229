"""Do well-known architectures get pytorch-grad-cam's raw map, in double precision, where it is right?

The package gives out only scaled maps; its raw ones are taken before scaling, where they are made.
Where it rounds to float32 or keeps denominators from zero, that is taken out, as each helper below says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from parity_nets import NETS, pair, with_stored_constants
from torch import Tensor, nn

from inspector.methods import attribute

package = pytest.importorskip("pytorch_grad_cam", reason="pytorch-grad-cam is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("attention_as_stored"),
]

LAYERS = {
    "resnet": "layer2.conv2",
    "densenet": "transition.2",
    "vgg": "features.3",
    "inception": "three.1.0",
    "convnext": "stem",
    "vit": "norm1",
}
METHODS = {
    "grad-cam": "GradCAM",
    "hires-cam": "HiResCAM",
    "layer-cam": "LayerCAM",
    "grad-cam++": "GradCAMPlusPlus",
    "xgrad-cam": "XGradCAM",
    "eigen-cam": "EigenCAM",
    "eigengrad-cam": "EigenGradCAM",
    "score-cam": "ScoreCAM",
    "ablation-cam": "AblationCAM",
}
SCALES = {"GradCAMPlusPlus": 2.0**-20, "XGradCAM": 2.0**40, "ScoreCAM": 2.0**40}
"""Activations times this and gradients divided by it give the same map (Score-CAM's times this) but for what
the package adds to denominators, 1e-6 to 1e-8, which then does not count. Powers of two round nothing."""
UP_TO_SIGN = ("eigen-cam", "eigengrad-cam")
TARGET = 1


def on_grid(tokens: Tensor) -> Tensor:
    """Tokens (n, 1 + h·w, c) without the class token as (n, c, h, w)."""
    side = int((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].transpose(1, 2).reshape(tokens.shape[0], -1, side, side)


def instead(module: object, **others: object) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(module), **others})


@contextmanager
def in_double() -> Iterator[None]:
    """Principal components, ablated and masked scores are not rounded to float32. Score-CAM's masks are
    upsampled with pixel centres in place, as every other map is, where the package aligns corners."""
    bilinear = partial(nn.Upsample, mode="bilinear", align_corners=False)
    double = {
        "utils.svd_on_activations": {"np": instead(np, float32=np.asarray)},
        "ablation_cam": {"np": instead(np, float32=np.asarray)},
        "score_cam": {
            "torch": instead(
                torch,
                Tensor=partial(torch.tensor, dtype=torch.float64),
                nn=instead(nn, UpsamplingBilinear2d=bilinear),
            )
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, changes in double.items():
            for what, value in changes.items():
                patch.setattr(import_module(f"{package.__name__}.{name}"), what, value)
        yield


def zeroing(axis: int) -> nn.Module:
    """A channel switched off is zero, as the paper has it; where a layer has negative values the package
    sets -1e7 below the least instead."""

    class Zeroing(package.ablation_layer.AblationLayer):
        def set_next_batch(self, input_batch_index: int, activations: Tensor, num_channels_to_ablate: int):
            row = activations[input_batch_index]
            self.activations = torch.stack([row] * num_channels_to_ablate)

        def __call__(self, x: Tensor) -> Tensor:
            for row, channel in zip(self.activations, self.indices, strict=False):
                row.select(axis, int(channel)).zero_()
            return self.activations

    return Zeroing()


def raw_map(kind: str, net: nn.Module, layer: nn.Module, x: Tensor, *, tokens: bool) -> np.ndarray:
    more = {"ablation_layer": zeroing(-1 if tokens else 0)} if kind == "AblationCAM" else {}
    cam = getattr(package, kind)(net, [layer], reshape_transform=on_grid if tokens else None, **more)
    with cam:
        outputs = cam.activations_and_grads(x.requires_grad_())
        outputs[:, TARGET].sum().backward()
        seen = cam.activations_and_grads
        scale = SCALES.get(kind, 1.0)
        activations, gradients = seen.activations[0].numpy() * scale, seen.gradients[0].numpy() / scale
        targets = [lambda scores: scores[TARGET]] * len(x)
        with in_double():
            found = cam.get_cam_image(x.detach(), layer, targets, activations, gradients, False)
    return found / scale if kind == "ScoreCAM" else found


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
    if method in UP_TO_SIGN:  # the package leaves it to chance
        wanted = wanted * np.sign((wanted * got).sum((1, 2), keepdims=True))
    assert np.abs(wanted).max() > 1e-6
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-6
    assert np.abs(got - wanted).max() < 1e-10


@pytest.mark.parametrize(
    "name", ["resnet", "densenet", "vgg", "inception", "pooled-unet", "modular-mobilenet"]
)
def test_guided_backprop_is_the_packages(name: str) -> None:
    model, _, x = pair(name)
    got = attribute(model, x[:1], "guided-backprop", TARGET, dtype="float64", logit=False).values
    net = with_stored_constants(NETS[name].module()).double()
    guided = package.GuidedBackpropReLUModel(model=net, device="cpu")
    wanted = guided(torch.from_numpy(x[:1]).double(), target_category=TARGET).transpose(2, 0, 1)
    assert np.abs(wanted).max() > 1e-6
    assert np.abs(got[0] - wanted).max() < 1e-10


def upsampled(parts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    found = nn.functional.interpolate(torch.from_numpy(parts), size, mode="bilinear", align_corners=False)
    return found.numpy()


def full_gradients(name: str) -> np.ndarray:
    """The package's sum of |bias × gradient|, without its scaling of each channel to 0 … 1 in float32: the
    paper scales each bias as a whole."""
    _, _, x = pair(name)
    net = with_stored_constants(NETS[name].module()).double()
    with pytest.MonkeyPatch.context() as patch, package.FullGrad(net, []) as cam:
        patch.setattr(
            import_module(f"{package.__name__}.fullgrad_cam"), "scale_accross_batch_and_channels", upsampled
        )
        given = torch.from_numpy(x).double().requires_grad_()
        cam.activations_and_grads(given)[:, TARGET].sum().backward()
        return cam.compute_cam_per_layer(given, None, False)[:, 0]


@pytest.mark.parametrize("name", ["resnet", "densenet", "vgg", "inception", "modular-mobilenet", "lenet"])
def test_full_gradients_are_the_packages(name: str) -> None:
    model, _, x = pair(name)
    wanted = full_gradients(name)
    got = attribute(model, x, "full-grad", TARGET, dtype="float64", logit=False, rescaled=False).values
    assert np.abs(wanted).max() > 1e-3
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-3
    assert np.abs(got - wanted).max() < 1e-10


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pooled-unet", "a bias of a transposed convolution"),
        ("convnext", "biases of LayerNorm and of dense layers"),
    ],
)
def test_the_packages_full_gradients_pass_over_biases(name: str, reason: str) -> None:
    model, _, x = pair(name)
    got = attribute(model, x, "full-grad", TARGET, dtype="float64", logit=False, rescaled=False).values
    assert np.abs(got - full_gradients(name)).max() > 1e-4, reason
