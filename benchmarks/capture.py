"""What does seeing every activation cost? Against plain runs, torch hooks, torchlens and Polygraphy.

`python benchmarks/capture.py [--rounds N] [--batches 1,8]`. Each way runs in a child process of its own with
one thread; figures are the smallest CPU time of a run and the peak of the process's memory while running.
Tools that are not installed are left out, and said so.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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


def ours(strategy: str, mode: str = "exact") -> Callable[[Path, str, int], Callable[[], Any]]:
    def build(path: Path, net: str, batch: int) -> Callable[[], Any]:
        import inspector
        from inspector.execution import prepare

        model = inspector.open_model(path)
        feeds = {"x": sample(net, batch)}
        prepared = prepare(model, feeds, strategy=strategy, mode=mode, threads=1)  # pyright: ignore[reportArgumentType]
        if strategy != "segments":
            return lambda: prepared.run(feeds)

        def streamed() -> None:
            for found, _ in prepared.runner.stream(feeds):
                found.clear()

        return streamed

    return build


def replay(path: Path, net: str, batch: int) -> Callable[[], Any]:
    """One value of the middle of the network, from the checkpoints of a finished run."""
    import inspector
    from inspector.execution import prepare

    model = inspector.open_model(path)
    feeds = {"x": sample(net, batch)}
    prepared = prepare(model, feeds, strategy="checkpoint", threads=1)
    key = prepared.plan.keys[len(prepared.plan.keys) // 2]

    def again() -> Any:
        captured = prepared.run(feeds)
        prepared.runner.parts.clear()
        start = time.process_time()
        captured[key]
        return time.process_time() - start

    return again


def plain(level: str, expose: bool = False) -> Callable[[Path, str, int], Callable[[], Any]]:
    def build(path: Path, net: str, batch: int) -> Callable[[], Any]:
        import onnx
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_{level}")
        proto = onnx.load(path)
        if expose:
            known = {o.name for o in proto.graph.output}
            made = {name for node in proto.graph.node if node.op_type != "Constant" for name in node.output}
            proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(made - known))
        session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feeds = {"x": sample(net, batch)}
        return lambda: session.run(None, feeds)

    return build


def torch_plain(path: Path, net: str, batch: int) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(1)
    module, x = NETS[net](), torch.from_numpy(sample(net, batch))

    def once() -> Any:
        with torch.inference_mode():
            return module(x)

    return once


def torch_hooks(path: Path, net: str, batch: int) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(1)
    module, x = NETS[net](), torch.from_numpy(sample(net, batch))
    kept: list[Any] = []
    for part in module.modules():
        if not list(part.children()):
            part.register_forward_hook(lambda _, __, output: kept.append(output))

    def once() -> Any:
        kept.clear()
        with torch.inference_mode():
            return module(x)

    return once


def torchlens(path: Path, net: str, batch: int) -> Callable[[], Any]:
    import torch
    import torchlens as tl

    torch.set_num_threads(1)
    module, x = NETS[net](), torch.from_numpy(sample(net, batch))
    trace = getattr(tl, "trace", None) or tl.log_forward_pass
    return lambda: trace(module, x)


def polygraphy(path: Path, net: str, batch: int) -> Callable[[], Any]:
    from polygraphy.backend.onnx import BytesFromOnnx, ModifyOutputs, OnnxFromPath
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.constants import MARK_ALL

    session = SessionFromOnnx(BytesFromOnnx(ModifyOutputs(OnnxFromPath(str(path)), outputs=MARK_ALL)))
    runner = OnnxrtRunner(session)
    runner.activate()
    feeds = {"x": sample(net, batch)}
    return lambda: runner.infer(feeds)


WAYS: dict[str, tuple[str, Callable[[Path, str, int], Callable[[], Any]]]] = {
    "plain, all optimisations": ("", plain("ENABLE_ALL")),
    "plain, extended": ("", plain("ENABLE_EXTENDED")),
    "plain, unfused": ("", plain("DISABLE_ALL")),
    "all outputs, all optimisations": ("", plain("ENABLE_ALL", expose=True)),
    "inspector: all, exact": ("", ours("all")),
    "inspector: checkpoints, fused": ("", ours("checkpoint", "fused")),
    "inspector: checkpoints, exact": ("", ours("checkpoint")),
    "inspector: replay of one value": ("", replay),
    "inspector: streamed segments": ("", ours("segments")),
    "inspector: statistics": ("", ours("statistics")),
    "torch, plain": ("torch", torch_plain),
    "torch, hooks on every module": ("torch", torch_hooks),
    "torchlens, trace": ("torchlens", torchlens),
    "Polygraphy, mark all": ("polygraphy", polygraphy),
}


def child(way: str, path: Path, net: str, batch: int, rounds: int) -> None:
    """Measure one way and print the figures."""
    once = WAYS[way][1](path, net, batch)
    once()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    times: list[float] = []
    for _ in range(rounds):
        start = time.process_time()
        own = once()
        spent = time.process_time() - start
        times.append(own if isinstance(own, float) else spent)
        del own
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    sys.stdout.write(json.dumps({"ms": 1000 * min(times), "mb": peak}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--nets", default="resnet50,transformer")
    parser.add_argument("--child", nargs=4)
    arguments = parser.parse_args()
    if arguments.child:
        way, path, net, batch = arguments.child
        child(way, Path(path), net, int(batch), arguments.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        for net in arguments.nets.split(","):
            for batch in map(int, arguments.batches.split(",")):
                path = Path(folder) / f"{net}-{batch}.onnx"
                export(net, batch, path)
                table(net, batch, path, arguments.rounds)


def table(net: str, batch: int, path: Path, rounds: int) -> None:
    print(f"\n{net}, batch {batch}, one thread\n{'way':36} {'CPU ms':>9} {'peak MB':>8} {'× extended':>11}")
    base = 0.0
    for way, (package, _) in WAYS.items():
        if package and importlib.util.find_spec(package) is None:
            print(f"{way:36} not installed")
            continue
        command = [
            sys.executable,
            __file__,
            "--rounds",
            str(rounds),
            "--child",
            way,
            str(path),
            net,
            str(batch),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not answers:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            print(f"{way:36} failed: {said[-1]}")
            continue
        found = json.loads(answers[-1])
        base = found["ms"] if way == "plain, extended" else base
        ratio = f"{found['ms'] / base:.2f}" if base else ""
        print(f"{way:36} {found['ms']:9.1f} {found['mb']:8.0f} {ratio:>11}")


if __name__ == "__main__":
    main()
