"""Are ResNets explained: 50 layers of Keras and PyTorch, weights shared or not; 18 against 34?"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

import inspector

pytest.importorskip("torch")
pytest.importorskip("keras")

DIFFERENCES = [
    "Conv strides 2×2 -> 1×1 at 3 of 53 (conv3_block1_1_conv, conv4_block1_1_conv, conv5_block1_1_conv)",
    "Conv strides 1×1 -> 2×2 at 3 of 53 (conv3_block1_2_conv, conv4_block1_2_conv, conv5_block1_2_conv)",
    "BatchNormalization epsilon 1.001e-05 -> 1e-05 everywhere",
]
BIAS = "Conv adds a bias before its BatchNorm only in A everywhere"


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_resnet_50_of_keras_and_of_pytorch(shared: bool, tmp_path: Path) -> None:
    keras, torch = importlib.import_module("keras"), importlib.import_module("torch")
    networks = importlib.import_module("residual_networks")
    keras.utils.set_random_seed(0)
    one = keras.applications.ResNet50(weights=None, classifier_activation=None)
    if shared:
        rng = np.random.default_rng(0)
        for layer in one.layers:
            if layer.name.endswith("_conv"):
                kernel, bias = layer.get_weights()
                layer.set_weights([kernel, rng.normal(0, 0.05, bias.shape).astype(np.float32)])
    other = networks.ResNet(50).eval()
    if shared:
        networks.take_weights(other, one)
    one.save(tmp_path / "a.keras")
    torch.onnx.export(
        other, (torch.zeros(1, 3, 224, 224),), tmp_path / "b.onnx", dynamo=False, do_constant_folding=False
    )
    found = inspector.compare(tmp_path / "a.keras", tmp_path / "b.onnx")
    assert (found.only_a, found.only_b) == ((), ())
    assert [edit.text for edit in found.edits] == [*DIFFERENCES, *[BIAS] * shared]
    if shared:
        assert {c.state for c in found.weights if c.a.endswith("kernel")} <= {"equal", "folded"}
        assert found.first_divergence is not None
        assert "bias" in found.first_divergence.reason


def test_resnet_18_against_34_from_pytorch(tmp_path: Path) -> None:
    torch = importlib.import_module("torch")
    networks = importlib.import_module("residual_networks")
    files = []
    for depth in (18, 34):
        torch.manual_seed(depth)
        net = networks.ResNet(depth, width=8, classes=10).eval()
        files.append(tmp_path / f"resnet{depth}.onnx")
        torch.onnx.export(
            net, (torch.zeros(1, 3, 64, 64),), files[-1], dynamo=False, do_constant_folding=False
        )
    found = inspector.compare(*files, random=0)
    assert [edit.text.partition(":")[0] for edit in found.edits] == [
        "one more block in stage 1",
        "two more blocks in stage 2",
        "four more blocks in stage 3",
        "one more block in stage 4",
    ]
