"""Does every translated Keras layer compute what Keras computes, with every weight kept bit for bit?"""

from __future__ import annotations

from pathlib import Path

import pytest
from conformance.keras_cases import CASES, Case
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

from converters import to_onnx

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
