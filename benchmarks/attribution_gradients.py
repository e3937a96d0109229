"""How fast are gradient methods from an ONNX file, beside Captum's defaults and its tuned form?

    python benchmarks/attribution_gradients.py [--rounds 3] [--size 224] [--samples 50]

A ResNet-18 with random weights at batch 1, one thread. The ways are run in turn within each round; the table
gives the smallest CPU time of each, and its ratio to ours. Preparing the model is not counted on either side.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from captum.attr import GuidedBackprop, IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor, nn

import inspector
from inspector.methods.registry import find_method
from inspector.methods.subject import prepare

CHUNK = 5


class Basic(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2015, figure 2)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = _conv(inside, outside, 3, stride), _conv(outside, outside, 3, 1)
        self.on, self.off = nn.ReLU(), nn.ReLU()
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else _conv(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, outside, h / stride, w / stride)."""
        return self.off(self.two(self.on(self.one(x))) + self.shortcut(x))


def _conv(inside: int, outside: int, kernel: int, stride: int) -> nn.Sequential:
    norm = nn.BatchNorm2d(outside)
    norm.running_mean, norm.running_var = torch.randn(outside) * 0.1, torch.rand(outside) + 0.5
    return nn.Sequential(nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False), norm)


def resnet18() -> nn.Module:
    layers: list[nn.Module] = [_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Basic(inside, width, stride), Basic(width, width, 1)]
        inside = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)).eval()


def ways(net: nn.Module, x: Tensor, samples: int) -> dict[str, dict[str, Callable[[], Any]]]:
    model = inspector.open_model(net, example=x)
    subject = prepare(model, x.numpy(), target=3)

    def ours(name: str, **options: Any) -> Callable[[], Any]:
        return lambda: find_method(name).run(subject, **options)

    path, noisy = IntegratedGradients(net), NoiseTunnel(Saliency(net))
    noise = {"nt_type": "smoothgrad", "nt_samples": samples, "stdevs": 0.5, "target": 3, "abs": False}
    return {
        f"integrated gradients, {samples}": {
            "ours": ours("integrated-gradients", steps=samples),
            "captum": lambda: path.attribute(x, target=3, n_steps=samples),
            "captum tuned": lambda: path.attribute(x, target=3, n_steps=samples, internal_batch_size=CHUNK),
        },
        f"smoothgrad, {samples}": {
            "ours": ours("smoothgrad", samples=samples),
            "captum": lambda: noisy.attribute(x, **noise),
            "captum tuned": lambda: noisy.attribute(x, nt_samples_batch_size=CHUNK, **noise),
        },
        "guided backprop": {
            "ours": ours("guided-backprop"),
            "captum": lambda: GuidedBackprop(net).attribute(x, target=3),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--samples", type=int, default=50)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    net, x = resnet18(), torch.randn(1, 3, chosen.size, chosen.size)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for job, runs in ways(net, x, chosen.samples).items():
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(chosen.rounds):
            for name, run in runs.items():
                began = time.process_time()
                run()
                best[name] = min(best[name], time.process_time() - began)
        for name, seconds in best.items():
            print(f"{job:<26} {name:<14} {seconds:8.3f} s  {seconds / best['ours']:5.2f} × ours")


if __name__ == "__main__":
    main()
