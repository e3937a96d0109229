"""How do Keras files become ONNX? `.keras`, whole-model `.h5`, a configuration with weights, live models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from converters.errors import BadFile
from converters.frameworks import need
from converters.keras_checked import run_keras_file
from converters.keras_translation import archive, hdf5
from converters.keras_translation.config import parse_model
from converters.keras_translation.model import convert_model, convert_weights
from converters.keras_translation.variables import Branch, ListBranch, TreeBranch, Variable
from converters.provenance import Origin
from converters.registry import Conversion, Options, format, live
from converters.sample_files import Outputs, Samples
from converters.verify import register_oracle

__all__ = ["convert_folder", "convert_h5", "convert_keras", "convert_live", "convert_weights_h5"]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_CONFIG, _METADATA = "config.json", "metadata.json"
_WEIGHT_NAMES = ("model.weights.h5", "variables.h5")


def _is_keras_zip(head: bytes, path: Path) -> bool:
    return head.startswith(b"PK\x03\x04") and _CONFIG in archive.member_names(path)


def _is_folder(head: bytes, path: Path) -> bool:
    folder = path if path.is_dir() else path.parent
    named = path.is_dir() or (path.name == _CONFIG and b'"class_name"' in head)
    return named and (folder / _CONFIG).is_file() and any((folder / n).is_file() for n in _WEIGHT_NAMES)


def _hdf5_kind(head: bytes, path: Path) -> str:
    if not head.startswith(_HDF5_MAGIC):
        return ""
    try:
        with h5py.File(path, "r") as file:
            if any(k in file.attrs for k in ("model_config", "model_config0")):
                return "model"
            if any(k in file.attrs for k in ("layer_names", "layer_names0")):
                return "weights"
            if any(k in file for k in ("layers", "_layer_checkpoint_dependencies", "vars", "model_weights")):
                return "weights"
    except (OSError, RuntimeError, KeyError, ValueError):
        return "model" if path.suffix in (".h5", ".hdf5", ".keras") else ""
    return ""


@format("keras", suffixes=(".keras",), gives=("model", "structure", "weights"), recognises=_is_keras_zip)
def convert_keras(source: Path, options: Options) -> Conversion:
    """Keras 3 model (`.keras` archive)."""
    with archive.open_archive(source) as zipped:
        record = archive.read_json(zipped, _CONFIG, source)
        version = ""
        if _METADATA in zipped.namelist():
            version = str(archive.read_json(zipped, _METADATA, source).get("keras_version", ""))
        origin = Origin("keras", "keras", version, _digest(source), source.name)
        with _weights_inside(zipped, source) as branch:
            return convert_model(parse_model(record), branch, origin, options)


@contextmanager
def _weights_inside(zipped: Any, source: Path) -> Generator[Branch]:
    name = next((n for n in _WEIGHT_NAMES if n in zipped.namelist()), None)
    if name is None:
        raise BadFile(
            f"{source}: the archive holds a configuration and no weights (expected {_WEIGHT_NAMES[0]})."
        )
    with (
        archive.member_file(zipped, name, source) as file,
        hdf5.open_hdf5(file, f"{source}: {name}") as opened,
    ):
        yield TreeBranch(hdf5.weight_tree(opened))


@format(
    "keras-h5",
    suffixes=(".h5", ".hdf5", ".keras"),
    gives=("model", "structure", "weights"),
    recognises=lambda head, path: _hdf5_kind(head, path) == "model",
)
def convert_h5(source: Path, options: Options) -> Conversion:
    """Keras 2 or Keras 3 whole model (`.h5`)."""
    with hdf5.open_hdf5(source, str(source)) as file:
        record = archive.parse_json_text(hdf5.attribute_text(file, "model_config"), f"{source}: model_config")
        version = hdf5.attribute_text(file, "keras_version")
        origin = Origin("keras-h5", "keras", version, _digest(source), source.name)
        weights = hdf5.member(file, "model_weights") if "model_weights" in file else file
        if not isinstance(weights, h5py.Group):
            raise BadFile(f"{source}: model_weights is an array, not a group.")
        return convert_model(parse_model(record), hdf5.layer_weights(weights), origin, options)


@format("keras-config", suffixes=(".json",), gives=("model", "structure", "weights"), recognises=_is_folder)
def convert_folder(source: Path, options: Options) -> Conversion:
    """Keras configuration beside its weights (`config.json` and `model.weights.h5`)."""
    folder = source if source.is_dir() else source.parent
    weights = next(folder / n for n in _WEIGHT_NAMES if (folder / n).is_file())
    with (folder / _CONFIG).open("rb") as file:
        record = archive.parse_json(file, str(folder / _CONFIG))
    version = ""
    if (folder / _METADATA).is_file():
        with (folder / _METADATA).open("rb") as file:
            version = str(archive.parse_json(file, str(folder / _METADATA)).get("keras_version", ""))
    origin = Origin("keras-config", "keras", version, _digest(folder / _CONFIG), source.name)
    with hdf5.open_hdf5(weights, str(weights)) as opened:
        return convert_model(parse_model(record), TreeBranch(hdf5.weight_tree(opened)), origin, options)


@format(
    "keras-weights",
    suffixes=(".weights.h5", ".h5", ".hdf5"),
    gives=("weights",),
    recognises=lambda head, path: _hdf5_kind(head, path) == "weights",
)
def convert_weights_h5(source: Path, options: Options) -> Conversion:
    """Keras weights without a graph (`.weights.h5`)."""
    with hdf5.open_hdf5(source, str(source)) as file:
        origin = Origin(
            "keras-weights", "keras", hdf5.attribute_text(file, "keras_version"), _digest(source), source.name
        )
        if hdf5.attribute_list(file, "layer_names"):
            return convert_weights(hdf5.layer_weights(file), origin)
        return convert_weights(TreeBranch(hdf5.weight_tree(file)), origin)


@live("keras.src.models.model.Model")
def convert_live(source: Any, options: Options) -> Conversion:
    """A `keras.Model` in memory, by its configuration and variables."""
    text = json.dumps({"class_name": type(source).__name__, "config": source.get_config()}, default=str)
    record: dict[str, Any] = json.loads(text)
    branch = ListBranch((), "", {layer.name: _live_branch(layer) for layer in source.layers})
    return convert_model(parse_model(record), branch, Origin("keras-live", "keras"), options)


@register_oracle("keras")
def _run_keras(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    path = Path(source)
    with archive.open_archive(path) as zipped:
        record = archive.read_json(zipped, _CONFIG, path)
    return run_keras_file({"keras": path}, record, options, folder, samples)


@register_oracle("keras-h5")
def _run_h5(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    with hdf5.open_hdf5(Path(source), str(source)) as file:
        record = archive.parse_json_text(hdf5.attribute_text(file, "model_config"), f"{source}: model_config")
    return run_keras_file({"h5": Path(source)}, record, options, folder, samples)


@register_oracle("keras-config")
def _run_folder(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    place = Path(source) if Path(source).is_dir() else Path(source).parent
    weights = next(place / n for n in _WEIGHT_NAMES if (place / n).is_file())
    with (place / _CONFIG).open("rb") as file:
        record = archive.parse_json(file, str(place / _CONFIG))
    files = {"config": place / _CONFIG, "weights": weights}
    return run_keras_file(files, record, options, folder, samples)


@register_oracle("keras-live")
def _run_live(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    calling = need("converters.keras_calling", "verifying a conversion")
    return [calling.call_model(source, sample) for sample in samples]


def _live_branch(layer: Any) -> ListBranch:
    rows: list[tuple[str, Variable]] = []
    for weight in layer.weights:
        rows.append((str(weight.path), Variable(f"{id(weight)}", tuple(weight.shape), weight.numpy)))
    return ListBranch(tuple(rows), layer.name)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
