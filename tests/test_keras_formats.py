"""Do Keras files of both eras, in every container and structure, become the same network?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
import pytest
from conformance.keras_cases import mixed, nested
from conformance.keras_oracle import (
    compare,
    keras,
    missing_weights,
    random_inputs,
    randomize,
    restored,
    run_keras,
    run_onnx,
    save,
)

from converters import to_onnx
from converters.errors import MissingOption
from converters.provenance import node_class, node_config, node_scope, read_origin

L = keras.layers
SQUEEZENET = "imagenet_squeezenet1_1/squeezenet1_1_imagenet"


def small() -> Any:
    x = keras.Input((8, 8, 3), name="picture")
    y = L.Conv2D(4, 3, padding="same", strides=2, name="first")(x)
    y = L.BatchNormalization(name="norm")(y)
    y = L.Flatten(name="flat")(L.ReLU(name="act")(y))
    return keras.Model(x, L.Dense(3, name="head")(y), name="small")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_squeezenet_gives_the_probabilities_of_its_onnx_twin(shared_models: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.normal(0, 60, (3, 224, 224, 3)).astype("float32")
    twin = onnxruntime.InferenceSession(
        shared_models / f"{SQUEEZENET}_op18.onnx", providers=["CPUExecutionProvider"]
    )
    reference = twin.run(None, {twin.get_inputs()[0].name: pictures.transpose(0, 3, 1, 2)})
    conversion = to_onnx(shared_models / f"{SQUEEZENET}{suffix}")
    parity = compare(reference, run_onnx(conversion, [pictures]))
    assert parity.spread > 0.1
    assert parity.relative < 1e-4
    assert sum(n.op_type == "Transpose" for n in conversion.model.graph.node) == 1


def test_squeezenet_weights_alone_are_the_same_tensors(shared_models: Path) -> None:
    whole = restored(to_onnx(shared_models / f"{SQUEEZENET}.keras"))
    alone = restored(to_onnx(shared_models / f"{SQUEEZENET}.weights.h5"))
    assert len(alone) == 52
    assert {a.tobytes() for a in whole.values()} == {a.tobytes() for a in alone.values()}


def test_containers_agree_and_name_layers(tmp_path: Path) -> None:
    model = small()
    randomize(model)
    inputs = random_inputs(model)
    reference = run_keras(model, inputs)
    zipped = save(model, tmp_path, ".keras")
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(tmp_path / "folder")
    renamed = tmp_path / "renamed.bin"
    shutil.copy(zipped, renamed)
    sources = [
        zipped,
        save(model, tmp_path, ".h5"),
        tmp_path / "folder",
        tmp_path / "folder" / "config.json",
        renamed,
    ]
    for source in [*sources, model]:
        conversion = to_onnx(source)
        assert compare(reference, run_onnx(conversion, inputs)).relative < 1e-4
        assert set(restored(conversion)) == {
            "first/kernel",
            "first/bias",
            "norm/gamma",
            "norm/beta",
            "norm/moving_mean",
            "norm/moving_variance",
            "head/kernel",
            "head/bias",
        }
        assert missing_weights(model, conversion) == []
        scopes = {node_scope(n): node_class(n) for n in conversion.model.graph.node}
        assert scopes["first"].endswith(".Conv2D")
        assert [i.name for i in conversion.model.graph.input] == ["picture"]
        assert conversion.model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
        origin = read_origin(conversion.model)
        assert origin is not None
        assert origin.framework == "keras"


def test_a_deflated_archive_opens(tmp_path: Path) -> None:
    model = small()
    zipped = save(model, tmp_path, ".keras")
    packed = tmp_path / "packed.keras"
    with zipfile.ZipFile(zipped) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert restored(to_onnx(packed)).keys() == restored(to_onnx(zipped)).keys()


def test_nested_models_with_several_inputs_and_shared_weights(tmp_path: Path) -> None:
    model = nested()
    randomize(model)
    rng = np.random.default_rng(0)
    left, right = (rng.normal(0, 1, (4, 8, 8, 3)).astype("float32") for _ in range(2))
    reference = [keras.ops.convert_to_numpy(model({"left": left, "right": right}, training=False))]
    for suffix in (".keras", ".h5"):
        conversion = to_onnx(save(model, tmp_path, suffix))
        names = [i.name for i in conversion.model.graph.input]
        assert len(names) == 2
        parity = compare(reference, run_onnx(conversion, [left, right]))
        assert parity.relative < 1e-4
        assert missing_weights(model, conversion) == []
        scopes = {node_scope(n) for n in conversion.model.graph.node}
        assert any(s.startswith("inner/conv2d") for s in scopes)
        assert any(s.startswith("tail/dense") for s in scopes)
        kernels = [i.name for i in conversion.model.graph.initializer if i.name.endswith("kernel")]
        assert len(kernels) == 3


def test_bfloat16_rounds_where_keras_rounds(tmp_path: Path) -> None:
    model = mixed("mixed_bfloat16")()
    randomize(model)
    inputs = random_inputs(model)
    reference = run_keras(model, inputs)
    found = run_onnx(to_onnx(save(model, tmp_path, ".keras")), inputs)
    unit = 2.0**-8
    assert np.abs(reference[0] - found[0]).max() < 4 * unit * np.abs(reference[0]).max()


KERAS_2 = {
    "class_name": "Functional",
    "config": {
        "name": "old",
        "layers": [
            {
                "class_name": "InputLayer",
                "name": "input_1",
                "inbound_nodes": [],
                "config": {"batch_input_shape": [None, 8, 8, 3], "dtype": "float32", "name": "input_1"},
            },
            {
                "class_name": "Conv2D",
                "name": "conv",
                "inbound_nodes": [[["input_1", 0, 0, {}]]],
                "config": {
                    "name": "conv",
                    "trainable": True,
                    "dtype": "float32",
                    "filters": 4,
                    "kernel_size": [3, 3],
                    "strides": [2, 2],
                    "padding": "same",
                    "data_format": "channels_last",
                    "dilation_rate": [1, 1],
                    "activation": "relu",
                    "use_bias": True,
                },
            },
            {
                "class_name": "BatchNormalization",
                "name": "bn",
                "inbound_nodes": [[["conv", 0, 0, {}]]],
                "config": {
                    "name": "bn",
                    "trainable": True,
                    "axis": [3],
                    "epsilon": 0.001,
                    "scale": False,
                    "center": True,
                },
            },
            {
                "class_name": "TFOpLambda",
                "name": "tf.math.multiply",
                "inbound_nodes": [["bn", 0, 0, {"y": 2.0, "name": None}]],
                "config": {
                    "name": "tf.math.multiply",
                    "trainable": True,
                    "dtype": "float32",
                    "function": "math.multiply",
                },
            },
            {
                "class_name": "TFOpLambda",
                "name": "tf.__operators__.add",
                "inbound_nodes": [["tf.math.multiply", 0, 0, {"y": ["conv", 0, 0], "name": None}]],
                "config": {
                    "name": "tf.__operators__.add",
                    "trainable": True,
                    "function": "__operators__.add",
                },
            },
            {
                "class_name": "GlobalAveragePooling2D",
                "name": "pool",
                "inbound_nodes": [[["tf.__operators__.add", 0, 0, {}]]],
                "config": {
                    "name": "pool",
                    "trainable": True,
                    "dtype": "float32",
                    "data_format": "channels_last",
                },
            },
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["pool", 0, 0]],
    },
}


def write_old(path: Path, config: Any, weights: dict[str, dict[str, np.ndarray[Any, Any]]]) -> Path:
    """A whole-model file as Keras 2 wrote it: names end in `:0`, long lists are cut in chunks."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"2.4.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names0"] = [n.encode() for n in list(weights)[:1]]
        group.attrs["layer_names1"] = [n.encode() for n in list(weights)[1:]]
        for layer, tensors in weights.items():
            inside = group.create_group(layer)
            inside.attrs["weight_names"] = [f"{layer}/{n}:0".encode() for n in tensors]
            for name, array in tensors.items():
                inside.create_dataset(f"{layer}/{name}:0", data=array)
    return path


