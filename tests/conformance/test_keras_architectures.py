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

ARCHITECTURES = {
    "Xception": 72,
    "InceptionV3": 75,
    "DenseNet121": 64,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "ConvNeXtTiny": 64,
    "InceptionResNetV2": 75,
    "ResNet50": 96,
    "ResNet50V2": 64,
    "VGG16": 48,
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
    size = ARCHITECTURES[name]
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
    """Another epsilon, and every window shifted by its padding (shapes stay): the error must show."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "epsilon":
                attribute.f += 0.01
            elif attribute.name == "pads" and any(attribute.ints):
                half = len(attribute.ints) // 2
                begin, end = attribute.ints[:half], attribute.ints[half:]
                shifted = [*([0] * half), *(a + b for a, b in zip(begin, end, strict=True))]
                del attribute.ints[:]
                attribute.ints.extend(shifted if any(begin) else [*end, *begin])
    return compare(reference, run_onnx(conversion, inputs)).relative > 10 * TOLERANCE
