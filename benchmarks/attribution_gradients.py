"""How fast are gradient methods from an ONNX file, beside other packages' defaults and tuned forms?

    python benchmarks/attribution_gradients.py [--rounds 2] [--size 224] [--samples 50] [--no-memory]

A ResNet-18 with random weights at batch 1. Tuned means parameters without gradient and five samples a pass,
which suits the cache. Preparing the model is not counted on any side. Packages that are not installed have
no row. The second table is the peak memory of a process that runs one method, by number of samples.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from interleaved import THREADS, head_of, own_peak, print_table, rows_of, smallest
from residual_nets import resnet18
from torch import Tensor, nn

import inspector
from inspector.methods.preparing import prepare
from inspector.methods.registry import find_method

CHUNK, TARGET, NOISE = 5, 3, 0.5
COUNTS = (20, 160)
"""Samples whose peak memory is compared, at half the size."""

Ways = dict[str, Callable[[], Any]]


def frozen(net: nn.Module) -> nn.Module:
    """A copy whose parameters take no gradient."""
    net = copy.deepcopy(net)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return net


def ours(net: nn.Module, x: Tensor, name: str, **options: Any) -> Callable[[], Any]:
    """Everything `attribute` does with a net that is built."""
    model, method = inspector.open_model(net, example=x), find_method(name)
    first = prepare(model, x.numpy(), target=TARGET)
    return lambda: method.run(prepare(model, x.numpy(), target=TARGET, like=first), **options)


def captum(net: nn.Module, x: Tensor, name: str, samples: int, chunk: int | None) -> Callable[[], Any]:
    """A method of Captum; `chunk` samples a pass, None for its default of all at once."""
    attr = importlib.import_module("captum.attr")
    if name == "integrated-gradients":
        path = attr.IntegratedGradients(net)
        return lambda: path.attribute(x, target=TARGET, n_steps=samples, internal_batch_size=chunk)
    if name == "guided-backprop":
        guided = attr.GuidedBackprop(net)
        return lambda: guided.attribute(x, target=TARGET)
    tunnel = attr.NoiseTunnel(attr.Saliency(net))
    given = {"nt_type": "smoothgrad", "nt_samples": samples, "stdevs": NOISE, "target": TARGET, "abs": False}
    return lambda: tunnel.attribute(x, nt_samples_batch_size=chunk, **given)


def pytorch_grad_cam(net: nn.Module, x: Tensor) -> Callable[[], Any]:
    """Guided backpropagation of that package; it changes the model, so it gets a copy."""
    package = importlib.import_module("pytorch_grad_cam")
    guided = package.GuidedBackpropReLUModel(model=net, device="cpu")
    return lambda: guided(x.clone(), target_category=TARGET)


def jobs(net: nn.Module, x: Tensor, samples: int) -> dict[str, Ways]:
    """Ways by job."""
    path, noisy, guided = "integrated-gradients", "smoothgrad", "guided-backprop"
    found: dict[str, Ways] = {
        path: {"ours": ours(net, x, path, steps=samples)},
        noisy: {"ours": ours(net, x, noisy, samples=samples)},
        guided: {"ours": ours(net, x, guided)},
    }
    if importlib.util.find_spec("captum"):
        for name in (path, noisy):
            found[name]["Captum"] = captum(copy.deepcopy(net), x, name, samples, None)
            found[name]["Captum, tuned"] = captum(frozen(net), x, name, samples, CHUNK)
        found[guided]["Captum"] = captum(copy.deepcopy(net), x, guided, 1, None)
        found[guided]["Captum, tuned"] = captum(frozen(net), x, guided, 1, None)
    if importlib.util.find_spec("pytorch_grad_cam"):
        found[guided]["pytorch-grad-cam"] = pytorch_grad_cam(copy.deepcopy(net), x)
        found[guided]["pytorch-grad-cam, tuned"] = pytorch_grad_cam(frozen(net), x)
    return {f"{name}, {samples}" if name != guided else name: ways for name, ways in found.items()}


def peak(way: str, samples: int, size: int) -> None:
    """Run one method in this process and print its peak memory in MB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, x = resnet18(), torch.randn(1, 3, size, size)
    who, name = way.split()
    options = {"steps": samples} if name == "integrated-gradients" else {"samples": samples}
    run = ours(net, x, name, **options) if who == "ours" else captum(net, x, name, samples, None)
    run()
    print(f"{own_peak():.0f}")


def measured(net: nn.Module, x: Tensor, samples: int, rounds: int) -> Iterator[list[str]]:
    """The rows of every job, as soon as it is done; single passes are short and get more rounds."""
    for job, ways in jobs(net, x, samples).items():
        count = rounds if "," in job else 5 * rounds
        yield from rows_of(job, {n: smallest(ways, count, n) for n in dict.fromkeys(THREADS)})


def memory_rows(size: int) -> Iterator[list[str]]:
    """Peak MB by way and number of samples, each in a fresh process."""
    whose = ("ours", "captum") if importlib.util.find_spec("captum") else ("ours",)
    ways = [f"{who} {name}" for name in ("integrated-gradients", "smoothgrad") for who in whose]
    for way in (*ways, "ours vargrad"):
        command = [sys.executable, __file__, "--size", str(size), "--peak", way, "--samples"]
        cells = [way]
        for count in COUNTS:
            made = subprocess.run([*command, str(count)], capture_output=True, text=True, check=True)
            cells.append(made.stdout.strip())
        yield cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.peak:
        peak(chosen.peak, chosen.samples, chosen.size)
        return
    torch.manual_seed(0)
    net, x = resnet18(), torch.randn(1, 3, chosen.size, chosen.size)
    print_table(head_of(dict.fromkeys(THREADS)), measured(net, x, chosen.samples, chosen.rounds))
    if not chosen.no_memory:
        print()
        print_table(["peak MB", *(f"{n} samples" for n in COUNTS)], memory_rows(chosen.size // 2))


if __name__ == "__main__":
    main()
