"""Are files that hold weights only matched with the graph they belong to, whatever their layout?"""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.comparison.aligning import align
from inspector.comparison.edits import edits
from inspector.model import open_model


@pytest.mark.parametrize(("net", "layers"), [("pnet", 8), ("rnet", 10), ("onet", 13)])
def test_kernels_stored_with_height_and_width_swapped(shared_models: Path, net: str, layers: int) -> None:
    folder = shared_models / "mtcnn"
    found = align(open_model(folder / f"onnx/{net}.onnx"), open_model(folder / f"pytorch/{net}.pt"))
    assert len(found.pairs) == layers
    assert all("weights" in pair.evidence for pair in found.pairs)
    assert found.only_b == ()
    assert {atom.op for atom in found.only_a} == {"MaxPool", "Softmax"}
    assert edits(found) == ()


@pytest.mark.parametrize("ending", ["_state_dict.pth", ".safetensors", ".weights.h5"])
def test_squeezenet_weights_without_a_graph(shared_models: Path, ending: str) -> None:
    start = shared_models / "imagenet_squeezenet1_1/squeezenet1_1_imagenet"
    found = align(open_model(f"{start}_op18.onnx"), open_model(f"{start}{ending}"))
    assert sum("weights" in pair.evidence for pair in found.pairs) == 26
    assert found.only_b == ()
    assert edits(found) == ()
