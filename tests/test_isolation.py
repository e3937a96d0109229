"""Does the child process keep its limits, leave nothing behind, and reach nothing outside its folder?"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from converters import isolation, lockdown
from converters.errors import BadFile, ConversionFailed

ROOT = Path(__file__).parent.parent
needs_landlock = pytest.mark.skipif(lockdown.landlock_version() < 1, reason="this kernel has no Landlock")

PROBE = """
import json, os, socket, subprocess, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from converters import lockdown
folder, outside = Path({folder!r}), Path({outside!r})
held = lockdown.lock(folder, lockdown.readable_folders([Path({readable!r})]))
def attempt(action):
    try:
        action()
    except OSError:
        return False
    return True
print(json.dumps({{
    "held": held,
    "write inside": attempt(lambda: (folder / "made").write_text("x")),
    "write outside": attempt(lambda: (outside / "made").write_text("x")),
    "delete outside": attempt(lambda: (outside / "secret").unlink()),
    "read outside": attempt(lambda: (outside / "secret").read_text()),
    "read the file": attempt(lambda: Path({readable!r}).read_text()),
    "socket": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "run a program": attempt(lambda: subprocess.run([sys.executable, "-c", "pass"])),
    "signal the parent": attempt(lambda: os.kill(os.getppid(), 0)),
}}))
"""


def _living() -> set[int]:
    """Children of the conversions, by their process group leader's command line."""
    found: set[int] = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"converters.child" in line:
                found.add(int(folder.name))
    return found


def _script_file(folder: Path) -> Path:
    torch = pytest.importorskip("torch")
    path = folder / "net.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(4, 2)), path)
    return path


@needs_landlock
def test_locked_child_reaches_nothing_outside(tmp_path: Path) -> None:
    folder, outside = tmp_path / "inside", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("s")
    source = tmp_path / "source"
    source.write_text("s")
    code = PROBE.format(root=str(ROOT), folder=str(folder), outside=str(outside), readable=str(source))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    seen = json.loads(done.stdout)
    assert seen.pop("held")
    allowed = {"write inside", "read the file"}
    assert {name: done for name, done in seen.items() if done != (name in allowed)} == {}


def test_time_limit_stops_the_child(tmp_path: Path) -> None:
    source = _script_file(tmp_path)
    request = {"source": {"kind": "script", "path": str(source)}, "shapes": {"": ["batch", 4]}, "opset": None}
    before = _living()
    began = time.monotonic()
    with pytest.raises(ConversionFailed, match=r"stopped after 0\.2 s"):
        isolation.run("export", request, tmp_path, limits=isolation.Limits(seconds=0.2), readable=[source])
    assert time.monotonic() - began < 5
    assert _living() <= before


def test_memory_limit_is_named(tmp_path: Path) -> None:
    source = _script_file(tmp_path)
    # A batch of this size needs 16 GB for its input alone.
    request = {"source": {"kind": "script", "path": str(source)}, "shapes": {"": [1 << 30, 4]}, "opset": None}
    with pytest.raises(ConversionFailed, match="memory limit"):
        isolation.run("export", request, tmp_path, limits=isolation.Limits(memory=1 << 30), readable=[source])


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_cancel_leaves_nothing_behind(tmp_path: Path, stop: type[BaseException]) -> None:
    source = _script_file(tmp_path)
    request = {"source": {"kind": "script", "path": str(source)}, "shapes": {"": ["batch", 4]}, "opset": None}
    before = _living()

    def listener(text: str) -> None:
        raise stop("enough")

    with pytest.raises(stop):
        isolation.run("export", request, tmp_path, readable=[source], progress=listener)
    deadline = time.monotonic() + 10  # a killed process needs a moment to be gone
    while _living() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _living() <= before


def test_errors_keep_their_kind_and_progress_arrives(tmp_path: Path) -> None:
    source = tmp_path / "broken.pt"
    source.write_bytes(b"PK\x03\x04 not an archive")
    heard: list[str] = []
    request = {"source": {"kind": "script", "path": str(source)}, "shapes": {}, "opset": None}
    with pytest.raises(BadFile, match=r"broken\.pt"):
        isolation.run("export", request, tmp_path, readable=[source], progress=heard.append)
    assert heard == ["loading"]


def test_nothing_reaches_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    from converters import to_onnx

    to_onnx(torch.jit.script(torch.nn.Linear(4, 2)))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_failed_conversions_leave_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from converters import to_onnx

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ConversionFailed):
        to_onnx(torch.jit.script(torch.nn.Linear(4, 2)), input_shape={"": ("batch", 5)})
    assert list(tmp_path.iterdir()) == []
