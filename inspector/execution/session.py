"""How does a tiny graph proto become a session over weights that stay in their file?"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.capi import (
    onnxruntime_pybind11_state as ort_errors,  # pyright: ignore[reportAttributeAccessIssue]  # a compiled module
)

from inspector import dtypes
from inspector.errors import BadInput, DeviceUnavailable, InspectorError, NotRunnable, TooLarge
from inspector.execution.devices import Device, DeviceName, choose_device, on_cpu
from inspector.execution.narrow_values import is_narrow, read_value, write_value
from inspector.model import Model
from inspector.model.walk import all_tensors

__all__ = [
    "ORT_ERRORS",
    "RunFailed",
    "Session",
    "Settings",
    "explain_failure",
    "open_session",
    "run",
    "weight_bytes",
]

Array = np.ndarray[Any, np.dtype[Any]]
Fusion = Literal["none", "extended", "all"]

_LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

_WARNING, _FATAL = 2, 4
"""Severities of ONNX Runtime's logger: the one it starts with, and the one that is all but silent."""

ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.EPFail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.NoSuchFile,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)

PREPACK_LIMIT = 256 << 20
"""Bytes of a model's weights above which kernels, also those of a part of its graph, use them where they
are mapped: packing would copy every page."""


class RunFailed(BadInput):
    """A node failed on inputs whose types and ranks fit."""


@dataclass(frozen=True)
class Settings:
    """How a session is made.

    `frugal` gives memory back after every run and executes a node as soon as it can, so that values die
    early; `scattered` says that values leave as outputs, for which no common block of memory can be planned;
    `shared` takes memory from one arena of the process, where the parts of a graph that run one
    after the other find what earlier ones left. `threads` 0 leaves the number to ONNX Runtime.
    """

    fusion: Fusion = "none"
    frugal: bool = False
    shared: bool = False
    scattered: bool = False
    threads: int = 0
    profile: Path | None = None


@dataclass(frozen=True)
class Session:
    """An ONNX Runtime session with the device that it really uses."""

    ort: ort.InferenceSession
    device: DeviceName
    note: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    narrow: frozenset[str] = frozenset()
    """Outputs of a type that NumPy lacks."""
    left: tuple[str, ...] = ()
    """Nodes, "operator name", that a session on a GPU left to the CPU."""


def open_session(
    model: Model,
    proto: onnx.ModelProto | None = None,
    *,
    device: str | Device = "cpu",
    settings: Settings = Settings(),
) -> Session:
    """A session for the model, or for a variant of its graph, over the same weight files.

    Where the device is optional and a session on it cannot be made, the CPU takes it, and the note says why.

    Raises:
        NotRunnable: an operator, IR or operator set that ONNX Runtime does not have.
        DeviceUnavailable: CUDA was asked for and did not load.
        TooLarge: the weights do not fit the memory.
    """
    if model.obstacles:
        raise NotRunnable(f"{model.name} cannot be executed: {'; '.join(model.obstacles)}.")
    chosen = choose_device(device) if isinstance(device, str) else device
    proto = model.proto if proto is None else proto
    try:
        return _open(model, proto, chosen, settings)
    except (DeviceUnavailable, TooLarge) as cause:
        if not chosen.optional:
            raise
        return _open(model, proto, on_cpu(str(cause)), settings)


def _open(model: Model, proto: onnx.ModelProto, chosen: Device, settings: Settings) -> Session:
    options = _options(model, settings)
    if chosen.name == "cuda":
        options.use_deterministic_compute = True
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = _create(proto, options, chosen)
    except ORT_ERRORS as cause:
        if _of_device(cause, chosen):
            raise explain_failure(cause, "a session on CUDA cannot be made", DeviceUnavailable) from None
        raise explain_failure(cause, f"{model.name} cannot be executed", NotRunnable) from None
    ran: DeviceName = "cuda" if "CUDAExecutionProvider" in session.get_providers() else "cpu"
    if ran != chosen.name:
        raise DeviceUnavailable(
            f"device {chosen.name!r} was asked for, but ONNX Runtime made a session on {ran}. "
            "`onnxruntime.print_debug_info()` lists what it loaded."
        )
    return Session(
        session,
        ran,
        chosen.note,
        tuple(i.name for i in session.get_inputs()),
        tuple(o.name for o in session.get_outputs()),
        frozenset(o.name for o in session.get_outputs() if is_narrow(o.type)),
        _left(session) if ran == "cuda" else (),
    )


def run(
    session: Session, feeds: Mapping[str, Array], names: list[str] | None = None, *, shrink: bool = False
) -> list[Any]:
    """The named outputs (all by default). Arrays share ONNX Runtime's memory; treat them as read-only.

    Types that NumPy lacks (bfloat16, float8, int4, …) come and go as arrays of ml_dtypes. `shrink` gives
    what the arena holds unused back to the system after the run.

    Raises:
        TooLarge: memory ran out.
        RunFailed: ONNX Runtime refused the inputs, or a node failed on them.
    """
    known = {name: array for name, array in feeds.items() if name in session.input_names}
    options = ort.RunOptions()
    options.log_severity_level = 4
    if shrink:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    try:
        return _run(session, known, list(session.output_names) if names is None else names, options)
    except (*ORT_ERRORS, MemoryError) as cause:
        raise explain_failure(cause, f"running the model on {_listed(known)} failed", RunFailed) from None


