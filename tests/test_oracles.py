"""Is every source that a framework can run verified against it? Keras, pickles, factories, several inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import ARCHITECTURES
from conformance.keras_oracle import keras, randomize, save
from safetensors.torch import save_file
from torch import nn

import inspector
from converters import Options, to_onnx
from converters.keras_checked import config_dangers
from converters.verify import Verification, verify


def _verified(source: Any, **options: Any) -> Verification:
    found = verify(to_onnx(source, **options), source, Options(**options))
    assert found.verdict == "equal", found
    assert found.samples == 3
    return found


def _two_branches() -> Any:
    """Input names in an order that is neither alphabetic nor that of the call."""
    image = keras.Input((8, 8, 3), name="zebra")
    row = keras.Input((4,), name="ant")
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    y = keras.layers.Dense(4)(row)
    joined = keras.layers.Concatenate()([y, x])
    return keras.Model(
        [image, row], [keras.layers.Dense(3)(joined), keras.layers.Subtract(name="last")([x, y])]
    )


def _sequence() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((None,), dtype="int32"), layers.Embedding(9, 5), layers.LSTM(4), layers.Dense(2)]
    )


@pytest.mark.parametrize("build", [_two_branches, _sequence])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.slow
def test_keras_files_are_verified_by_keras(build: Callable[[], Any], suffix: str, tmp_path: Path) -> None:
    model = build()
    randomize(model)
    _verified(save(model, tmp_path, suffix))


def test_a_live_keras_model_is_verified_where_it_is() -> None:
    model = _two_branches()
    randomize(model)
    _verified(model)


def test_swapped_inputs_of_a_keras_conversion_are_noticed() -> None:
    model = _two_branches()
    randomize(model)
    conversion = to_onnx(model)
    node = next(n for n in conversion.model.graph.node if n.op_type == "Sub")
    node.input.extend([node.input[0]])
    del node.input[0]
    assert verify(conversion, model).verdict == "differs"


@pytest.mark.parametrize("named", ["model.bin", "model.keras"])
@pytest.mark.slow
def test_a_renamed_keras_file_and_a_folder_are_verified(named: str, tmp_path: Path) -> None:
    model = _two_branches()
    randomize(model)
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "config.json").write_text(model.to_json())
    model.save_weights(folder / "model.weights.h5")
    if named == "model.keras":
        _verified(folder)
        return
    save(model, tmp_path, ".keras").rename(tmp_path / named)
    _verified(tmp_path / named)


def test_keras_does_not_load_what_asks_for_more_than_stock_layers() -> None:
    assert config_dangers(_two_branches().get_config()) == []
    function = {"module": "os", "class_name": "function", "config": "system"}
    inside = {"module": "keras.utils", "class_name": "get_file", "config": {}}
    custom = {"module": "keras.layers", "class_name": "Odd", "registered_name": "Custom>Odd"}
    bytecode = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
    for row in (function, inside, custom, bytecode):
        assert config_dangers({"config": {"layers": [row]}}), row


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable module whose `build` makes the ResNet of `architectures`."""
    (tmp_path / "resnet_factory.py").write_text(
        "from architectures import ARCHITECTURES\n\nbuild = ARCHITECTURES['resnet'].build\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) in sys.path
    return "resnet_factory:build"


@pytest.mark.parametrize(
    "kind", ["state_dict", *(pytest.param(k, marks=pytest.mark.slow) for k in ("safetensors", "lightning"))]
)
def test_weights_with_a_factory_are_verified(kind: str, factory: str, tmp_path: Path) -> None:
    row = ARCHITECTURES["resnet"]
    state = row.module().state_dict()
    path = tmp_path / "weights.ckpt"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state if kind == "state_dict" else _lightning(state), path)
    _verified(path, factory=factory, input_shape={"": row.shape})


def _lightning(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {
        "epoch": 3, "global_step": 90, "pytorch-lightning_version": "2.5.0", "state_dict": state,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": {"width": 8},
    }  # fmt: skip


@pytest.mark.slow
def test_a_pickled_stock_module_is_verified_without_trust(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    torch.save(net, tmp_path / "net.pt")
    _verified(tmp_path / "net.pt", input_shape={"": ("batch", 3, 8, 8)})


@pytest.mark.slow
def test_a_pickled_module_of_own_classes_is_verified_with_trust(tmp_path: Path) -> None:
    row = ARCHITECTURES["resnet"]
    torch.save(row.module(), tmp_path / "net.pt")
    _verified(tmp_path / "net.pt", input_shape={"": row.shape}, trust=True)


class Difference(nn.Module):
    """Two inputs that may not be swapped."""

    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Linear(3, 5)

    def forward(self, small: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
        return large - torch.sigmoid(self.grow(small))


@pytest.mark.parametrize(
    "route", ["script", *(pytest.param(r, marks=pytest.mark.slow) for r in ("module", "program"))]
)
def test_two_inputs_go_by_name(route: str, tmp_path: Path) -> None:
    net = Difference().eval()
    shapes = {"large": ("batch", 5), "small": ("batch", 3)}
    example = {"large": torch.randn(2, 5), "small": torch.randn(2, 3)}
    if route == "module":
        conversion, source = to_onnx(net, input_shape=shapes), net
    else:
        source = tmp_path / "net.pt2"
        if route == "program":
            torch.export.save(torch.export.export(net, (), example), source)
        else:
            torch.jit.save(torch.jit.script(net), source)
        conversion = to_onnx(source, input_shape=shapes)
    assert {value.name for value in conversion.model.graph.input} == {"large", "small"}
    assert verify(conversion, source, Options()).verdict == "equal"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["_state_dict.pth", ".safetensors"])
def test_squeezenet_weights_with_a_factory_give_the_same_probabilities(
    suffix: str, shared_models: Path, fixtures: Path
) -> None:
    folder = shared_models / "imagenet_squeezenet1_1"
    options = {"factory": "methods.test_one_map:SqueezeNet", "input_shape": {"": ("batch", 3, 224, 224)}}
    made = inspector.open_model(folder / f"squeezenet1_1_imagenet{suffix}", **options)
    reference = inspector.open_model(folder / "squeezenet1_1_imagenet_op18.onnx")
    for image in (str(fixtures / name) for name in ("chelsea.png", "rocket.jpg")):
        ours, theirs = (
            {
                row.index: row.probability
                for row in inspector.predict(model, image).prediction.rankings[0].rows[0]
            }
            for model in (made, reference)
        )
        assert ours.keys() == theirs.keys()
        assert all(abs(ours[index] - theirs[index]) < 1e-5 for index in ours)
