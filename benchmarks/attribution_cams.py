"""How fast are class maps from an ONNX file, beside Captum, hooks by hand and pytorch-grad-cam?

    python benchmarks/attribution_cams.py [--rounds 5] [--size 224]

Grad-CAM on a ResNet-18 and Eigen-CAM on a ResNet-50, random weights, batch 1, last block's output. "Tuned"
means that parameters before the last block take no gradient, which spares the other packages their weight
gradients. Preparing the model is not counted on any side. Packages that are not installed have no row; how
far the maps at the layer are from ours is printed below the table.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
import torch
from interleaved import THREADS, head_of, print_table, rows_of, smallest
from residual_nets import resnet18, resnet50
from torch import Tensor, nn

import inspector
from inspector.methods.preparing import prepare
from inspector.methods.registry import find_method

TARGET = 3
LAST_BLOCK = -4


def tuned(net: nn.Sequential) -> nn.Sequential:
    """The net with gradients for nothing but the last block."""
    net = copy.deepcopy(net)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for parameter in net[LAST_BLOCK].parameters():
        parameter.requires_grad_(True)
    return net


def ours(net: nn.Sequential, x: Tensor, name: str) -> Callable[[], Tensor]:
    """What `attribute` does with a net that is built: read, run, settle target and layer, map (signed)."""
    model, method = inspector.open_model(net, example=x), find_method(name)
    first = prepare(model, x.numpy(), target=TARGET)

    def run() -> Tensor:
        found = method.run(prepare(model, x.numpy(), target=TARGET, like=first), rectified=False).at_layer
        assert found is not None
        return found[0]

    return run


def by_hooks(net: nn.Sequential, x: Tensor) -> Callable[[], Tensor]:
    """As most notebooks compute Grad-CAM: a forward hook and one gradient."""

    def run() -> Tensor:
        held: list[Tensor] = []

        def hold(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            held.append(output)

        hook = net[LAST_BLOCK].register_forward_hook(hold)
        score: Tensor = net(x)[0, TARGET]
        hook.remove()
        gradient = torch.autograd.grad(score, held[0])[0]
        return (gradient.mean((2, 3), keepdim=True) * held[0]).sum(1)[0].detach()

    return run


def captum(net: nn.Sequential, x: Tensor) -> Callable[[], Tensor]:
    method = importlib.import_module("captum.attr").LayerGradCam(net, net[LAST_BLOCK])
    return lambda: method.attribute(x, target=TARGET)[0, 0].detach()


def pytorch_grad_cam(net: nn.Sequential, x: Tensor, name: str) -> Callable[[], Tensor]:
    """The package's map, scaled to 0 … 1 and enlarged: it gives no other."""
    package = importlib.import_module("pytorch_grad_cam")
    targets = importlib.import_module("pytorch_grad_cam.utils.model_targets")
    cam = getattr(package, name)(model=net, target_layers=[net[LAST_BLOCK]])
    wanted = [targets.ClassifierOutputTarget(TARGET)]
    return lambda: torch.from_numpy(np.asarray(cam(input_tensor=x, targets=wanted))[0])


def jobs(x: Tensor) -> dict[str, dict[str, Callable[[], Tensor]]]:
    """Ways by job."""
    small, large = resnet18(), resnet50()
    gradient = {"ours": ours(small, x, "grad-cam"), "hooks by hand": by_hooks(small, x)}
    eigen = {"ours": ours(large, x, "eigen-cam"), "forward alone": lambda: _forward(large, x)}
    if importlib.util.find_spec("captum"):
        gradient |= {"Captum": captum(small, x), "Captum, tuned": captum(tuned(small), x)}
    if importlib.util.find_spec("pytorch_grad_cam"):
        gradient["pytorch-grad-cam"] = pytorch_grad_cam(copy.deepcopy(small), x, "GradCAM")
        gradient["pytorch-grad-cam, tuned"] = pytorch_grad_cam(tuned(small), x, "GradCAM")
        eigen["pytorch-grad-cam"] = pytorch_grad_cam(copy.deepcopy(large), x, "EigenCAM")
        eigen["pytorch-grad-cam, tuned"] = pytorch_grad_cam(tuned(large), x, "EigenCAM")
    return {"Grad-CAM, ResNet-18": gradient, "Eigen-CAM, ResNet-50": eigen}


def _forward(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    x = torch.randn(1, 3, chosen.size, chosen.size)
    rows: list[list[str]] = []
    apart: list[str] = []
    for job, ways in jobs(x).items():
        rows += rows_of(job, {n: smallest(ways, chosen.rounds, n) for n in dict.fromkeys(THREADS)})
        wanted = ways["ours"]()
        for way, run in ways.items():
            found = run()
            if way != "ours" and found.shape == wanted.shape:
                apart.append(f"{job}, {way}: {float((found - wanted).abs().max() / wanted.abs().max()):.1e}")
    print_table(head_of(dict.fromkeys(THREADS)), rows)
    print("\nLargest difference from our map, of its largest value:", "; ".join(apart))


if __name__ == "__main__":
    main()