def old_weights() -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    rng = np.random.default_rng(0)
    return {
        "conv": {"kernel": rng.normal(size=(3, 3, 3, 4)).astype("f"), "bias": rng.normal(size=4).astype("f")},
        "bn": {
            "beta": rng.normal(size=4).astype("f"),
            "moving_mean": rng.normal(size=4).astype("f"),
            "moving_variance": rng.uniform(0.5, 2, 4).astype("f"),
        },
    }


def test_keras_2_functional_file_with_tensorflow_functions(tmp_path: Path) -> None:
    weights = old_weights()
    conversion = to_onnx(write_old(tmp_path / "old.h5", KERAS_2, weights))
    x = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype("f")
    kernel, bias = weights["conv"].values()
    conv = np.maximum(keras.ops.convert_to_numpy(keras.ops.conv(x, kernel, 2, "same")) + bias, 0)
    beta, mean, variance = weights["bn"].values()
    norm = (conv - mean) / np.sqrt(variance + 0.001) + beta
    reference = [(2 * norm + conv).mean((1, 2))]
    assert compare(reference, run_onnx(conversion, [x])).relative < 1e-4
    held = restored(conversion)
    assert np.array_equal(held["conv/kernel"], kernel)
    assert np.array_equal(held["bn/moving_mean"], mean)
    assert conversion.origin.version == "2.4.0"


