"""Do whole `keras.applications` networks compute the same as Keras, with every weight kept bit for bit?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conformance.keras_oracle import (
    compare,
    keras,
    missing_weights,
    run_keras,
    run_onnx,
    save,
)

from converters import to_onnx

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
SMALLEST_SPREAD = 0.05

ARCHITECTURES: dict[str, tuple[int, float | None]] = {
    "Xception": (72, None),
    "InceptionV3": (75, None),
    "DenseNet121": (64, None),
    "MobileNet": (64, None),
    "MobileNetV2": (64, None),
    "MobileNetV3Small": (64, None),
    "EfficientNetB0": (64, None),
    "EfficientNetV2B0": (64, None),
    "ConvNeXtTiny": (64, None),
    "InceptionResNetV2": (75, None),
    "ResNet50": (96, None),
    "ResNet50V2": (64, None),
    "VGG16": (48, None),
}


def build(name: str, size: int) -> Any:
    """An architecture without softmax whose outputs depend on its inputs.

    He-scaled kernels, scales near one, small offsets, and BatchNorm statistics of one real batch.
    """
    keras.backend.clear_session()
    make: Callable[..., Any] = getattr(keras.applications, name)
    options: dict[str, Any] = {"weights": None, "input_shape": (size, size, 3), "classes": 10}
    model = make(classifier_activation=None, **options)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        shape, leaf = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if leaf in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            depthwise = "depthwise" in variable.path and len(shape) == 4
            fan = np.prod(shape[:2]) if depthwise and shape[-1] == 1 else np.prod(shape[:-1])
            value = rng.normal(0, 1, shape) * np.sqrt(2 / fan)
        elif leaf == "gamma" and len(shape) == 1 and "layer_scale" not in variable.path:
            value = rng.uniform(0.8, 1.2, shape)
        elif leaf in ("beta", "bias"):
            value = rng.normal(0, 0.05, shape)
        elif leaf in ("mean", "variance", "count", "moving_mean", "moving_variance"):
            continue
        else:
            value = rng.uniform(0.3, 0.7, shape)
        variable.assign(value.astype("float32"))
    return settle(model, images(size, 16, 3))


def settle(model: Any, batch: np.ndarray[Any, Any]) -> Any:
    """Take the BatchNorm statistics of one batch."""
    norms = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    before = [x.momentum for x in norms]
    for x in norms:
        x.momentum = 0.0
    if norms:
        model(batch, training=True)
    for x, momentum in zip(norms, before, strict=True):
        x.momentum = momentum
    return model


def images(size: int, count: int, seed: int) -> np.ndarray[Any, Any]:
    """Pictures of noise at several scales, in 0 to 255."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 4, 4, 3))
    smooth = np.kron(coarse, np.ones((1, -(-size // 4), -(-size // 4), 1)))[:, :size, :size]
    return (0.7 * smooth + 0.3 * rng.uniform(0, 255, smooth.shape)).astype("float32")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_agrees_with_keras(name: str, tmp_path: Path) -> None:
    size, _ = ARCHITECTURES[name]
    model = build(name, size)
    inputs = [images(size, 4, 7)]
    reference = run_keras(model, inputs)
    for suffix in (".keras", ".h5"):
        conversion = to_onnx(save(model, tmp_path, suffix))
        parity = compare(reference, run_onnx(conversion, inputs))
        kinds = Counter(n.op_type for n in conversion.model.graph.node)
        print(f"{name}{suffix}: {parity.relative:.1e} of spread {parity.spread:.2f}, {dict(kinds)}")
        assert parity.spread > SMALLEST_SPREAD
        assert parity.relative < TOLERANCE, parity
        assert missing_weights(model, conversion) == []
        norms = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
        assert kinds["BatchNormalization"] == len(norms)
        if (
            name != "ConvNeXtTiny"
        ):  # its normalisation runs over channels: each block moves them there and back
            assert kinds["Transpose"] <= 2
        if suffix == ".keras":
            assert broken_is_caught(conversion.model, reference, conversion, inputs)


def broken_is_caught(model: onnx.ModelProto, reference: Any, conversion: Any, inputs: Any) -> bool:
    """A larger epsilon, or one shifted padding, must show."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "epsilon":
                attribute.f *= 1.5
            if attribute.name == "pads" and len(set(attribute.ints)) > 1:
                flipped = [*attribute.ints[2:], *attribute.ints[:2]]
                del attribute.ints[:]
                attribute.ints.extend(flipped)
            elif attribute.name == "pads" and node.op_type == "Conv" and any(attribute.ints):
                del attribute.ints[:]
                attribute.ints.extend([0, 0, 2, 2] if sum(attribute.ints) == 4 else [0, 0, 0, 0])
    try:
        found = run_onnx(conversion, inputs)
    except Exception as refused:  # noqa: BLE001  # a shape that no longer fits is a difference, too
        print(f"refused: {str(refused)[:80]}")
        return True
    return compare(reference, found).relative > 10 * TOLERANCE
