"""How do values stay on the device? Inputs and outputs bound by name, results as OrtValues with DLPack."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from inspector import dtypes
from inspector.execution.devices import DeviceName
from inspector.execution.narrow_values import read_value, write_value
from inspector.execution.session import ORT_ERRORS, RunFailed, Session, explain_failure

__all__ = ["can_stay", "run_bound"]

_UNBOUND = re.compile(r"string|^(seq|map|optional|sparse_tensor)\(")


def run_bound(
    session: Session,
    feeds: Mapping[str, Any],
    names: Sequence[str],
    device: DeviceName,
    *,
    shrink: bool = False,
) -> list[Any]:
    """The named outputs as OrtValues in the memory of `device`; feeds may be arrays or OrtValues there.

    Outputs of a type that NumPy lacks come as arrays of ml_dtypes in the host's memory.

    `shrink` gives what the device's arena holds unused back after the run.

    Raises:
        TooLarge: the device's memory ran out.
        RunFailed: the inputs do not fit.
    """
    try:
        bound = session.ort.io_binding()
        for name, value in feeds.items():
            if name in session.input_names:
                _bind(bound, name, value)
        for name in names:
            bound.bind_output(name, "cpu" if name in session.narrow else device)
        options = ort.RunOptions()
        options.log_severity_level = 4
        if shrink:
            arena = "gpu:0" if device == "cuda" else "cpu:0"
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
        session.ort.run_with_iobinding(bound, options)
        bound.synchronize_outputs()
        values = zip(names, bound.get_outputs(), strict=True)
        return [read_value(value) if name in session.narrow else value for name, value in values]
    except (*ORT_ERRORS, MemoryError) as cause:
        raise explain_failure(cause, f"running the model on {device} failed", RunFailed) from None


def can_stay(session: Session, feeds: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether all of these can be bound: strings and sequences exist only in the host's memory."""
    types = [output.type for output in session.ort.get_outputs() if output.name in names]
    strings = any(isinstance(value, np.ndarray) and value.dtype.kind in "OUS" for value in feeds.values())
    return not strings and not any(_UNBOUND.search(text) for text in types)


def _bind(bound: Any, name: str, value: Any) -> None:
    if isinstance(value, np.ndarray) and dtypes.is_foreign(value.dtype):
        bound.bind_ortvalue_input(name, write_value(value))
    elif isinstance(value, np.ndarray):
        bound.bind_cpu_input(name, np.asarray(value, order="C"))
    else:
        bound.bind_ortvalue_input(name, value)
