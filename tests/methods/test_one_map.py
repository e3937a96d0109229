"""Does one network give one map, whichever opset its file was written in?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import inspector
from inspector.methods import attribute

OPTIONS = {
    "integrated-gradients": {"steps": 5, "baseline": "black"},
    "smoothgrad": {"samples": 4},
    "expected-gradients": {"samples": 4},
    "lrp": {"composite": "epsilon-gamma-box"},
}
METHODS = ("gradient", "gradient-x-input", "guided-backprop", "deconvnet", "guided-grad-cam", "deeplift")


@pytest.mark.parametrize("method", [*METHODS, *OPTIONS])
def test_both_opsets_agree(shared_models: Path, fixtures: Path, method: str) -> None:
    folder = shared_models / "imagenet_squeezenet1_1"
    names = ("squeezenet1_1_imagenet_op13_ts.onnx", "squeezenet1_1_imagenet_op18.onnx")
    models = [inspector.open_model(folder / name) for name in names]
    options = OPTIONS.get(method, {})
    old, new = (
        attribute(m, fixtures / "chelsea.png", method, 281, dtype="float64", **options) for m in models
    )
    assert np.abs(old.values - new.values).max() <= 1e-9
    assert np.abs(old.values).max() > 1e-4
    if method == "deeplift":
        assert old.residual is not None
        assert old.residual < 1e-10
