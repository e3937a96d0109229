"""What is said of real pairs: one network in many formats, kernels stored otherwise, networks of one kind?"""

from __future__ import annotations

from pathlib import Path

import pytest

import inspector

GRAPHS = ["_op13_ts.onnx", ".keras", ".h5"]
EXPORTS = [".pt2", "_torchscript.pt"]
WEIGHTS = ["_state_dict.pth", ".safetensors", ".weights.h5", "ndf_squeezenet_weights.pkl"]


@pytest.mark.parametrize("ending", [*GRAPHS, *(pytest.param(e, marks=pytest.mark.slow) for e in EXPORTS)])
def test_squeezenet_is_the_same_network_in_every_format(shared_models: Path, ending: str) -> None:
    start = f"{shared_models}/imagenet_squeezenet1_1/squeezenet1_1_imagenet"
    found = inspector.compare(f"{start}_op18.onnx", f"{start}{ending}")
    assert found.verdict.startswith("the same network")
    assert (found.edits, found.only_a, found.only_b, found.similarity) == ((), (), (), 1.0)
    assert {change.state for change in found.weights} == {"equal"}
    assert (len(found.weights), len(found.activations)) == (52, 64)
    worst = max(change.difference.relative for change in found.activations if change.difference)
    assert worst <= 1e-5
    assert found.first_divergence is None


@pytest.mark.parametrize("ending", WEIGHTS)
def test_squeezenet_weights_alone(shared_models: Path, ending: str) -> None:
    folder = shared_models / "imagenet_squeezenet1_1"
    name = ending if ending.startswith("ndf") else f"squeezenet1_1_imagenet{ending}"
    found = inspector.compare(folder / "squeezenet1_1_imagenet_op18.onnx", folder / name)
    assert found.weights_agree
    assert len(found.weights) == 52
    assert found.verdict.startswith("the same weights")
    assert not found.same


def test_a_picture_through_both(shared_models: Path, fixtures: Path) -> None:
    start = f"{shared_models}/imagenet_squeezenet1_1/squeezenet1_1_imagenet"
    found = inspector.compare(f"{start}_op18.onnx", f"{start}.keras", fixtures / "coffee.png")
    assert found.same
    assert found.samples == 1
    assert any(note.startswith("B: ") and "coffee" not in note for note in found.notes)


@pytest.mark.parametrize("net", ["pnet", "rnet", "onet"])
def test_mtcnn_kernels_are_equal_but_for_height_and_width(shared_models: Path, net: str) -> None:
    folder = shared_models / "mtcnn"
    found = inspector.compare(folder / f"onnx/{net}.onnx", folder / f"pytorch/{net}.pt")
    assert found.weights_agree
    assert "height and width swapped" in {change.detail for change in found.weights}
    assert not found.same


def test_silero_networks_are_not_called_equal(shared_models: Path) -> None:
    folder = shared_models / "silero_vad"
    found = inspector.compare(folder / "silero_vad.onnx", folder / "silero_vad_16k_op15.onnx")
    assert not found.same
    assert not found.structure_agrees
    assert "same network" not in found.verdict.removeprefix("not the same network")


@pytest.mark.parametrize(
    "path", ["basic_pitch/nmp.onnx", "silero_vad/silero_vad.onnx", "mtcnn/onnx/rnet.onnx"]
)
def test_a_model_is_the_same_as_itself(shared_models: Path, path: str) -> None:
    found = inspector.compare(shared_models / path, shared_models / path)
    assert found.same, (found.verdict, found.notes)
    assert all(change.difference is not None and change.difference.equal for change in found.activations)
