"""How long and how much memory does opening a model take? `python benchmarks/opening.py [--gigabytes 1]`.

Every tool runs in a fresh process, all in one run; the table gives seconds, peak memory added over the
imports, and the ratio to `inspector.open_model`. A tool that is not installed is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper

TOOLS = {
    "inspector.open_model": (
        "import inspector.model as m; m.open_model",
        "kept = m.open_model({path!r}); kept.values",
    ),
    "inspector, every weight's first value": (
        "import inspector.model as m; m.open_model",
        "kept = [w.array().flat[0] for w in m.open_model({path!r}).weights.values()]",
    ),
    "onnx.load + infer_shapes_path": (
        "import onnx, onnx.shape_inference",
        "kept = onnx.load({path!r})\nonnx.shape_inference.infer_shapes_path({path!r}, {path!r} + '.out')",
    ),
    "onnx.load, without external data": (
        "import onnx",
        "kept = onnx.load({path!r}, load_external_data=False)",
    ),
    "onnx_ir.load": ("import onnx_ir", "kept = onnx_ir.load({path!r})"),
}
PROBE = """
import json, pathlib, re, time
{imports}

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024

before, start = peak(), time.perf_counter()
{call}
print(json.dumps([time.perf_counter() - start, peak() - before]))
"""


def large_model(folder: Path, gigabytes: float, external: bool) -> Path:
    """A chain of matrix products with so many bytes of weights, beside or inside the file."""
    size = 4096
    count = max(round(gigabytes * 2**30 / (size * size * 4)), 1)
    tensors = []
    block = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32).tobytes()
    with (folder / "weights.bin").open("wb") as file:
        for index in range(count):
            tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[size, size])
            if external:
                tensor.data_location = TensorProto.EXTERNAL
                place = {"location": "weights.bin", "offset": str(file.tell()), "length": str(len(block))}
                for key, text in place.items():
                    tensor.external_data.add(key=key, value=text)
                file.write(block)
            else:
                tensor.raw_data = block
            tensors.append(tensor)
    nodes = [
        helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"], name=f"m{i}") for i in range(count)
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n in ("x0", f"x{count}")]
    model = helper.make_model(helper.make_graph(nodes, "large", ends[:1], ends[1:], tensors), ir_version=10)
    path = folder / ("external.onnx" if external else "inline.onnx")
    onnx.save(model, path)
    return path


def measure(imports: str, call: str) -> tuple[float, float] | str:
    """Seconds and megabytes of one call in a fresh process, or why it did not run."""
    code = PROBE.format(imports=imports, call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def main() -> None:
    """Print one table for external and one for inline weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch:
        for external in (True, False):
            path = large_model(Path(scratch), arguments.gigabytes, external)
            print(f"\n{path.name}: {arguments.gigabytes} GB of weights")
            print(f"{'tool':42} {'seconds':>9} {'MB added':>9} {'× inspector':>12}")
            base = 0.0
            for tool, (imports, call) in TOOLS.items():
                runs = [measure(imports, call.format(path=str(path))) for _ in range(arguments.runs)]
                done = [run for run in runs if not isinstance(run, str)]
                if not done:
                    print(f"{tool:42} {runs[0]}")
                    continue
                seconds, megabytes = min(r[0] for r in done), min(r[1] for r in done)
                base = base or seconds
                print(f"{tool:42} {seconds:9.3f} {megabytes:9.0f} {seconds / base:12.1f}")


if __name__ == "__main__":
    main()
