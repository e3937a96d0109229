"""What does seeing every activation cost? Against plain runs, torch hooks, torchlens and Polygraphy.

`python benchmarks/capture.py [--rounds N] [--batches 1,8] [--device cuda] [--rivals PYTHON]` prints a
Markdown table for each network and batch. Each way runs in a child process of its own on one core: first
alone, for the peak of memory (of the process, or of the whole device), then in turn with a plain run at
ENABLE_EXTENDED, for the ratio. Figures are the smallest time of a run: CPU time of the process, or on CUDA
the time until the device is done. `--rivals` is a Python that has torchlens and Polygraphy, where the one
that runs this has not; tools that are not installed are left out, and said so.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from capture_networks import NETS, export, sample

DEVICE = os.environ.get("CAPTURE_DEVICE", "cpu")
Once = Callable[[], Any]
Build = Callable[[Path, str, int], Once]


def ours(strategy: str, mode: str = "exact") -> Build:
    def build(path: Path, net: str, batch: int) -> Once:
        import inspector
        from inspector.execution import drain, prepare

        model = inspector.open_model(path)
        feeds = {"x": sample(net, batch)}
        prepared = prepare(model, feeds, strategy=strategy, mode=mode, threads=1, device=DEVICE)  # pyright: ignore[reportArgumentType]
        if strategy != "segments":
            return lambda: prepared.run(feeds)

        def streamed() -> None:
            for found, _ in prepared.runner.stream(feeds):
                if DEVICE == "cpu":
                    found.clear()
                else:
                    list(drain(found))

        return streamed

    return build


def replay(path: Path, net: str, batch: int) -> Once:
    """One value of the middle of the network, from the checkpoints of a finished run."""
    import inspector
    from inspector.execution import prepare
    from inspector.execution.shelf import Shelf

    model = inspector.open_model(path)
    feeds = {"x": sample(net, batch)}
    prepared = prepare(model, feeds, strategy="checkpoint", threads=1, device=DEVICE)
    captured = prepared.run(feeds)
    lost = [key for key in prepared.plan.keys if key not in captured.kept]
    key = lost[len(lost) // 2]

    def again() -> Any:
        prepared.runner.shelf = Shelf()
        captured.recent.clear()
        return captured[key]

    return again


def plain(level: str, expose: bool = False) -> Build:
    def build(path: Path, net: str, batch: int) -> Once:
        session, feeds = session_of(path, level, expose), {"x": sample(net, batch)}
        return lambda: session.run(None, feeds)

    return build


def session_of(path: Path, level: str, expose: bool) -> Any:
    import onnx
    import onnxruntime as ort

    proto = onnx.load(path)
    if expose:
        known = {o.name for o in proto.graph.output}
        made = {name for node in proto.graph.node if node.op_type != "Constant" for name in node.output}
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(made - known))
    return ort.InferenceSession(proto.SerializeToString(), session_options(level), providers=providers())


def kept_warm(path: Path, net: str, batch: int) -> Once:
    """Every value into memory of its own that the last run has touched: no allocation, no Python by value.

    What this takes above an unfused run is the writing of values to more memory than the cache holds.
    """
    import onnxruntime as ort

    session = session_of(path, "DISABLE_ALL", expose=True)
    x = ort.OrtValue.ortvalue_from_numpy(sample(net, batch))
    bound = session.io_binding()
    bound.bind_ortvalue_input("x", x)
    names = [output.name for output in session.get_outputs()]
    for name, value in zip(names, session.run_with_ort_values(names, {"x": x}), strict=True):
        bound.bind_ortvalue_output(name, value)
    return lambda: session.run_with_iobinding(bound)


def session_options(level: str) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_{level}")
    return options


def providers() -> list[Any]:
    from inspector.execution import choose_device

    return choose_device(DEVICE).providers


def torch_way(hooks: bool) -> Build:
    def build(path: Path, net: str, batch: int) -> Once:
        import torch

        torch.set_num_threads(1)
        module, x = NETS[net]().to(DEVICE), torch.from_numpy(sample(net, batch)).to(DEVICE)
        kept: list[Any] = []
        for part in module.modules() if hooks else ():
            if not list(part.children()):
                part.register_forward_hook(lambda _, __, output: kept.append(output))

        def once() -> Any:
            kept.clear()
            with torch.inference_mode():
                return module(x)

        return once

    return build


def torchlens(path: Path, net: str, batch: int) -> Once:
    import torch
    import torchlens as tl

    torch.set_num_threads(1)
    module, x = NETS[net]().to(DEVICE), torch.from_numpy(sample(net, batch)).to(DEVICE)
    trace = getattr(tl, "trace", None) or tl.log_forward_pass
    return lambda: trace(module, x)


def polygraphy(path: Path, net: str, batch: int) -> Once:
    import onnxruntime as ort
    from polygraphy.backend.onnx import BytesFromOnnx, ModifyOutputs, OnnxFromPath
    from polygraphy.backend.onnxrt import OnnxrtRunner
    from polygraphy.constants import MARK_ALL

    marked = BytesFromOnnx(ModifyOutputs(OnnxFromPath(str(path)), outputs=MARK_ALL))()
    session = ort.InferenceSession(marked, session_options("ENABLE_ALL"), providers=providers())
    runner = OnnxrtRunner(session)
    runner.activate()
    feeds = {"x": sample(net, batch)}
    return lambda: runner.infer(feeds)


REFERENCE = "plain, extended"
WAYS: dict[str, tuple[str, Build]] = {
    "plain, all optimisations": ("", plain("ENABLE_ALL")),
    REFERENCE: ("", plain("ENABLE_EXTENDED")),
    "plain, unfused": ("", plain("DISABLE_ALL")),
    "unfused, all outputs, memory kept warm": ("", kept_warm),
    "all outputs, all optimisations": ("", plain("ENABLE_ALL", expose=True)),
    "inspector: all, exact": ("", ours("all")),
    "inspector: checkpoints, fused": ("", ours("checkpoint", "fused")),
    "inspector: checkpoints, exact": ("", ours("checkpoint")),
    "inspector: replay of one value": ("", replay),
    "inspector: streamed segments": ("", ours("segments")),
    "inspector: statistics": ("", ours("statistics")),
    "torch, plain": ("torch", torch_way(hooks=False)),
    "torch, hooks on every module": ("torch", torch_way(hooks=True)),
    "torchlens, trace": ("torchlens", torchlens),
    "Polygraphy, mark all": ("polygraphy", polygraphy),
}


def spent(once: Once) -> float:
    """Seconds of one run: CPU time, or until the device is done."""
    clock = time.process_time if DEVICE == "cpu" else time.perf_counter
    start = clock()
    kept = once()
    settle()
    seconds = clock() - start
    del kept
    return seconds


def settle() -> None:
    if DEVICE != "cpu":
        import torch

        torch.cuda.synchronize()


def peak_of(once: Once) -> float:
    """Megabytes at most while one run goes on."""
    gc.collect()
    if DEVICE == "cpu":
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        once()
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    import torch

    done, seen = threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.001):
            free, total = torch.cuda.mem_get_info()
            seen.append(total - free)

    thread = threading.Thread(target=watch)
    thread.start()
    once()
    settle()
    done.set()
    thread.join()
    return max(seen) / 1e6


def child(way: str, path: Path, net: str, batch: int, rounds: int) -> None:
    """Measure one way and print the figures."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    once = WAYS[way][1](path, net, batch)
    once()
    peak = peak_of(once)
    reference = WAYS[REFERENCE][1](path, net, batch)
    reference()
    pairs = [(spent(once), spent(reference)) for _ in range(rounds)]
    mine, its = (min(times) for times in zip(*pairs, strict=True))
    sys.stdout.write(json.dumps({"ms": 1000 * mine, "ratio": mine / its, "mb": peak}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--nets", default="resnet50,transformer")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--rivals", default=sys.executable)
    parser.add_argument("--ways", default="", help="only ways whose name holds this")
    parser.add_argument("--child", nargs=4)
    arguments = parser.parse_args()
    if arguments.child:
        way, path, net, batch = arguments.child
        child(way, Path(path), net, int(batch), arguments.rounds)
        return
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    os.environ |= {"CAPTURE_DEVICE": arguments.device, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as folder:
        for net in arguments.nets.split(","):
            for batch in map(int, arguments.batches.split(",")):
                path = Path(folder) / f"{net}-{batch}.onnx"
                export(net, batch, path)
                table(net, batch, path, arguments)


def table(net: str, batch: int, path: Path, arguments: argparse.Namespace) -> None:
    where = "one thread, CPU time" if arguments.device == "cpu" else "CUDA, wall time; memory of the device"
    print(f"\n| {net}, batch {batch}: {where} | ms | × extended | peak MB |\n|---|---|---|---|")
    for way, (package, _) in WAYS.items():
        if arguments.ways not in way:
            continue
        python = arguments.rivals if package in ("torchlens", "polygraphy") else sys.executable
        if package and subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode:
            print(f"| {way} | not installed | | |", flush=True)
            continue
        asked = ["--child", way, str(path), net, str(batch), "--rounds", str(arguments.rounds)]
        done = subprocess.run([python, __file__, *asked], capture_output=True, text=True, check=False)
        answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not answers:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            print(f"| {way} | failed: {said[-1]} | | |", flush=True)
            continue
        found = json.loads(answers[-1])
        print(f"| {way} | {found['ms']:.1f} | {found['ratio']:.2f} | {found['mb']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
