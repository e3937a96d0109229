"""Do formats of other packages join by entry point, and are two of one name refused aloud?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from converters import Options, registry

MODULE = '''"""A format of somebody else: one line a layer."""

import onnx

from converters import Conversion, Options
from converters.provenance import Origin, write_model
from converters.registry import format


def _recognises(head, path):
    return head.startswith(b"LINES")


@format("NAME", suffixes=(".lines",), gives=("model",), recognises=_recognises)
def convert_lines(path, options):
    """Layers, one a line."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n"])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n"])
    node = onnx.helper.make_node(path.read_text().split()[1], ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "lines", [value], [out]))
    origin = Origin("NAME", "lines", "", "", path.name)
    write_model(model, origin, ())
    return Conversion(model, origin)
'''


def _install(folder: Path, name: str) -> None:
    """What pip leaves behind: a module, and metadata beside it that names the entry point."""
    (folder / "lines_format.py").write_text(MODULE.replace("NAME", name))
    metadata = folder / "lines_format-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lines-format\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[inspector.converters]\nlines = lines_format\n")
    (folder / "net.lines").write_text("LINES Relu\n")


def _inspector(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from inspector.cli import main; main()"
    command = [sys.executable, "-c", start, str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_format_of_another_package_opens_and_is_listed(tmp_path: Path) -> None:
    _install(tmp_path, "lines")
    listed = _inspector(tmp_path, "formats")
    assert "Layers, one a line." in listed.stdout, listed.stderr
    shown = _inspector(tmp_path, "summarize", str(tmp_path / "net.lines"))
    assert shown.returncode == 0, shown.stderr
    assert "Relu" in shown.stdout


def test_two_formats_of_one_name_are_refused_with_both_origins(tmp_path: Path) -> None:
    _install(tmp_path, "safetensors")
    done = _inspector(tmp_path, "formats")
    assert done.returncode != 0
    said = " ".join((done.stderr + done.stdout).split())
    assert "'safetensors' is registered twice" in said
    assert "converters.formats.safetensors_file" in said
    assert "lines_format" in said


def test_a_second_registration_in_one_process_raises() -> None:
    registry.formats()

    def convert(path: Path, options: Options) -> registry.Conversion:
        raise NotImplementedError

    with pytest.raises(ValueError, match=r"converters\.formats\.onnx_file.*test_registry"):
        registry.format("onnx", suffixes=(), gives=(), recognises=lambda head, path: False)(convert)
    assert registry.formats()["onnx"].origin == "converters.formats.onnx_file"
