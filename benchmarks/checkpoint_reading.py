"""How fast is a checkpoint opened without torch? The stub reader against `torch.load`, in fresh processes.

Run `python benchmarks/checkpoint_reading.py [--megabytes 400] [--tensors 400]`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

READERS = {
    "stub reader, list tensors": (
        "import converters.torch_file as t\nrun = lambda p: t.read_torch_file(Path(p))"  # nothing is loaded
    ),
    "stub reader, ONNX in place": "from converters.conversion import to_onnx\nrun = to_onnx",
    "torch.load(weights_only)": "import torch\nrun = lambda p: torch.load(p, weights_only=True)",
    "torch.load(weights_only, mmap)": (
        "import torch\nrun = lambda p: torch.load(p, weights_only=True, mmap=True)"
    ),
}
HARNESS = """
import time
start = time.perf_counter()
import json, sys
from pathlib import Path
{setup}
loaded = time.perf_counter()
kept = run(sys.argv[1])
first = time.perf_counter()
times = []
for _ in range(5):
    begin = time.perf_counter(); kept = run(sys.argv[1]); times.append(time.perf_counter() - begin)
peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
print(json.dumps([loaded - start, first - loaded, min(times), peak / 1024]))
"""


def measure(path: Path, setup: str, runs: int = 3) -> list[float]:
    """Medians over fresh processes: seconds to import, of the first and best later call; peak MiB."""
    rows: list[list[float]] = []
    for _ in range(runs):
        command = [sys.executable, "-c", HARNESS.format(setup=setup), str(path)]
        rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--tensors", type=int, default=400)
    given = parser.parse_args()
    each = given.megabytes * (1 << 20) // 4 // given.tensors
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        torch.save({f"layer{i}.weight": torch.rand(each) for i in range(given.tensors)}, path)
        rows = [f"{path.stat().st_size / 1e6:.0f} MB in {given.tensors} tensors"]
        rows.append(f"{'':32}{'import s':>10}{'first s':>10}{'again s':>10}{'peak MiB':>10}")
        for name, setup in READERS.items():
            figures = measure(path, setup)
            rows.append(f"{name:32}" + "".join(f"{x:10.3f}" for x in figures[:3]) + f"{figures[3]:10.0f}")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
