"""What is told, and done instead, where CUDA or its memory fails at each step?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

import inspector
from inspector.errors import DeviceUnavailable, TooLarge
from inspector.execution import capture, devices, measure_tensor, random_feeds
from inspector.execution.moments import measure
from inspector.execution.session import explain_failure


class Driver:
    """A driver's library: as many devices, the error and the CUDA version that are wished."""

    def __init__(self, code: int = 0, count: int = 1, version: int = 13000) -> None:
        self.code, self.count, self.version = code, count, version

    def cuInit(self, _: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.count
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = self.version
        return 0


LIBRARIES = ("libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudnn.so.9")


@pytest.mark.parametrize(
    ("driver", "libraries", "said"),
    [
        (None, LIBRARIES, r"the NVIDIA driver is missing \(libcuda.so.1"),
        (Driver(code=100), LIBRARIES, r"finds no usable device \(code 100"),
        (Driver(count=0), LIBRARIES, r"finds no usable device \(code 0, 0 devices"),
        (
            Driver(version=12040),
            LIBRARIES,
            r"serves CUDA up to 12\.4, .* built for 13: update the driver",
        ),
        (Driver(), LIBRARIES[:1], r"do not load: libcublasLt.so.13, libcublas.so.13, .*libcudnn.so.9"),
        (Driver(), LIBRARIES[:4], r"do not load: libcudnn.so.9\. `pip install"),
    ],
)
def test_each_thing_that_can_be_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, driver: Driver | None, libraries: tuple[str, ...], said: str
) -> None:
    if not ort.get_device().startswith("GPU") or sys.platform != "linux":
        pytest.skip("this onnxruntime was built without CUDA")
    found: dict[str, Any] = {"libcuda.so.1": driver} | dict.fromkeys(libraries, object())
    monkeypatch.setattr(devices, "_load", found.get)
    with pytest.raises(DeviceUnavailable, match=said):
        devices.choose_device("cuda")
    instead = devices.choose_device("auto")
    assert (instead.name, instead.note[:15]) == ("cpu", "Ran on the CPU:")


SILENT = """
import inspector, sys
from inspector.errors import DeviceUnavailable
from inspector.execution import capture, devices, random_feeds
devices.cuda_obstacle = lambda: ""  # all that was looked for is there, and the provider does not load
model = inspector.open_model(sys.argv[1])
feeds = random_feeds(model)
for strategy in ("all", "checkpoint", "segments", "statistics"):
    got = capture(model, feeds, device="auto", strategy=strategy)
    got[next(iter(got))]
    assert got.device == "cpu" and any("Ran on the CPU" in note for note in got.notes), got.notes
try:
    capture(model, feeds, device="cuda")
except DeviceUnavailable as cause:
    assert "made a session on cpu" in str(cause), cause
else:
    raise SystemExit("no error")
"""


def test_a_provider_that_does_not_load_is_silent_and_told(fixtures: Path) -> None:
    """ONNX Runtime writes two lines in red here, and goes on."""
    if not devices.cuda_obstacle():
        pytest.skip("CUDA works here")
    command = [sys.executable, "-c", SILENT, str(fixtures / "squeezenet1_1.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


RUN_OUT = "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);"
TOO_OLD = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0"


@pytest.mark.parametrize(("fault", "kind"), [(RUN_OUT, TooLarge), (TOO_OLD, DeviceUnavailable)])
def test_a_session_that_cuda_refuses(
    monkeypatch: pytest.MonkeyPatch, classifier: inspector.Model, fault: str, kind: type[Exception]
) -> None:
    """Asked for, the fault is the answer; with auto the CPU runs, and the fault is its note."""
    whole = ort.InferenceSession

    def refused(graph: bytes, options: Any, *, providers: list[Any], **more: Any) -> Any:
        assert more == {"enable_fallback": 0}  # else it prints a frame of stars, and tries the CPU itself
        if providers != ["CPUExecutionProvider"]:
            raise RuntimeError(fault)
        return whole(graph, options, providers=providers, **more)

    monkeypatch.setattr(ort, "InferenceSession", refused)
    monkeypatch.setattr(devices, "cuda_obstacle", lambda: "")
    feeds = random_feeds(classifier)
    with pytest.raises(kind, match=r"out of memory|driver version is insufficient"):
        capture(classifier, feeds, device="cuda")
    got = capture(classifier, feeds, device="auto")
    assert got.device == "cpu"
    assert any(fault[:14] in note for note in got.notes)


@pytest.mark.parametrize(
    "fault",
    [
        "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::"
        "AllocateRawInternal(size_t, bool) Available memory of 0 is smaller than requested bytes of 256",
        "/onnxruntime_src/onnxruntime/core/platform/posix/env.cc:180 onnxruntime::{anonymous}::PosixThread::"
        "PosixThread(const char*, unsigned int (*)(int, Eigen::ThreadPoolInterface*), int, const "
        "onnxruntime::ThreadOptions&) pthread_create failed, error msg: Cannot allocate memory",
        RUN_OUT,
        "std::bad_alloc",
    ],
)
def test_memory_of_any_device_that_runs_out_is_known(fault: str) -> None:
    told = explain_failure(RuntimeError(fault), "running failed", DeviceUnavailable)
    assert isinstance(told, TooLarge)
    assert re.search(
        r"\((Available memory of 0|pthread_create failed|CUDA failure 2|std::bad_alloc)", str(told)
    )
    assert "onnxruntime" not in str(told)
    assert ".cc" not in str(told)


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).normal(1e4, 1, (3, 50_000)).astype(np.float32),
        np.array([2**53 - 1, -(2**40) - 1, 0]),
        np.array([[0.0, np.nan], [np.inf, -3.0]], np.float16),
        np.array([True, False, True]),
        np.array([3 + 4j, 0], np.complex64),
        np.array([np.nan], np.float64),
        np.zeros((0, 4), np.float32),
    ],
    ids=["far from zero", "long", "half", "bool", "complex", "nothing finite", "empty"],
)
def test_a_tensor_has_the_statistics_of_its_array(array: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way that runs on a device, in blocks, against NumPy's."""
    monkeypatch.setattr("inspector.execution.device_tensors.BLOCK", 4096)
    found, want = measure_tensor(torch.from_numpy(array)), measure(array)
    for name in ("dtype", "shape", "minimum", "maximum", "nan", "inf"):
        assert getattr(found, name) == getattr(want, name), name
    for name in ("mean", "std", "zeros"):
        one, other = getattr(found, name), getattr(want, name)
        assert one == (other if other is None else pytest.approx(other, rel=1e-9)), name
