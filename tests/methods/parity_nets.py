"""Classifiers as models, and as torch modules that hold what their files hold: parity in double precision."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor, nn
from torch.nn import functional

import inspector

sys.path.insert(0, str(Path(__file__).parent.parent))
from architectures import (
    ARCHITECTURES,
    VGG,
    Architecture,
    Inception,
    MobileNet,
    Residual,
    ResNet,
    UNet,
    conv_norm,
)

__all__ = ["NETS", "pair", "with_stored_constants"]


class PooledUNet(UNet):
    """The mean of each class over the picture: a score."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean((2, 3))


class ModularExcite(nn.Module):
    """Squeeze and excite whose rectifier is a module, which hooks on modules can see."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, 4, 1)
        self.rectifier = nn.ReLU()
        self.expand = nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.expand(self.rectifier(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * scale.sigmoid()


class ModularMobileNet(MobileNet):
    def __init__(self) -> None:
        super().__init__()
        self.attend = ModularExcite(24)
        self.stem[2] = nn.ReLU()
        self.head[1] = nn.ReLU()


class OwnModules(Residual):
    """A residual block that calls no module twice, and adds by a module."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__(inside, outside, stride)
        self.inner, self.sum = nn.ReLU(), Addition_Module()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.inner(self.bn1(self.conv1(x)))))
        return self.relu(self.sum(out, self.shortcut(x)))


class ApartResNet(ResNet):
    def __init__(self) -> None:
        super().__init__()
        self.pool, self.mean = nn.AvgPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1)
        self.layer1, self.layer2 = OwnModules(8, 8, 1), OwnModules(8, 16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.pool(self.stem(x))))
        return self.fc(self.mean(x).flatten(1))


class ApartVGG(VGG):
    def __init__(self) -> None:
        super().__init__()
        self.features[2] = nn.AvgPool2d(2)
        self.features[5] = nn.AvgPool2d(2)


class ApartInception(Inception):
    def __init__(self) -> None:
        super().__init__()
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_norm(3, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.one(x), self.three(x), self.pooled(x)], 1)).mean((2, 3))


class ApartUNet(UNet):
    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.up2(self.bottom(self.down2(functional.avg_pool2d(a, 2))))
        return self.out(self.merge(torch.cat([a, b], 1))).mean((2, 3))


class ApartMobileNet(MobileNet):
    """Depthwise kernels and a shortcut; nothing is multiplied by what depends on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.attend, self.sum, self.mean = nn.Dropout(), Addition_Module(), nn.AdaptiveAvgPool2d(1)
        self.stem[2] = nn.ReLU()
        self.head[1] = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.sum(x, self.project(self.attend(self.depthwise(self.expand(x)))))
        return self.head(self.mean(x).flatten(1))


class LeNet(nn.Module):
    """LeCun et al. 1998, figure 2, smaller: squashed convolutions and averages."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 5), nn.Tanh(), nn.AvgPool2d(2)
        )
        self.head = nn.Sequential(nn.Linear(200, 20), nn.Tanh(), nn.Linear(20, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


def _like(name: str, build: type[nn.Module]) -> Architecture:
    return replace(ARCHITECTURES[name], build=build)


NETS: Mapping[str, Architecture] = {
    **ARCHITECTURES,
    "pooled-unet": _like("unet", PooledUNet),
    "modular-mobilenet": _like("mobilenet", ModularMobileNet),
    "apart-resnet": _like("resnet", ApartResNet),
    "apart-vgg": _like("vgg", ApartVGG),
    "apart-inception": _like("inception", ApartInception),
    "apart-unet": _like("unet", ApartUNet),
    "apart-mobilenet": _like("mobilenet", ApartMobileNet),
    "lenet": _like("vgg", LeNet),
}
"""`apart`: each activation is a module called once, and windows are averaged. Elsewhere Captum's DeepLIFT
and LRP refuse, or miss part of the score's change."""


INNER = {
    "resnet": "layer2.conv2",
    "densenet": "transition.2",
    "vgg": "features.3",
    "inception": "three.1.0",
    "convnext": "depthwise",
    "pooled-unet": "down2.0",
    "vit": "qkv",
}
"""A layer in the middle of each net; the one of vit holds tokens."""


@cache
def pair(name: str) -> tuple[inspector.Model, nn.Module, np.ndarray]:
    row = NETS[name]
    x = row.inputs(row.traced, seed=7)
    model = inspector.open_model(row.module(), example=x)
    return model, with_stored_constants(row.module()).double(), x.numpy()


def with_stored_constants(net: nn.Module) -> nn.Module:
    """The net with epsilons as ONNX keeps attributes, in float32: otherwise maps differ by 1e-8."""
    for layer in net.modules():
        if isinstance(layer, (nn.LayerNorm, nn.BatchNorm2d)):
            layer.eps = float(np.float32(layer.eps))
    return net
