"""Is the node where two models part found, and its cause named?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from planted import faulty, network, proto

import inspector

FAULTS = {
    "epsilon": ("b1.1.bn", "epsilon", "0.001 in B"),
    "pad": ("stem.bn", "padding", "0,0,2,2 in B"),
    "pool pad": ("pool", "padding", "0,0,2,2 in B"),
    "bgr": ("stem.bn", "channel order", "RGB and BGR"),
    "swapped": ("b1.2.bn", "layout", "height and width swapped"),
    "relu6": ("b0.relu", "activation", "Relu in A is Clip in B"),
    "one weight": ("b2.1.bn", "weight", "1 of 2,304 values"),
    "columns": ("fc", "layout", "input channels in another place"),
    "mean": ("b2.2.bn", "statistics", "running mean"),
    "half": ("b2.1.bn", "precision", "float16"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("planted") / "base.onnx"
    onnx.save(faulty("clean"), path)
    return path


@pytest.mark.parametrize("kind", FAULTS)
def test_the_node_and_the_cause_of_a_fault(base: Path, tmp_path: Path, kind: str) -> None:
    onnx.save(faulty(kind), tmp_path / "other.onnx")
    found = inspector.compare(base, tmp_path / "other.onnx")
    node, cause, words = FAULTS[kind]
    first = found.first_divergence
    assert first is not None
    assert (first.node, first.cause) == (node, cause)
    assert words in first.reason
    assert not found.same
    assert "same network" not in found.verdict.removeprefix("not the same network")


def test_a_clean_pair_has_no_fault(base: Path, tmp_path: Path) -> None:
    onnx.save(faulty("clean"), tmp_path / "other.onnx")
    found = inspector.compare(base, tmp_path / "other.onnx")
    assert found.same
    assert found.verdict.startswith("the same network")
    assert (found.edits, found.first_divergence) == ((), None)
    assert {change.state for change in found.weights} == {"equal"}
    assert all(change.difference is not None and change.difference.equal for change in found.activations)
    assert all(0 < change.floor < 1e-5 for change in found.activations)


def test_pictures_prepared_as_rgb_and_bgr(base: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    for name, preset in (("rgb", "raw255"), ("bgr", "raw255-bgr")):
        model = proto(*network())
        model.metadata_props.add(key="inspector.preprocess", value=f'{{"preset": "{preset}"}}')
        onnx.save(model, tmp_path / f"{name}.onnx")
    found = inspector.compare(tmp_path / "rgb.onnx", tmp_path / "bgr.onnx", tmp_path / "x.png")
    assert found.first_divergence is not None
    assert found.first_divergence.cause == "preprocessing"
    assert "BGR" in found.first_divergence.reason
    assert found.weights_agree
    assert not found.same


def test_a_bent_activation_is_an_edit_even_where_no_sample_reaches_it(base: Path, tmp_path: Path) -> None:
    onnx.save(faulty("relu6"), tmp_path / "other.onnx")
    found = inspector.compare(base, tmp_path / "other.onnx", {"x": np.zeros((1, 3, 32, 32), np.float32)})
    assert any("Relu -> Clip" in edit.text for edit in found.edits)
    assert not found.structure_agrees
