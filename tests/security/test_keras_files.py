"""Can a hostile Keras file run code, leave its folder or eat the memory? A corpus made here, and a canary."""

from __future__ import annotations

import base64
import io
import json
import marshal
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converters import to_onnx
from converters.errors import InspectorError
from converters.provenance import node_config

MEMORY = 64 << 20
"""What reading a hostile file may allocate."""


def layer(
    class_name: str, config: dict[str, Any], module: str = "keras.layers", **extra: Any
) -> dict[str, Any]:
    name = config.get("name", "evil")
    source = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "keras_history": ["x", 0, 0]}}
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": name, "trainable": True, **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [{"args": [source], "kwargs": {}}],
        **extra,
    }


def model(*layers: dict[str, Any], last: str = "evil") -> dict[str, Any]:
    start = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "x"},
        "name": "x",
        "inbound_nodes": [],
    }
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [start, *layers],
            "input_layers": [["x", 0, 0]],
            "output_layers": [[last, 0, 0]],
        },
    }


def weights(fill: Callable[[h5py.File], None] = lambda f: None) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_group("layers")
        fill(file)
    return memory.getvalue()


def archive(path: Path, config: Any, h5: bytes | None = None, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("config.json", config if isinstance(config, (str, bytes)) else json.dumps(config))
        zipped.writestr("model.weights.h5", weights() if h5 is None else h5)
        for name, data in members.items():
            zipped.writestr(name, data)
    return path


def run(path: Path) -> Any:
    """Convert with the memory watched; errors must be ours."""
    tracemalloc.start()
    try:
        return to_onnx(path)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MEMORY


def gadgets(canary: Path) -> dict[str, Any]:
    """Published ways to make a loader call something by name."""
    code = compile(f"open({str(canary)!r}, 'w')", "<evil>", "exec")
    marshalled = base64.b64encode(marshal.dumps(code)).decode()
    touch = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    called = {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"}
    return {
        "lambda": layer("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": marshalled}}}),
        "old lambda": layer(
            "Lambda", {"function": [marshalled, None, None], "function_type": "lambda"}, module=""
        ),
        "class from a module": layer("system", {"command": f"touch {canary}"}, module="os"),
        "function from a module": layer("Lambda", {"function": called, "arguments": {"source": touch}}),
        "activation": layer("Activation", {"activation": called}),
        "initializer": layer("Identity", {"kernel_initializer": {**called, "config": {"source": touch}}}),
        "registered": layer(
            "Evil", {"code": touch}, module="evil_package.layers", registered_name="evil>Evil"
        ),
        "torch module": layer(
            "TorchModuleWrapper", {"module": base64.b64encode(b"cposix\nsystem\n.").decode()}
        ),
        "saved model": layer("TFSMLayer", {"filepath": "/etc/passwd"}),
        "get_file": layer(
            "get_file", {"origin": "http://localhost/x", "extract": True}, module="keras.utils"
        ),
        "vocabulary path": layer("StringLookup", {"vocabulary": "/etc/passwd"}),
        "operation by name": layer("Exec", {"name": "evil"}, module="keras.src.ops.numpy"),
    }


@pytest.mark.parametrize("name", gadgets(Path("canary")))
def test_nothing_named_in_a_file_is_called(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    conversion = run(archive(tmp_path / "evil.keras", model(gadgets(canary)[name])))
    assert not canary.exists()
    shown = [n for n in conversion.model.graph.node if n.domain == "keras"]
    if name != "initializer":
        assert shown, "the gadget must be visible"
        assert node_config(shown[0])["name"] == "evil"
        assert "/root" not in str(conversion.notes)


def bomb_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("config.json", json.dumps(model(layer("Identity", {}))))
        with zipped.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(512):
                member.write(bytes(1 << 20))
    return path


def lying_zip(path: Path) -> Path:
    archive(path, model(layer("Identity", {})))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (0xFFFFFF00).to_bytes(4, "little")
    path.write_bytes(data)
    return path


def duplicate(path: Path) -> Path:
    archive(path, model(layer("Identity", {})))
    with zipfile.ZipFile(path, "a") as zipped, pytest.warns(UserWarning, match="Duplicate"):
        zipped.writestr("config.json", json.dumps(model(layer("Identity", {}))))
    return path


def dense_weights(fill: Callable[[h5py.Group], None]) -> bytes:
    return weights(lambda f: fill(f.create_group("layers/dense/vars")))


DENSE = model(layer("Dense", {"units": 2, "use_bias": False, "name": "evil"}))


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 2))
    group.create_virtual_dataset("0", layout)


def linked(link: Any) -> Callable[[h5py.Group], None]:
    def fill(group: h5py.Group) -> None:
        group["0"] = link

    return fill


def cycle(file: h5py.File) -> None:
    group = file["layers"]
    group["a"] = group
    group["b"] = group


