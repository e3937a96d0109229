"""Do manifest and files rebuild every weight bit for bit, whatever its name, type and layout?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import inspector
from converters.provenance import Source, write_sources
from inspector.errors import OutputExists, UnknownName
from inspector.weights import statistics_of


def rebuilt(folder: Path, row: dict[str, object]) -> np.ndarray:
    """The weight of a manifest row, from the files alone."""
    file, _, entry = str(row["file"]).partition(":")
    if file.endswith(".npy"):
        stored = np.load(folder / file)
    elif file.endswith(".npz"):
        stored = np.load(folder / file)[entry]
    else:
        raw = (folder / file).read_bytes()
        head = int.from_bytes(raw[:8], "little")
        start, stop = json.loads(raw[8 : 8 + head])[entry]["data_offsets"]
        kind = np.dtype(getattr(ml_dtypes, str(row["stored_as"]), None) or str(row["stored_as"]))
        stored = np.frombuffer(raw[8 + head + start : 8 + head + stop], kind).reshape(row["shape"])
    if row["dtype"] == "string" or str(stored.dtype) == row["dtype"]:
        return stored
    return stored.view(getattr(ml_dtypes, str(row["dtype"])))


@pytest.mark.parametrize("form", ["npy", "npz", "safetensors"])
@pytest.mark.parametrize("name", ["squeezenet1_1.onnx", "models/if_body.onnx", "models/hostile_names.onnx"])
def test_files_and_manifest_rebuild_equal_weights(
    form: str, name: str, fixtures: Path, tmp_path: Path
) -> None:
    model = inspector.open_model(fixtures / name)
    inspector.export_weights(model, tmp_path / "w", format=form, layout="onnx")
    manifest = json.loads((tmp_path / "w" / "manifest.json").read_text())
    assert [row["name"] for row in manifest["weights"]] == list(model.weights)
    for row in manifest["weights"]:
        expected = model.weights[row["name"]].array()
        found = rebuilt(tmp_path / "w", row)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
        assert row["bytes"] == expected.nbytes


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_every_element_type_survives(form: str, fixtures: Path, tmp_path: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "dtypes.onnx")
    export = inspector.export_weights(model, tmp_path / "w", format=form)
    assert {row["dtype"] for row in export.weights} > {
        "bfloat16",
        "float8_e4m3fn",
        "int4",
        "string",
        "complex64",
    }
    for row in export.weights:
        expected = model.weights[row["name"]].array()
        found = rebuilt(tmp_path / "w", row)
        if row["dtype"] == "string":
            assert found.tolist() == [b"caf\xc3\xa9", b""]
        else:
            assert found.tobytes() == expected.tobytes()


def test_widening_gives_plain_float32(fixtures: Path, tmp_path: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "dtypes.onnx")
    export = inspector.export_weights(model, tmp_path / "w", select="as_bfloat16", widen=True)
    stored = np.load(tmp_path / "w" / export.weights[0]["file"])
    assert stored.dtype == np.float32
    assert np.array_equal(stored, model.weights["as_bfloat16"].array().astype(np.float32))


def test_source_layout_restores_the_source_tensor(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 8)).astype(np.float32)  # HWIO
    tensor = numpy_helper.from_array(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), "conv.w")
    write_sources(tensor, [Source("conv/kernel", [["transpose", [2, 3, 1, 0]]])])
    graph = helper.make_graph(
        [], "g", [], [helper.make_tensor_value_info("conv.w", TensorProto.FLOAT, [8, 4, 3, 3])], [tensor]
    )
    model = inspector.open_model(helper.make_model(graph))
    row = inspector.export_weights(model, tmp_path / "s").weights[0]
    assert (row["source_name"], row["layout"], row["shape"]) == ("conv/kernel", "source", [3, 3, 4, 8])
    assert np.array_equal(np.load(tmp_path / "s" / row["file"]), kernel)
    row = inspector.export_weights(model, tmp_path / "o", layout="onnx").weights[0]
    assert np.array_equal(np.load(tmp_path / "o" / row["file"]), kernel.transpose(3, 2, 0, 1))


def test_hostile_names_stay_in_the_folder_and_map_back(fixtures: Path, tmp_path: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "hostile_names.onnx")
    export = inspector.export_weights(model, tmp_path / "w")
    assert {row["source_name"] for row in export.weights} == set(model.weights)
    files = sorted(p.name.lower() for p in (tmp_path / "w").iterdir())
    assert len(files) == len(set(files)) == len(model.weights) + 1
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_statistics_are_those_of_numpy(classifier: inspector.Model, tmp_path: Path) -> None:
    for row in inspector.export_weights(classifier, tmp_path / "w", select="features.*").weights:
        array = classifier.weights[row["name"]].array().astype(np.float64)
        assert row["min"] == array.min()
        assert row["max"] == array.max()
        assert row["mean"] == pytest.approx(array.mean(), rel=1e-12)
        assert row["std"] == pytest.approx(array.std(), rel=1e-12)


def test_statistics_of_odd_arrays() -> None:
    odd = statistics_of(np.array([np.nan, np.inf, -np.inf, 0, 2], np.float32))
    assert (odd.min, odd.max, odd.mean, odd.nan, odd.inf, odd.zeros) == (0, 2, 1, 1, 2, 0.2)
    assert statistics_of(np.zeros((0, 3))).mean is None
    far = np.full(3_000_000, 1e8) + np.random.default_rng(0).normal(size=3_000_000)
    assert statistics_of(far).std == pytest.approx(far.std(), rel=1e-9)
    assert statistics_of(np.broadcast_to(np.float32(3), (1000, 1000, 1000))).mean == 3


def test_nothing_is_overwritten_and_nothing_half_written(classifier: inspector.Model, tmp_path: Path) -> None:
    precious = tmp_path / "w" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    with pytest.raises(OutputExists, match="not empty"):
        inspector.export_weights(classifier, tmp_path / "w")
    assert precious.read_text() == "years of work"
    with pytest.raises(UnknownName, match="no weight is called 'conv9'"):
        inspector.export_weights(classifier, tmp_path / "new", select="conv9")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w"]


def test_interrupting_leaves_nothing_behind(tmp_path: Path) -> None:
    big = [numpy_helper.from_array(np.ones((2000, 2000), np.float32), f"w{i}") for i in range(20)]
    onnx.save(
        helper.make_model(
            helper.make_graph([], "g", [], [helper.make_tensor_value_info("w0", 1, [2000, 2000])], big)
        ),
        tmp_path / "big.onnx",
    )
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "inspector.cli",
            "export-weights",
            str(tmp_path / "big.onnx"),
            "-o",
            str(tmp_path / "out"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".inspector-*/*.npy")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(30) == 130
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.onnx"]


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """The peak of exporting 400 MB in one tensor stays near the peak of exporting nothing."""

    def peak(megabytes: int) -> int:
        count = megabytes << 18
        with (tmp_path / "w.bin").open("wb") as file:
            file.truncate(count * 4)
        tensor = TensorProto(name="w", data_type=1, dims=[count], data_location=TensorProto.EXTERNAL)
        for key, text in (("location", "w.bin"), ("offset", "0"), ("length", str(count * 4))):
            tensor.external_data.add(key=key, value=text)
        graph = helper.make_graph([], "g", [], [helper.make_tensor_value_info("w", 1, [count])], [tensor])
        (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
        code = (
            "import pathlib, re, inspector;"
            f"inspector.export_weights({str(tmp_path / 'm.onnx')!r}, {str(tmp_path / 'out')!r});"
            "text = pathlib.Path('/proc/self/status').read_text();"
            r"print(int(re.search(r'VmHWM:\s+(\d+)', text)[1]) // 1024)"
        )
        return int(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        )

    assert peak(400) < peak(1) + 150
