"""ResNet-18 and -50 (He et al. 2015, table 1) with random weights, for the benchmarks of attribution."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Convolutions around a shortcut: two 3x3, or 1x1, 3x3, 1x1."""

    def __init__(self, inside: int, width: int, outside: int, stride: int) -> None:
        super().__init__()
        narrow = width != outside
        kernels = ((inside, width, 1, 1), (width, width, 3, stride), (width, outside, 1, 1))
        kernels = kernels if narrow else ((inside, width, 3, stride), (width, width, 3, 1))
        layers: list[nn.Module] = []
        for kernel in kernels:
            layers += [_conv(*kernel), nn.ReLU()]
        self.body, self.last = nn.Sequential(*layers[:-1]), nn.ReLU()
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else _conv(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, outside, h / stride, w / stride)."""
        return self.last(self.body(x) + self.shortcut(x))


def _conv(inside: int, outside: int, kernel: int, stride: int) -> nn.Sequential:
    norm = nn.BatchNorm2d(outside)
    norm.running_mean, norm.running_var = torch.randn(outside) * 0.1, torch.rand(outside) + 0.5
    return nn.Sequential(nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False), norm)


def resnet18() -> nn.Sequential:
    """512 channels before pooling."""
    return _resnet((2, 2, 2, 2), 1)


def resnet50() -> nn.Sequential:
    """2048 channels before pooling."""
    return _resnet((3, 4, 6, 3), 4)


def _resnet(blocks: tuple[int, ...], wider: int) -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            layers.append(Residual(inside, width, width * wider, stride))
            inside = width * wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 1000)).eval()
