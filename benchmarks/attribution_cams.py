"""How fast is Grad-CAM from an ONNX file, beside Captum, hooks by hand and pytorch-grad-cam?

    python benchmarks/attribution_cams.py [--rounds 5] [--size 224] [--threads 1]

A ResNet-18 with random weights at batch 1, last block's output. The ways run in turn within each round; the
table gives the smallest CPU time of each, its ratio to ours and how far its map is from ours. Preparing the
model is not counted on either side. A package that cannot be imported has a row that says so.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from attribution_gradients import resnet18
from captum.attr import LayerGradCam
from torch import Tensor, nn

import inspector
from inspector.methods.registry import find_method
from inspector.methods.subject import prepare

TARGET = 3


def by_hooks(net: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """The map (h, w) as most notebooks compute it: a forward hook and one gradient."""
    held: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: held.append(output))
    score = net(x)[0, TARGET]
    hook.remove()
    gradient = torch.autograd.grad(score, held[0])[0]
    return (gradient.mean((2, 3), keepdim=True) * held[0]).sum(1).clamp(min=0)[0].detach()


def ways(net: nn.Sequential, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Every way gives the rectified map (h, w) at the last block."""
    layer = net[-4]
    model, method = inspector.open_model(net, example=x), find_method("grad-cam")

    def ours() -> Tensor:
        subject = prepare(model, x.numpy(), target=TARGET, like=prepared)
        return method.run(subject).at_layer[0]

    def shared() -> Tensor:
        return method.run(prepared).at_layer[0]

    prepared = prepare(model, x.numpy(), target=TARGET)
    grad = x.clone().requires_grad_()
    captum = LayerGradCam(net, layer)
    return {
        "ours": ours,
        "ours, one more method of a sheet": shared,
        "captum": lambda: captum.attribute(grad, target=TARGET).clamp(min=0)[0, 0].detach(),
        "hooks by hand": lambda: by_hooks(net, layer, grad),
    } | rival(net, layer, x)


def rival(net: nn.Module, layer: nn.Module, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The pytorch-grad-cam package, where it is installed. Its map is scaled and enlarged."""
    if importlib.util.find_spec("pytorch_grad_cam") is None:
        return {}
    package = importlib.import_module("pytorch_grad_cam")
    targets = importlib.import_module("pytorch_grad_cam.utils.model_targets")
    cam = package.GradCAM(model=net, target_layers=[layer])
    wanted = [targets.ClassifierOutputTarget(TARGET)]
    return {"pytorch-grad-cam": lambda: torch.from_numpy(np.asarray(cam(input_tensor=x, targets=wanted))[0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    net, x = resnet18(), torch.randn(1, 3, chosen.size, chosen.size)
    runs = ways(net, x)
    best, maps = dict.fromkeys(runs, float("inf")), {name: run() for name, run in runs.items()}
    for _ in range(chosen.rounds):
        for name, run in runs.items():
            began = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - began)
    for name, seconds in best.items():
        same = maps[name].shape == maps["ours"].shape
        away = f"{float((maps[name] - maps['ours']).abs().max()):.1e}" if same else "other scale"
        print(f"{name:<34} {seconds:8.3f} s  {seconds / best['ours']:5.2f} × ours   difference {away}")
    if "pytorch-grad-cam" not in runs:
        print(f"{'pytorch-grad-cam':<34} not installed")


if __name__ == "__main__":
    main()
