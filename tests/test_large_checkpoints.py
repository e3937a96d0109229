"""Does a large checkpoint fit in memory once, and does stopping its conversion leave nothing behind?"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from converters import to_onnx

LAYERS = 4
FACTORY = """
import torch

def build(width):
    return torch.nn.Sequential(*[torch.nn.Linear(width, width) for _ in range(4)])

def large():
    return build(5120)

def small():
    return build(64)
"""
TWICE = 1.6
"""Times the weights: once held, plus what the allocator and the exporter need in between."""


def _status(process: str) -> dict[str, int]:
    """Numbers of `/proc/<process>/status`; sizes in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    rows = (line.split() for line in lines if line.startswith(("VmHWM", "VmRSS", "PPid")))
    return {row[0].rstrip(":"): int(row[1]) * (1024 if len(row) > 2 else 1) for row in rows}


class _Peak(threading.Thread):
    """The largest resident size that any child of this process ever had.

    A child starts as a copy of this process, so of each only the last reading counts.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.latest: dict[str, int] = {}
        self.parent = int(Path("/proc/self").resolve().name)
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            for entry in Path("/proc").glob("[0-9]*"):
                try:
                    found = _status(entry.name)
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if found.get("PPid") == self.parent:
                    self.latest[entry.name] = found.get("VmHWM", self.latest.get(entry.name, 0))


def _convert(path: Path, size: str, width: int) -> tuple[int, int, list[str]]:
    """Peak of the child, growth of this process, and what was reported meanwhile."""
    said: list[str] = []
    watch = _Peak()
    before = _status("self")["VmRSS"]
    watch.start()
    options = {"factory": f"large_factory:{size}", "input_shape": {"": ("batch", width)}}
    conversion = to_onnx(path, **options, extra={"progress": said.append})
    watch.done.set()
    assert sum(node.op_type in ("Gemm", "MatMul") for node in conversion.model.graph.node) == LAYERS
    return max(watch.latest.values()), _status("self")["VmRSS"] - before, said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the sizes of processes from /proc")
def test_weights_are_in_memory_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large_factory.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, width in (("small", 64), ("large", 5120)):
        net = nn.Sequential(*[nn.Linear(width, width) for _ in range(LAYERS)])
        torch.save(net.state_dict(), tmp_path / f"{name}.pth")
        del net
    weights = (tmp_path / "large.pth").stat().st_size
    assert weights > 400e6
    least, _, _ = _convert(tmp_path / "small.pth", "small", 64)
    most, growth, said = _convert(tmp_path / "large.pth", "large", 5120)
    assert weights / 2 < most - least < TWICE * weights
    assert growth < weights / 4
    assert {"loading", "exporting"} <= set(said)


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    torch.save(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), tmp_path / "net.pt")
    start = "import sys, tempfile; tempfile.tempdir = sys.argv.pop(1); from inspector.cli import main; main()"
    command = [sys.executable, "-c", start, str(folder), "convert", "net.pt", "-o", "net.onnx"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while not any(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert any(folder.iterdir())
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "net.onnx").exists()
