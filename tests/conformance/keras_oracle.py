"""What does Keras itself compute? Random weights, random inputs, and the comparison with ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")  # noqa: TID251  # Keras offers no other way

import keras
import numpy as np
import onnx
import onnxruntime

from converters.provenance import read_sources, restore
from converters.registry import Conversion

BATCH = 4


@dataclass(frozen=True)
class Parity:
    """Largest difference and the spread of the reference across inputs."""

    error: float
    spread: float

    @property
    def relative(self) -> float:
        return self.error / self.spread


def randomize(model: Any, seed: int = 0) -> None:
    """He-scaled kernels, scales near one, small offsets, positive variances."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape, name = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if "seed_generator" in variable.path or "int" in str(variable.dtype):
            continue
        if name in ("gamma", "scale"):
            value = rng.uniform(0.8, 1.2, shape)
        elif "variance" in name:
            value = rng.uniform(0.5, 2.0, shape)
        elif len(shape) < 2:
            value = rng.normal(0, 0.3, shape)
        else:
            fan = np.prod(shape[:-2]) if "depthwise" in variable.path else np.prod(shape[:-1])
            value = rng.normal(0, 1, shape) * np.sqrt(2 / max(fan, 1))
        variable.assign(value.astype("float32"))


def random_inputs(model: Any, seed: int = 1, high: int = 5, batch: int = BATCH) -> list[np.ndarray[Any, Any]]:
    """One array an input; integers below `high`; dynamic axes get seven steps."""
    rng = np.random.default_rng(seed)
    made = []
    for tensor in model.inputs:
        shape = [d if d is not None else (batch if i == 0 else 7) for i, d in enumerate(tensor.shape)]
        if "int" in tensor.dtype:
            made.append(rng.integers(0, high, shape).astype(tensor.dtype))
        elif tensor.dtype == "bool":
            made.append(rng.random(shape) < 0.6)
        else:
            made.append(rng.normal(0, 1, shape).astype(tensor.dtype))
    return made


def session(conversion: Conversion) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the checked model."""
    assert conversion.folder is not None
    path = conversion.folder / "checked.onnx"
    onnx.save(conversion.model, path)
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnx(conversion: Conversion, inputs: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """All outputs for inputs in order."""
    made = session(conversion)
    feeds = {i.name: x for i, x in zip(made.get_inputs(), inputs, strict=True)}
    return [np.asarray(y) for y in made.run(None, feeds)]


def run_keras(model: Any, inputs: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """All outputs, nested ones flattened."""
    result = model(list(inputs) if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(keras.ops.convert_to_numpy(y)) for y in keras.tree.flatten(result)]


def compare(reference: Sequence[np.ndarray[Any, Any]], found: Sequence[np.ndarray[Any, Any]]) -> Parity:
    """The worst output."""
    assert len(reference) == len(found)
    worst = Parity(0.0, 1.0)
    for a, b in zip(reference, found, strict=True):
        assert a.shape == b.shape, (a.shape, b.shape)
        a, b = a.astype(np.float64), b.astype(np.float64)
        assert np.isfinite(a).all()
        spread = float(np.ptp(a, axis=0).max()) if a.ndim else float(abs(a))
        made = Parity(float(np.abs(a - b).max()) if a.size else 0.0, spread)
        if spread == 0 or not made.relative <= worst.relative:
            worst = made
    return worst


def restored(conversion: Conversion) -> dict[str, np.ndarray[Any, Any]]:
    """Every source tensor, undone from the initializers."""
    found = {}
    for tensor in conversion.model.graph.initializer:
        for source in read_sources(tensor):
            array = onnx.numpy_helper.to_array(tensor, str(conversion.folder))
            found[source.name] = restore(array, source.restore)
    return found


def missing_weights(model: Any, conversion: Conversion) -> list[str]:
    """Source variables of which no initializer holds the bits."""
    held = {(a.shape, a.dtype.name, a.tobytes()) for a in restored(conversion).values()}
    lost = []
    for variable in model.weights:
        value = np.asarray(variable.numpy())
        if (value.shape, value.dtype.name, value.tobytes()) not in held:
            lost.append(variable.path)
    return lost


def save(model: Any, folder: Path, suffix: str) -> Path:
    """The model as a file."""
    path = folder / f"model{suffix}"
    model.save(path)
    return path


Build = Callable[[], Any]
