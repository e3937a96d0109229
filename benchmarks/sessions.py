"""How fast does a session over 1 GB of weights exist, and what does a second one cost?

`python benchmarks/sessions.py [--gigabytes N]`. Ways run in child processes; memory is what the process
holds for itself (anonymous), since mapped pages are shared and can be dropped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

SIDE = 4096


def build(path: Path, count: int) -> None:
    """`count` matrix products of 64 MB weights each, in one file beside the graph."""
    rng = np.random.default_rng(0)
    tensors: list[Any] = []
    with path.with_suffix(".data").open("wb") as file:
        for i in range(count):
            tensor = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[SIDE, SIDE])
            tensor.data_location = TensorProto.EXTERNAL
            size = SIDE * SIDE * 4
            for key, value in (
                ("location", path.with_suffix(".data").name),
                ("offset", i * size),
                ("length", size),
            ):
                tensor.external_data.add(key=key, value=str(value))
            tensors.append(tensor)
            file.write((rng.standard_normal(SIDE * SIDE, np.float32) / SIDE**0.5).tobytes())
    nodes = [
        helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"], name=f"m{i}") for i in range(count)
    ]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, SIDE]) for n in ("x0", f"x{count}")]
    proto = helper.make_model(helper.make_graph(nodes, "big", info[:1], info[1:], tensors), ir_version=8)
    proto.opset_import[0].version = 17
    onnx.save(proto, path)


def anonymous() -> float:
    """Megabytes of memory that belong to this process alone."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def child(way: str, path: Path) -> None:
    import onnxruntime as ort

    import inspector
    from inspector.execution import open_session, run

    def ours() -> Any:
        return open_session(inspector.open_model(path))

    def default() -> Any:
        return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    make = ours if way.startswith("inspector") else default
    before, start = anonymous(), time.perf_counter()
    session = make()
    created, held = time.perf_counter() - start, anonymous() - before
    x = {"x0": np.ones((1, SIDE), np.float32)}
    results = run(session, x) if way.startswith("inspector") else session.run(None, x)
    second = time.perf_counter()
    keep = make()
    again = time.perf_counter() - second
    sys.stdout.write(
        json.dumps({"create": created, "held": held, "second": again, "after": anonymous() - before,
                    "sum": float(results[0].sum()), "two": bool(keep)})
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--child", nargs=2)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]))
        return
    count = max(1, round(arguments.gigabytes * 16))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.onnx"
        build(path, count)
        print(f"{count * SIDE * SIDE * 4 / 1e9:.2f} GB of weights in a file beside the graph")
        print(f"{'way':24} {'create s':>9} {'own MB':>8} {'second s':>9} {'own MB after run and second':>28}")
        for way in ("ONNX Runtime, defaults", "inspector"):
            command = [sys.executable, __file__, "--child", way, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            times = f"{found['create']:9.3f} {found['held']:8.0f} {found['second']:9.3f}"
            print(f"{way:24} {times} {found['after']:28.0f}")


if __name__ == "__main__":
    main()
