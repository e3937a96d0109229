"""How do values stay on the device? Inputs and outputs bound by name, results as OrtValues with DLPack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from inspector.errors import BadInput
from inspector.execution.devices import DeviceName
from inspector.execution.session import ORT_ERRORS, Session, explain_failure

__all__ = ["run_bound"]


def run_bound(
    session: Session, feeds: Mapping[str, Any], names: Sequence[str], device: DeviceName
) -> list[Any]:
    """The named outputs as OrtValues in the memory of `device`; feeds may be arrays or OrtValues there.

    Raises:
        TooLarge: the device's memory ran out.
        BadInput: the inputs do not fit.
    """
    try:
        bound = session.ort.io_binding()
        for name, value in feeds.items():
            if name in session.input_names:
                _bind(bound, name, value)
        for name in names:
            bound.bind_output(name, device)
        options = ort.RunOptions()
        options.log_severity_level = 4
        session.ort.run_with_iobinding(bound, options)
        bound.synchronize_outputs()
        return list(bound.get_outputs())
    except (*ORT_ERRORS, MemoryError) as cause:
        raise explain_failure(cause, f"running the model on {device} failed", BadInput) from None


def _bind(bound: Any, name: str, value: Any) -> None:
    if isinstance(value, np.ndarray):
        bound.bind_cpu_input(name, np.ascontiguousarray(value))
    else:
        bound.bind_ortvalue_input(name, value)