HDF5: dict[str, Callable[[], bytes]] = {
    "external link": lambda: dense_weights(linked(h5py.ExternalLink("/etc/passwd", "x"))),
    "soft link": lambda: dense_weights(linked(h5py.SoftLink("/layers"))),
    "dangling soft link": lambda: dense_weights(linked(h5py.SoftLink("/nowhere"))),
    "external storage": lambda: dense_weights(
        lambda g: g.create_dataset("0", (4, 2), "f4", external=[("/etc/passwd", 0, 32)])
    ),
    "virtual dataset": lambda: dense_weights(virtual),
    "compound": lambda: dense_weights(
        lambda g: g.create_dataset("0", (4, 2), np.dtype([("a", "f4", (1000, 1000))]))
    ),
    "strings": lambda: dense_weights(lambda g: g.create_dataset("0", data=["a", "b"])),
    "shape bomb": lambda: dense_weights(
        lambda g: g.create_dataset("0", (1 << 20, 1 << 14), "f4", chunks=(1024, 1024), compression="gzip")
    ),
    "huge shape": lambda: dense_weights(lambda g: g.create_dataset("0", (1 << 40, 4), "f4", chunks=(64, 4))),
    "group for an array": lambda: dense_weights(lambda g: g.create_group("0")),
    "hard link cycle": lambda: weights(cycle),
    "too many weights": lambda: dense_weights(
        lambda g: [g.create_dataset(str(i), data=np.zeros(2)) for i in (0, 1)]
    ),
    "cut short": lambda: weights()[:600],
    "not HDF5": lambda: b"nothing" * 99,
}


@pytest.mark.parametrize("name", HDF5)
def test_hostile_hdf5_is_refused_with_one_message(name: str, tmp_path: Path) -> None:
    with pytest.raises(InspectorError) as error:
        run(archive(tmp_path / "evil.keras", DENSE, HDF5[name]()))
    assert "\n" not in str(error.value)
    assert "root:" not in str(error.value)


CONFIGS: dict[str, Any] = {
    "deep": "[" * 5000 + "]" * 5000,
    "deep object": '{"class_name":"A","config":' + '{"layers":[' * 300 + "]}" * 300 + "}",
    "not JSON": b"\x80\x04c",
    "a list": "[]",
    "no layers": {"class_name": "Custom", "config": {"units": 3}},
    "waits for itself": model(
        {
            **layer("Identity", {}),
            "inbound_nodes": [
                {
                    "args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["evil", 0, 0]}}],
                    "kwargs": {},
                }
            ],
        }
    ),
    "missing output": model(layer("Identity", {}), last="nobody"),
    "wrong kinds": model(layer("Dense", {"units": [], "activation": 7, "use_bias": {}})),
    "wrong pool": model(layer("MaxPooling2D", {"pool_size": "x"})),
    "bad reference": model({**layer("Identity", {}), "inbound_nodes": [[["x", "a", {}]]]}),
    "layer is a number": {"class_name": "Sequential", "config": {"layers": [7]}},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_nonsense_configurations_give_one_message(name: str, tmp_path: Path) -> None:
    with pytest.raises(InspectorError) as error:
        run(archive(tmp_path / "evil.keras", CONFIGS[name]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", [bomb_zip, lying_zip, duplicate])
def test_lying_archives_are_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(InspectorError):
        run(make(tmp_path / "evil.keras"))


@pytest.mark.parametrize("name", ["../canary", "/tmp/canary", "a/../../canary", "C:\\canary"])
def test_names_that_leave_the_archive_are_refused(name: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "evil.keras", model(layer("Identity", {})), **{name: b"x"})
    with pytest.raises(InspectorError, match=r"leaves|outside"):
        run(path)
    assert not (tmp_path.parent / "canary").exists()


def test_long_attributes_in_chunks_are_read(tmp_path: Path) -> None:
    config = model(layer("Identity", {"note": "n" * 150_000}))
    text = json.dumps(config).encode()
    path = tmp_path / "chunks.h5"
    with h5py.File(path, "w") as file:
        for number in range(0, len(text), 60_000):
            file.attrs[f"model_config{number // 60_000}"] = text[number : number + 60_000]
        file.create_group("model_weights").attrs["layer_names"] = [b"x"]
        file["model_weights"].create_group("x").attrs["weight_names"] = np.zeros(0, "S1")
    assert len(run(path).model.graph.output) == 1


@pytest.mark.parametrize("link", [h5py.ExternalLink("/etc/passwd", "x"), h5py.SoftLink("/elsewhere")])
def test_whole_model_files_follow_no_links(link: Any, tmp_path: Path) -> None:
    path = tmp_path / "evil.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(DENSE)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"evil"]
        group.create_group("evil").attrs["weight_names"] = [b"evil/kernel:0"]
        group["evil"].create_group("evil")["kernel:0"] = link
    with pytest.raises(InspectorError, match="inside the file"):
        run(path)
