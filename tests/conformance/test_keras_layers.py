"""Does every translated Keras layer compute what Keras computes, with every weight kept bit for bit?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from conformance.keras_cases import Case
from conformance.keras_oracle import (
    compare,
    keras,
    missing_weights,
    random_inputs,
    randomize,
    run_keras,
    run_onnx,
    save,
)
from conformance.keras_sequence_cases import CASES

from converters import to_onnx
from converters.keras_layers import coverage, coverage_markdown

SMALLEST_SPREAD = 1e-3
"""Below this the outputs hardly depend on the inputs, and agreement would mean nothing."""


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer_agrees_with_keras(case: Case, tmp_path: Path) -> None:
    keras.backend.clear_session()
    model = case.build()
    randomize(model)
    inputs = random_inputs(model)
    reference = run_keras(model, inputs)
    for suffix in (".keras", ".h5"):
        conversion = to_onnx(save(model, tmp_path, suffix))
        assert not [n for n in conversion.notes if "cannot run" in n]
        parity = compare(reference, run_onnx(conversion, inputs))
        assert parity.spread > SMALLEST_SPREAD
        assert parity.relative < case.tolerance, parity
        assert missing_weights(model, conversion) == []


@pytest.mark.parametrize("case", CASES[::7], ids=lambda c: c.name)
def test_live_models_convert_without_a_file(case: Case) -> None:
    keras.backend.clear_session()
    model = case.build()
    randomize(model)
    inputs = random_inputs(model)
    conversion = to_onnx(model)
    assert compare(run_keras(model, inputs), run_onnx(conversion, inputs)).relative < case.tolerance
    assert missing_weights(model, conversion) == []


BREAKS = {
    "Conv2D-same-even": ("Conv", "pads", [1, 1, 0, 0]),
    "Conv2D-same-odd": ("Conv", "pads", [1, 2, 0, 2]),
    "MaxPooling2D-same": ("MaxPool", "pads", [1, 1, 1, 0]),
    "BatchNormalization--1": ("BatchNormalization", "epsilon", 0.075),
    "LayerNormalization": ("LayerNormalization", "epsilon", 0.075),
    "GroupNormalization": ("InstanceNormalization", "epsilon", 0.075),
    "GRU": ("GRU", "linear_before_reset", 0),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_conversion_is_noticed(name: str, tmp_path: Path) -> None:
    case = next(c for c in CASES if c.name == name)
    model = case.build()
    randomize(model)
    inputs = random_inputs(model)
    conversion = to_onnx(save(model, tmp_path, ".keras"))
    kind, key, value = BREAKS[name]
    node = next(n for n in conversion.model.graph.node if n.op_type == kind)
    kept = [a for a in node.attribute if a.name != key]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(key, value)])
    parity = compare(run_keras(model, inputs), run_onnx(conversion, inputs))
    assert parity.relative > 10 * case.tolerance


def test_average_pooling_leaves_padding_out_on_both_sides(tmp_path: Path) -> None:
    """TensorFlow's and JAX' rule; Keras on PyTorch repeats the edge where the two sides differ."""
    x = keras.Input((4, 4, 1))
    model = keras.Model(x, keras.layers.AveragePooling2D(3, strides=2, padding="same")(x))
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    (found,) = run_onnx(to_onnx(save(model, tmp_path, ".keras")), [image])
    expected = [[image[0, a : a + 3, b : b + 3].mean() for b in (0, 2)] for a in (0, 2)]
    assert np.allclose(found[0, :, :, 0], expected)


def test_sparsemax_is_the_projection_on_the_simplex(tmp_path: Path) -> None:
    """arXiv:1602.02068; Keras 3.15 on PyTorch returns rows that do not sum to one."""
    x = keras.Input((6,))
    model = keras.Model(x, keras.layers.Activation("sparsemax")(x))
    rows = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    (found,) = run_onnx(to_onnx(save(model, tmp_path, ".keras")), [rows])
    for row, made in zip(rows, found, strict=True):
        low, high = float(row.min()) - 1, float(row.max())
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if np.maximum(row - middle, 0).sum() > 1 else (low, middle)
        assert np.allclose(made, np.maximum(row - low, 0), atol=1e-5)


def test_every_exported_layer_has_a_state() -> None:
    exported = {n for n in dir(keras.layers) if isinstance(getattr(keras.layers, n), type)}
    known = coverage()
    assert exported - set(known) == set()
    table = coverage_markdown()
    assert all(f"`{name}`" in table for name in exported)
    translated = [n for n in exported if known[n][0] in ("translated", "identity", "base")]
    assert len(translated) / len(exported) > 0.9