def _listed(feeds: Mapping[str, Array]) -> str:
    """What was fed, as the sizes that a model leaves open may still not suit it."""
    sizes = ("×".join(map(str, array.shape)) or "one number" for array in feeds.values())
    words = [f"{name} {size}" for name, size in zip(feeds, sizes, strict=True)]
    return ", ".join(words[:6]) + " …" * (len(words) > 6) or "no inputs"


def _run(session: Session, feeds: Mapping[str, Array], names: list[str], options: Any) -> list[Any]:
    """Values that NumPy can hold as arrays straight away, the others through ONNX Runtime's own."""
    foreign = {name for name, array in feeds.items() if dtypes.is_foreign(array.dtype)}
    if not foreign and not session.narrow.intersection(names):
        return list(session.ort.run(names, feeds, options))
    held = {
        name: (write_value if name in foreign else ort.OrtValue.ortvalue_from_numpy)(array)
        for name, array in feeds.items()
    }
    values = zip(names, session.ort.run_with_ort_values(names, held, options), strict=True)
    return [read_value(value) if name in session.narrow else value.numpy() for name, value in values]


_CALLS = re.compile(
    r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: "
)
_NO_MEMORY = re.compile(r"alloc|out of memory|smaller than requested bytes", re.IGNORECASE)


def _of_device(cause: BaseException, device: Device) -> bool:
    """Whether the device failed, and not the model: CUDA's libraries name themselves in their errors."""
    return device.name == "cuda" and bool(re.search(r"\bCUDA |CUDNN_|CUBLAS_|cuda\w*\(", str(cause)))


def explain_failure(cause: BaseException, what: str, kind: type[InspectorError]) -> InspectorError:
    """The project's error for one of ONNX Runtime's, without its source positions."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(cause)).strip()
    text = re.sub(r"\bonnxruntime::[^\s(]+\(([^()]|\([^()]*\))*\) ?", "@ ", text)  # a function's signature
    text = re.sub(r"/\S+\.(cc|h|cu):\d+ \S+( \S+\))?", "", text).replace("@ ", "").strip()
    text = _CALLS.sub(r"\1 '\2': ", text)
    if isinstance(cause, MemoryError) or _NO_MEMORY.search(str(cause)):
        return TooLarge(f"{what}: memory ran out ({text[:300]}). Use a smaller batch or input, or a budget.")
    return kind(f"{what}: {text[:1200]}")


def _options(model: Model, settings: Settings) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = _LEVELS[settings.fusion]
    options.intra_op_num_threads = settings.threads
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(model.folder)
    )
    if weight_bytes(model.proto) > PREPACK_LIMIT:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if settings.frugal:
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
    if settings.shared and _share_arena():
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
        options.enable_mem_pattern = False
    if settings.scattered:
        options.enable_mem_pattern = False
    if settings.profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(settings.profile)
    return options


def _left(session: ort.InferenceSession) -> tuple[str, ...]:
    """What the runtime gave to its CPU provider, as it recorded it itself."""
    groups = session.get_provider_graph_assignment_info()
    cpu = (group for group in groups if group.ep_name == "CPUExecutionProvider")
    return tuple(f"{node.op_type} {node.name}".strip() for group in cpu for node in group.get_nodes())


@functools.cache
def _share_arena() -> bool:
    """Register the arena that sessions may share, once in a process; False where another one stands."""
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    grows_as_asked = ort.OrtArenaCfg({"arena_extend_strategy": 1})
    try:
        ort.create_and_register_allocator(memory, grows_as_asked)
    except ORT_ERRORS:
        return False
    return True


def weight_bytes(proto: onnx.ModelProto) -> int:
    """Bytes of the stored tensors of a graph, in other files or in its own."""
    return sum(_stored_bytes(tensor) for tensor in all_tensors(proto))


def _stored_bytes(tensor: onnx.TensorProto) -> int:
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return tensor.ByteSize()
    return sum(int(entry.value) for entry in tensor.external_data if entry.key == "length")


def _create(proto: onnx.ModelProto, options: Any, device: Device) -> ort.InferenceSession:
    """A session; a file stamped with a newer IR than ONNX Runtime knows is tried as the newest it knows."""
    try:
        return _session_of(proto, options, device)
    except ORT_ERRORS as cause:
        newest = re.search(r"max supported IR version: (\d+)", str(cause))
        if newest is None:
            raise
        lowered = onnx.ModelProto()
        lowered.CopyFrom(proto)
        lowered.ir_version = int(newest[1])
        return _session_of(lowered, options, device)


def _session_of(proto: onnx.ModelProto, options: Any, device: Device) -> ort.InferenceSession:
    """A session that fails where ONNX Runtime would print its fault and go on with another provider."""
    graph = proto.SerializeToString()
    if device.name == "cuda":
        ort.set_default_logger_severity(_FATAL)  # a provider that does not load is written by this logger
    try:
        return ort.InferenceSession(graph, options, providers=device.providers, enable_fallback=0)
    finally:
        if device.name == "cuda":
            ort.set_default_logger_severity(_WARNING)
