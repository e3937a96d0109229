"""Does the torch net compute what ONNX Runtime computes? Every value of the graph, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor

from inspector.autograd import narrow
from inspector.errors import NotRunnable

__all__ = ["Agreement", "ValueDifference", "verify"]


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """One value: the largest |difference|, the same over the largest |value|, and the node that made it."""

    name: str
    node: str
    operator: str
    absolute: float
    relative: float
    shapes_agree: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """Every value compared, in order of execution; `spread` says how far the outputs depend on the inputs.

    `spread` is the largest relative change of an output when the inputs are changed; where it is 0 the
    figures prove nothing.
    """

    values: tuple[ValueDifference, ...]
    spread: float

    @property
    def worst(self) -> ValueDifference:
        """The value with the largest relative difference."""
        return max(self.values, key=lambda v: (not v.shapes_agree, v.relative))


def verify(net: Any, model: Any, inputs: Sequence[Any] | Mapping[str, Any]) -> Agreement:
    """Run both on the same inputs, ONNX Runtime without any graph optimisation, on the CPU."""
    feeds = dict(inputs) if isinstance(inputs, Mapping) else dict(zip(net.input_names, inputs, strict=True))
    proto, folder = (model, None) if isinstance(model, onnx.ModelProto) else (model.proto, model.folder)
    makers = {key: step for step in net.block.steps for key in step.outputs if key}
    names = list(dict.fromkeys([*makers, *(k for k in net.output_names if k)]))
    session = _session(_exposed(proto, names), folder)
    known = [output.name for output in session.get_outputs()]
    arrays = {name: _array(value) for name, value in feeds.items()}
    expected = dict(zip(known, session.run(known, arrays), strict=True))
    with torch.no_grad():
        run = net.run(feeds, taps=known)
        changed = net.run({name: _moved(value) for name, value in feeds.items()}).outputs
    rows = [
        _row(n, makers.get(n), run.taps[n], expected[n]) for n in known if isinstance(run.taps[n], Tensor)
    ]
    spread = max((_change(a, b) for a, b in zip(run.outputs, changed, strict=True)), default=0.0)
    return Agreement(tuple(rows), spread)


def _exposed(proto: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    given = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    return model


def _session(model: onnx.ModelProto, folder: Path | None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except (RuntimeError, ValueError) as error:
        raise NotRunnable(f"ONNX Runtime does not load the model: {error}") from error


def _array(value: Any) -> Any:
    return narrow.to_array(value) if isinstance(value, Tensor) else value


def _moved(value: Any) -> Any:
    tensor = value if isinstance(value, Tensor) else narrow.to_value(np.asarray(value))
    if isinstance(tensor, Tensor) and tensor.is_floating_point():
        return tensor * 0.7 + 0.1 * torch.sin(torch.arange(tensor.numel())).reshape(tensor.shape).to(tensor)
    return value


def _change(a: Any, b: Any) -> float:
    if not isinstance(a, Tensor) or a.shape != b.shape or not a.is_floating_point() or not a.numel():
        return 0.0
    return float((a - b).abs().max() / a.abs().max().clamp(min=1e-30))


def _row(name: str, step: Any, got: Tensor, expected: Any) -> ValueDifference:
    node, kind = ("", "") if step is None else (step.key, step.node.op_type)
    a, b = narrow.to_array(got), np.asarray(expected)
    if a.shape != b.shape:
        return ValueDifference(name, node, kind, np.inf, np.inf, False)
    if a.size == 0 or b.dtype.kind in "OUS":
        same = bool(np.array_equal(a, b))
        return ValueDifference(name, node, kind, 0.0 if same else np.inf, 0.0 if same else np.inf, True)
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gaps = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
    absolute = float(np.nan_to_num(gaps, nan=np.inf).max())
    finite = np.abs(y[np.isfinite(y)])
    scale = float(finite.max()) if finite.size else 0.0
    return ValueDifference(name, node, kind, absolute, absolute / scale if scale else absolute, True)
