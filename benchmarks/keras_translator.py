"""How fast and how small is the Keras translator, against Keras' own ONNX export and tf2onnx?

Run: KERAS_BACKEND=torch python benchmarks/keras_translator.py
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import onnx

from converters import to_onnx

ARCHITECTURES = {"MobileNetV2": 96, "ResNet50": 96, "EfficientNetB0": 96}
REPEATS = 3


def main() -> None:
    print(f"{'model':16}{'route':20}{'seconds':>9}{'nodes':>8}{'Transposes':>12}")
    for name, size in ARCHITECTURES.items():
        make: Callable[..., Any] = getattr(keras.applications, name)
        model = make(weights=None, input_shape=(size, size, 3))
        model(np.zeros((1, size, size, 3), np.float32))
        with tempfile.TemporaryDirectory() as folder:
            compare(name, model, Path(folder))


def compare(name: str, model: Any, folder: Path) -> None:
    """One row a route; the last line holds the ratios."""
    path = folder / "model.keras"
    model.save(path)
    ours = timed(lambda: to_onnx(path).model, REPEATS)
    row(name, "translator", *ours)
    theirs = timed(lambda: exported(model, folder / "keras.onnx"), 1)
    row(name, "keras.export", *theirs)
    if importlib.util.find_spec("tf2onnx") is not None and keras.backend.backend() == "tensorflow":
        tf2onnx = importlib.import_module("tf2onnx")
        row(name, "tf2onnx", *timed(lambda: tf2onnx.convert.from_keras(model)[0], 1))
    faster, smaller = theirs[0] / ours[0], len(theirs[1].graph.node) / len(ours[1].graph.node)
    print(f"{name:16}{'ratio':20}{faster:>8.1f}x{smaller:>7.1f}x")


def exported(model: Any, path: Path) -> onnx.ModelProto:
    """Keras' own export."""
    model.export(path, format="onnx", verbose=False)
    return onnx.load(path)


def timed(work: Callable[[], onnx.ModelProto], repeats: int) -> tuple[float, onnx.ModelProto]:
    """Median seconds and the last model."""
    seconds: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        made = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), made


def row(name: str, route: str, seconds: float, model: onnx.ModelProto) -> None:
    turns = sum(n.op_type == "Transpose" for n in model.graph.node)
    print(f"{name:16}{route:20}{seconds:>9.2f}{len(model.graph.node):>8}{turns:>12}")


if __name__ == "__main__":
    main()
