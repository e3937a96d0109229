"""Can CUDA be used here? Every library is tried before ONNX Runtime is asked, so nothing is printed.

ONNX Runtime lists CUDA among its providers on machines that have none, prints to stderr when it cannot
load it, and then runs on the CPU. So the driver and the libraries are opened here first, and what ran is
read from the session afterwards.
"""

from __future__ import annotations

import ctypes
import site
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort
from onnxruntime.capi import build_and_package_info

from inspector.errors import DeviceUnavailable, UnknownName

__all__ = ["Device", "choose_device", "cuda_obstacle", "on_cpu"]

DeviceName = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """The device to ask for, and why it is not the one that was wished.

    `memory` is the most bytes that a session may take of a GPU, None for all there are. `optional` says that
    the CPU may do the work where a session on this device cannot be made.
    """

    name: DeviceName
    note: str = ""
    memory: int | None = None
    optional: bool = False

    @property
    def providers(self) -> list[Any]:
        """Execution providers in the order ONNX Runtime should try them.

        TF32 is off, so that float32 means float32; memory grows by what is asked for, not by doubling.
        Algorithms of convolutions are chosen by rule, not by timing: equal runs then give equal bytes, and
        a session that runs once does not try them all. Bounded memory bounds their workspace too.
        """
        options = {
            "use_tf32": "0",
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC",
        }
        if self.memory is not None:
            options |= {"gpu_mem_limit": str(self.memory), "cudnn_conv_use_max_workspace": "0"}
        cuda = [("CUDAExecutionProvider", options)] if self.name == "cuda" else []
        return [*cuda, "CPUExecutionProvider"]


def choose_device(asked: str) -> Device:
    """The device for "cpu", "cuda" or "auto" (CUDA where it works, else the CPU with a note).

    Raises:
        DeviceUnavailable: "cuda" was asked for and cannot work here; the message says what is missing.
    """
    if asked == "cpu":
        return Device("cpu")
    if asked not in ("cuda", "auto"):
        raise UnknownName.among("device", asked, ("cpu", "cuda", "auto"))
    obstacle = cuda_obstacle()
    if not obstacle:
        return Device("cuda", optional=asked == "auto")
    if asked == "auto":
        return on_cpu(obstacle)
    raise DeviceUnavailable(f"device 'cuda' cannot be used: {obstacle} Use --device cpu or auto.")


def on_cpu(reason: str) -> Device:
    """The CPU where CUDA was wished for; the reason is a sentence."""
    return Device("cpu", f"Ran on the CPU: {reason}")


def cuda_obstacle() -> str:
    """Why CUDA cannot work here, or "" when driver, device and libraries all answer."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return (
            f"this onnxruntime {ort.__version__} was built without CUDA; "
            "`pip install onnxruntime-gpu[cuda,cudnn]` where wheels exist."
        )
    driver = _load(_DRIVER)
    if driver is None:
        return f"the NVIDIA driver is missing ({_DRIVER} does not load)."
    count = ctypes.c_int(0)
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        return f"the NVIDIA driver finds no usable device (code {code}, {count.value} devices)."
    ours, needed = _driver_version(driver), _needed_version()
    if ours < needed:
        return (
            f"the NVIDIA driver serves CUDA up to {ours[0]}.{ours[1]}, and onnxruntime {ort.__version__} was "
            f"built for {needed[0]}: update the driver, or install an onnxruntime-gpu for CUDA {ours[0]}."
        )
    missing = [name for name in _libraries() if _load(name) is None]
    if missing:
        return (
            f"onnxruntime {ort.__version__} needs the libraries of CUDA {needed[0]}, and these do not load: "
            f"{', '.join(missing)}. `pip install onnxruntime-gpu[cuda,cudnn] nvidia-cublas`, or a torch "
            f"built for CUDA {needed[0]}."
        )
    return ""


def _driver_version(driver: ctypes.CDLL) -> tuple[int, int]:
    """The newest CUDA, (major, minor), that the driver serves."""
    number = ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(number))
    return number.value // 1000, number.value % 1000 // 10


def _needed_version() -> tuple[int, int]:
    """The oldest CUDA, (major, 0), whose drivers can run this onnxruntime: minor versions are compatible."""
    return int(str(getattr(build_and_package_info, "cuda_version", "") or "12").split(".")[0]), 0


_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def _libraries() -> list[str]:
    """What the CUDA provider links against, in load order."""
    major, _ = _needed_version()
    if sys.platform == "win32":
        return [f"cudart64_{major}.dll", f"cublasLt64_{major}.dll", f"cublas64_{major}.dll", "cudnn64_9.dll"]
    return [
        f"libcudart.so.{major}",
        f"libcublasLt.so.{major}",
        f"libcublas.so.{major}",
        "libcurand.so.10",
        "libcudnn.so.9",
    ]


def _load(name: str) -> ctypes.CDLL | None:
    """The library from the system's search path, else from NVIDIA's pip packages."""
    for place in (name, *map(str, _in_packages(name))):
        try:
            return ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    return None


def _in_packages(name: str) -> Iterator[Path]:
    for folder in dict.fromkeys((*sys.path, *site.getsitepackages())):
        yield from sorted(Path(folder).glob(f"nvidia/*/lib/{name}"))
        yield from sorted(Path(folder).glob(f"nvidia/*/bin/**/{name}"))