def test_keras_2_sequential_without_an_input_layer(tmp_path: Path) -> None:
    conv = KERAS_2["config"]["layers"][1]["config"]  # type: ignore[index]
    config = {"class_name": "Sequential", "config": [{"class_name": "Conv2D", "config": conv}]}
    path = write_old(tmp_path / "old.h5", config, {"conv": old_weights()["conv"]})
    with pytest.raises(MissingOption, match="input_shape"):
        to_onnx(path)
    conversion = to_onnx(path, input_shape={"": ("batch", 8, 8, 3)})
    x = np.ones((2, 8, 8, 3), np.float32)
    assert run_onnx(conversion, [x])[0].shape == (2, 4, 4, 4)


def test_opaque_layers_show_their_configuration_and_the_rest_converts(tmp_path: Path) -> None:
    class Mine(L.Layer):  # type: ignore[misc]
        def __init__(self, factor: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1],), name="w")

        def call(self, x: Any) -> Any:
            return x * self.w * self.factor

        def get_config(self) -> Any:
            return {**super().get_config(), "factor": self.factor}

    x = keras.Input((8, 8, 3))
    y = L.Conv2D(4, 3, name="before")(x)
    y = L.Lambda(lambda t: t * 2, name="secret")(Mine(name="mine")(y))
    model = keras.Model(x, L.Dense(2, name="after")(L.GlobalAveragePooling2D()(y)))
    for suffix in (".keras", ".h5"):
        conversion = to_onnx(save(model, tmp_path, suffix))
        nodes = {n.op_type: n for n in conversion.model.graph.node}
        assert nodes["Mine"].domain == nodes["Lambda"].domain == "keras"
        assert node_config(nodes["Mine"])["factor"] == 3
        assert {"Conv", "Gemm"} <= set(nodes)
        assert len([n for n in conversion.notes if "cannot run" in n]) == 2
        assert missing_weights(model, conversion) == []
        assert conversion.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 2


def test_opset_is_honoured_or_refused(tmp_path: Path) -> None:
    path = save(small(), tmp_path, ".keras")
    assert to_onnx(path, opset=18).model.opset_import[0].version == 18
    with pytest.raises(MissingOption, match="opset"):
        to_onnx(path, opset=11)


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "torch", "tensorflow", "tf_keras", "jax"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
from pathlib import Path
from converters.formats.keras_file import convert_h5, convert_keras
from converters.registry import Options
for convert, path in ((convert_keras, sys.argv[1]), (convert_h5, sys.argv[2])):
    print(len(convert(Path(path), Options()).model.graph.node))
"""


def test_no_framework_is_needed(tmp_path: Path) -> None:
    model = small()
    paths = [str(save(model, tmp_path, s)) for s in (".keras", ".h5")]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["7", "7"]
