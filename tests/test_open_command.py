"""Does `inspector open` outlive a killed server, and leave nothing behind when it ends?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest
from onnx import TensorProto, helper

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

COMMAND = [sys.executable, "-c", "from inspector.cli import main; main()", "open"]
PATIENCE = 60


def _until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "relu")], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


class _Opened:
    def __init__(self, model: Path, place: Path) -> None:
        self.place = place
        env = ["env", f"HOME={place}", f"TMPDIR={place}", "OMP_NUM_THREADS=1"]
        self.process = subprocess.Popen(
            [*env, *COMMAND, str(model), "--no-browser"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        found = re.search(r"http\S+?:(\d+)/#token=(\S+)", self.process.stdout.readline())
        assert found is not None
        headers = {"authorization": f"Bearer {found[2]}"}
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{found[1]}", headers=headers, timeout=10, trust_env=False
        )

    def answer(self) -> Any:
        try:
            return self.client.get("/api/models").json()["models"]
        except httpx.HTTPError:
            return None

    def server(self) -> int:
        """Process id of the one that answers: the child that holds the listening socket and our code."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (found,) = [
            int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        return found

    def left(self) -> list[Path]:
        return list(self.place.glob("inspector-page-*"))


@pytest.fixture
def opened(model: Path, tmp_path: Path) -> Iterator[_Opened]:
    place = tmp_path / "place"
    place.mkdir()
    made = _Opened(model, place)
    yield made
    made.client.close()
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait()


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system has no /proc")


@needs_proc
def test_a_server_killed_at_work_comes_back_with_its_models_and_token(opened: _Opened) -> None:
    rows = opened.answer()
    digest = rows[0]["model"]
    upload = opened.client.post("/api/files?name=a.npy", content=b"abc").json()["file"]
    first = opened.server()
    call = {"model": digest, "input": "random"}
    assert opened.client.post("/api/runs", json=call).status_code == 202
    os.kill(first, signal.SIGKILL)
    assert _until(opened.answer) == rows, "the same address, token and models"
    assert opened.server() != first
    assert opened.client.post("/api/runs", json=call).status_code == 202
    assert opened.client.get(f"/api/files/{upload}").status_code == 404
    assert len(opened.left()) == 1, "what the killed one held is gone"


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "terminated"])
def test_nothing_is_left_when_it_is_ended(opened: _Opened, how: signal.Signals) -> None:
    opened.client.post("/api/files?name=a.npy", content=b"abc")
    child = opened.server()
    opened.process.send_signal(how)
    opened.process.wait(PATIENCE)
    assert opened.left() == []
    _until(lambda: not Path(f"/proc/{child}").exists())


@needs_proc
def test_the_server_goes_with_the_command_that_was_killed(opened: _Opened) -> None:
    child = opened.server()
    opened.process.kill()
    opened.process.wait()
    _until(lambda: not Path(f"/proc/{child}").exists())


def test_a_bad_model_ends_the_command_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_text("no model")
    done = subprocess.run(
        ["env", f"HOME={tmp_path}", *COMMAND, str(tmp_path / "bad.onnx"), "--no-browser"],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode != 0
    assert "bad.onnx" in done.stderr
    assert "Traceback" not in done.stderr
