"""The two networks of the benchmarks of capture: ResNet-50 and a transformer, and their export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SHAPES = {"resnet50": (3, 224, 224), "transformer": (128,)}


def resnet50() -> Any:
    """ResNet-50 with random weights and statistics, written out so that no weights are fetched."""
    import torch
    from torch import nn

    def conv(i: int, o: int, k: int, s: int = 1) -> Any:
        return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))

    class Bottleneck(nn.Module):
        def __init__(self, i: int, w: int, s: int) -> None:
            super().__init__()
            self.a, self.b, self.c = conv(i, w, 1), conv(w, w, 3, s), conv(w, 4 * w, 1)
            self.down = conv(i, 4 * w, 1, s) if s > 1 or i != 4 * w else nn.Identity()
            self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

        def forward(self, x: Any) -> Any:
            y = self.c(self.relu2(self.b(self.relu1(self.a(x)))))
            return self.relu3(y + self.down(x))

    layers: list[Any] = [conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            layers.append(Bottleneck(width, 64 << stage, 2 if stage and not block else 1))
            width = 256 << stage
    torch.manual_seed(0)
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net


def transformer() -> Any:
    """Six layers of width 256 over 128 tokens."""
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self, d: int = 256, heads: int = 4) -> None:
            super().__init__()
            self.heads = heads
            self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.up, self.act, self.down = nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d)

        def forward(self, x: Any) -> Any:
            b, t, d = x.shape
            q, k, v = (
                part.view(b, t, self.heads, d // self.heads).transpose(1, 2)
                for part in self.qkv(self.n1(x)).chunk(3, dim=-1)
            )
            weights = (q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5).softmax(-1)
            x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, d))
            return x + self.down(self.act(self.up(self.n2(x))))

    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(1000, 256), *(Layer() for _ in range(6)), nn.Linear(256, 1000)).eval()


NETS = {"resnet50": resnet50, "transformer": transformer}


def sample(net: str, batch: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    if net == "transformer":
        return rng.integers(0, 1000, (batch, *SHAPES[net]))
    return rng.standard_normal((batch, *SHAPES[net]), np.float32)


def export(net: str, batch: int, path: Path) -> None:
    """The network as ONNX with every operator left as it is."""
    import torch

    torch.onnx.export(
        NETS[net](), (torch.from_numpy(sample(net, batch)),), path, dynamo=False, do_constant_folding=True,
        training=torch.onnx.TrainingMode.PRESERVE, input_names=["x"], output_names=["y"], opset_version=17,
    )  # fmt: skip
