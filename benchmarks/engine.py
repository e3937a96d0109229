"""How fast is forward and backward through an imported net, beside the native module and other importers?

    python benchmarks/engine.py [--rounds 5] [--small] [--device cuda]

ResNet-50 and a 12-layer transformer encoder at batch 1 and 8, gradient to the input, one thread. The ways are
run in turn within each round; the Markdown table gives the smallest CPU time of each (on a GPU the time until
it is done) and its ratio to native. Importers that are not installed, or compute something else than native,
have a row with the reason. Two of them import torchvision, of which these nets use nothing: where it is
absent, a module whose functions refuse stands for it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import sys
import time
import types
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import torch
from torch import Tensor, nn

import inspector
from inspector import autograd

Way = Callable[[Tensor], Tensor]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut (He et al. 2015, figure 5)."""

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        outside = 4 * width
        self.body = nn.Sequential(
            *_conv(inside, width, 1, 1),
            nn.ReLU(),
            *_conv(width, width, 3, stride),
            nn.ReLU(),
            *_conv(width, outside, 1, 1),
        )
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv(inside, outside, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, 4 * width, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def _conv(inside: int, outside: int, kernel: int, stride: int) -> list[nn.Module]:
    norm = nn.BatchNorm2d(outside)
    norm.running_mean, norm.running_var = torch.randn(outside) * 0.1, torch.rand(outside) + 0.5
    return [nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False), norm]


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [*_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(count):
            layers.append(Bottleneck(inside, width, stride if index == 0 else 1))
            inside = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 1000)).eval()


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(384, 6, 1536, 0.0, "gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 12, enable_nested_tensor=False).eval()


def exported(module: nn.Module, x: Tensor) -> onnx.ModelProto:
    file = io.BytesIO()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (x,),
            file,
            dynamo=False,
            opset_version=17,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    return onnx.load_from_string(file.getvalue())


def ways(module: nn.Module, model: onnx.ModelProto, x: Tensor) -> dict[str, Way | str]:
    module.to(x.device)
    exact, fast = (inspector.to_torch(model, mode=mode).to(x.device) for mode in ("exact", "fast"))
    emitted = autograd.to_fx(exact, [x])
    emitted_fast = autograd.to_fx(fast, [x])
    found: dict[str, Way | str] = {
        "native": module,
        "exact": lambda v: exact(v)[0],
        "fast": lambda v: fast(v)[0],
        "fx of exact": lambda v: emitted(v)[0],
        "fx of fast": lambda v: emitted_fast(
            v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v
        )[0],
    }
    for name, attribute in (
        ("onnx2torch", "convert"),
        ("onnx2pytorch", "ConvertModel"),
        ("onnx2fx", "convert"),
    ):
        found[name] = _rival(name, attribute, model, x, module(x).detach())
    return found


class _StandIn(types.ModuleType):
    """A package of which everything can be imported and nothing called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> None:
            raise NotImplementedError(f"{self.__name__}.{name} is not installed")

        return refuse


def stand_in_for_torchvision() -> None:
    """Let what imports torchvision be imported without it."""
    if importlib.util.find_spec("torchvision") is None:
        names = ("torchvision", "torchvision.ops", "torchvision.io")
        sys.modules.update((name, _StandIn(name)) for name in names)


def _rival(name: str, attribute: str, model: onnx.ModelProto, x: Tensor, wanted: Tensor) -> Way | str:
    if importlib.util.find_spec(name) is None:
        return "not installed"
    try:
        net: Any = getattr(importlib.import_module(name), attribute)(model).to(x.device).eval()
        apart = float((_first(net(x)) - wanted).abs().max() / wanted.abs().max())
    except ImportError as error:
        return f"does not import: {_line(error)}"
    except (RuntimeError, NotImplementedError, LookupError, TypeError, ValueError, AttributeError) as error:
        return f"does not run it: {_line(error)}"
    if not apart <= 1e-4:
        return f"computes something else: {apart:.1e} of the largest score apart"
    return lambda v: _first(net(v))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:60].replace("|", "/") or type(error).__name__


def _first(value: Any) -> Tensor:
    return value[0] if isinstance(value, tuple | list) else value


def timed(way: Way, x: Tensor) -> float:
    x = x.clone().requires_grad_()
    clock = time.perf_counter if x.is_cuda else time.process_time
    start = clock()
    torch.autograd.grad(way(x).sum(), x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return 1000 * (clock() - start)


def compare(title: str, module: nn.Module, x: Tensor, device: str, rounds: int) -> None:
    model = exported(module, x)
    x = x.to(device)
    found = ways(module, model, x)
    best: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, way in found.items():
            if not isinstance(way, str):
                spent = timed(way, x)
                if turn:  # the first round warms up
                    best[name] = min(best.get(name, spent), spent)
    kind = "ms" if x.is_cuda else "CPU ms"
    print(f"\n| {title} | {kind}, smallest of {rounds} | of native |\n|---|---:|---:|")
    for name, way in found.items():
        if isinstance(way, str):
            print(f"| {name} | {way} | |")
        else:
            print(f"| {name} | {best[name]:.1f} | {best[name] / best['native']:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--small", action="store_true", help="64 px and 16 tokens, batch 1: a check that it runs"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    stand_in_for_torchvision()
    pixels, tokens = (64, 16) if options.small else (224, 128)
    for batch in (1,) if options.small else (1, 8):
        for title, make, shape in (
            ("ResNet-50", resnet50, (3, pixels, pixels)),
            ("transformer", transformer, (tokens, 384)),
        ):
            x = torch.randn(batch, *shape)
            compare(f"{title}, batch {batch}", make(), x, options.device, options.rounds)


if __name__ == "__main__":
    main()
