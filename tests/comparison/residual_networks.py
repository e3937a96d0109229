"""ResNets as PyTorch builds them: stride in the 3 × 3 convolution, no bias."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Basic (two 3 × 3) or bottleneck block."""

    def __init__(self, inputs: int, width: int, stride: int, deep: bool) -> None:
        super().__init__()
        outputs = 4 * width if deep else width
        if deep:
            convs = [conv(inputs, width, 1), conv(width, width, 3, stride), conv(width, outputs, 1)]
        else:
            convs = [conv(inputs, width, 3, stride), conv(width, width, 3)]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList([nn.BatchNorm2d(c.out_channels) for c in convs])
        self.relu = nn.ReLU()
        self.down = None
        if stride > 1 or inputs != outputs:
            self.down = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for i, (layer, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(layer(y))
            y = self.relu(y) if i + 1 < len(self.convs) else y
        return self.relu(y + (x if self.down is None else self.down(x)))


class ResNet(nn.Module):
    """A ResNet of 18, 34 or 50 layers; `width` is that of the first stage, 64 in the paper."""

    def __init__(self, depth: int, width: int = 64, classes: int = 1000) -> None:
        super().__init__()
        deep, inputs = depth >= 50, width
        self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        stages: list[nn.Sequential] = []
        for stage, count in enumerate(DEPTHS[depth]):
            wide, blocks = width * 2**stage, list[Block]()
            for n in range(count):
                blocks.append(Block(inputs, wide, 2 if stage and not n else 1, deep))
                inputs = 4 * wide if deep else wide
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def take_weights(net: ResNet, source: Any) -> None:
    """Copy kernels, norms and the dense layer of a Keras ResNet-50; the biases have no place."""

    def layer(target: nn.Conv2d, norm: nn.BatchNorm2d, name: str) -> None:
        kernel = source.get_layer(f"{name}_conv").get_weights()[0]
        target.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        values = [torch.tensor(array) for array in source.get_layer(f"{name}_bn").get_weights()]
        norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var = values

    layer(net.conv1, net.bn1, "conv1")
    for stage, blocks in enumerate((net.layer1, net.layer2, net.layer3, net.layer4), 2):
        for n, block in enumerate(blocks, 1):
            prefix = f"conv{stage}_block{n}"
            if block.down is not None:
                layer(block.down[0], block.down[1], f"{prefix}_0")
            for i, (target, norm) in enumerate(zip(block.convs, block.norms, strict=True), 1):
                layer(target, norm, f"{prefix}_{i}")
    kernel, bias = source.get_layer("predictions").get_weights()
    net.fc.weight.data, net.fc.bias.data = torch.tensor(kernel.T.copy()), torch.tensor(bias)
