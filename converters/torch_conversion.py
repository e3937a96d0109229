"""From a PyTorch source to a `Conversion`: the parent's side of the child that exports."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from converters import isolation
from converters.errors import ConversionFailed
from converters.provenance import Origin, write_model
from converters.registry import Conversion, Options

__all__ = ["READ_ONLY", "assemble", "digest", "export_in_child", "limits", "new_folder", "request_of"]

MODEL_FILE, WEIGHTS_FILE = "model.onnx", "weights.bin"

_CHUNK = 1 << 20
_LEAST_MEMORY = 8 * isolation.GIB
_MEMORY_FACTOR = 4
"""Bytes of private memory allowed for a byte of source: the weights, one copy in use, and the graph."""

READ_ONLY = "read, not exported: `inspector convert` and every other command would run torch to export it."
UNLOCKED = "this system offers no sandbox: the framework's loader ran with time and memory limits only."


@contextmanager
def new_folder() -> Generator[TemporaryDirectory[str]]:
    """A private folder for what the child writes; it lives as long as the model, or ends with a failure."""
    folder = TemporaryDirectory(prefix="inspector-", ignore_cleanup_errors=True)
    try:
        yield folder
    except BaseException:
        folder.cleanup()
        raise


def request_of(source: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """The child's request: the source, and what the user said about shapes and opset."""
    shapes = {name: list(shape) for name, shape in options.input_shape.items()}
    return {"source": dict(source), "shapes": shapes, "opset": options.opset}


def export_in_child(
    source: Mapping[str, Any],
    options: Options,
    origin: Origin,
    keep: TemporaryDirectory[str],
    *,
    locked: bool,
    readable: Sequence[Path] = (),
    notes: Sequence[str] = (),
) -> Conversion:
    """Export in a fresh process and read back what it wrote.

    Raises:
        ConversionFailed: the exporter refused, ran out of time or memory, or wrote a broken model.
    """
    folder = Path(keep.name)
    answer = isolation.run(
        "export",
        request_of(source, options),
        folder,
        limits=limits(readable, options),
        locked=locked,
        readable=readable,
        progress=options.extra.get("progress"),
    )
    said = [*notes, *map(str, answer.values["notes"])]
    if locked and len(answer.locks) < 4:
        said.append(UNLOCKED)
    made = Origin(origin.format, "torch", str(answer.values["version"]), origin.digest, origin.file)
    return assemble(keep, made, said)


def assemble(keep: TemporaryDirectory[str], origin: Origin, notes: Sequence[str]) -> Conversion:
    """The conversion whose model and weights lie in the folder; nothing of it is trusted to be sound.

    Raises:
        ConversionFailed: the file is no valid model or refers to files outside the folder.
    """
    folder = Path(keep.name)
    path = folder / MODEL_FILE
    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(str(path))
    except (OSError, DecodeError, onnx.checker.ValidationError, ValueError) as cause:
        raise ConversionFailed(f"the exporter wrote a model that is not valid ONNX: {cause}") from cause
    for entry in folder.iterdir():
        if entry.name not in (MODEL_FILE, WEIGHTS_FILE):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    write_model(model, origin, notes)
    return Conversion(model, origin, tuple(notes), folder, keep)


def limits(files: Sequence[Path], options: Options) -> isolation.Limits:
    """Time and memory for a source of this size; `extra` may hold `seconds` and `memory` (bytes)."""
    size = sum(path.stat().st_size for path in files if path.is_file())
    memory = options.extra.get("memory") or max(_LEAST_MEMORY, _MEMORY_FACTOR * size)
    return isolation.Limits(float(options.extra.get("seconds") or isolation.Limits.seconds), int(memory))


def digest(path: Path) -> str:
    """The sha256 of a file, as a stream."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
