"""Write weights as .npy files with a manifest, as one .npz, or as one .safetensors file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any, Literal

import numpy as np

from converters.provenance import Source, restore
from inspector.errors import BadInput, OutputExists
from inspector.model import Model, Weight
from inspector.progress import track
from inspector.weights.chunks import chunks
from inspector.weights.file_names import file_names
from inspector.weights.selection import select_weights
from inspector.weights.statistics import statistics_of

__all__ = ["Export", "export_weights"]

Layout = Literal["source", "onnx"]
FileFormat = Literal["npy", "npz", "safetensors"]

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Export:
    """What was written: the folder and the manifest's rows."""

    folder: Path
    format: FileFormat
    layout: Layout
    model: str
    weights: tuple[dict[str, Any], ...]

    def manifest(self) -> dict[str, Any]:
        """The content of `manifest.json`."""
        return {
            "format": self.format,
            "layout": self.layout,
            "model": self.model,
            "weights": list(self.weights),
        }


@dataclass(frozen=True)
class _Item:
    """One array to write: a weight, or one of the source tensors it holds."""

    weight: Weight
    source: Source
    restored: bool

    def array(self, widen: bool) -> np.ndarray[Any, Any]:
        array = self.weight.array()
        if self.restored:
            array = restore(array, self.source.restore)
        if array.dtype == object:
            return _text(array)
        if widen and array.dtype.kind not in "biuc" and array.dtype.itemsize < 4:
            return array.astype(np.float32)
        return array


def export_weights(
    model: Model,
    folder: str | Path,
    *,
    select: str | Sequence[str] | None = None,
    layout: Layout = "source",
    format: FileFormat = "npy",
    widen: bool = False,
) -> Export:
    """Write every selected weight below `folder` with a `manifest.json`; all of it or nothing.

    In layout "source" each tensor has the name and axes of the source file, in "onnx" those of the graph.
    Element types that .npy lacks (bfloat16, float8, int4 …) are kept as their raw bits in the unsigned
    type named `stored_as` in the manifest, or widened to float32 with `widen`. One weight at a time is
    held in memory, and only if it must be rearranged.

    Raises:
        OutputExists: the folder holds something that is not an earlier export.
        UnknownName: a pattern matches no weight.
    """
    folder = Path(folder)
    _check_free(folder)
    items = list(_items(select_weights(model, select), layout))
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=".inspector-", dir=folder.parent))
    try:
        rows = _WRITERS[format](items, scratch, widen)
        done = Export(folder, format, layout, model.name, tuple(rows))
        (scratch / MANIFEST).write_text(json.dumps(done.manifest(), indent=1, ensure_ascii=False) + "\n")
        scratch.chmod(0o755)
        _replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return done


def _check_free(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise OutputExists(
            f"{folder}: the folder is not empty and holds no earlier export. Name a new folder or empty it."
        )
    if folder.exists() and not folder.is_dir():
        raise OutputExists(f"{folder}: is a file, expected a folder to write into.")


def _replace(scratch: Path, folder: Path) -> None:
    """Put the finished folder in place of an earlier one; at no moment is it half-written."""
    if not folder.exists():
        os.rename(scratch, folder)
        return
    old = Path(mkdtemp(prefix=".inspector-old-", dir=folder.parent))
    os.rename(folder, old / "old")
    os.rename(scratch, folder)
    shutil.rmtree(old, ignore_errors=True)


def _items(weights: list[Weight], layout: Layout) -> Iterator[_Item]:
    for weight in weights:
        if layout == "onnx":
            yield _Item(weight, Source(weight.key), restored=False)
            continue
        for source in weight.sources:
            name = source.name if source.name != weight.name else weight.key
            yield _Item(weight, Source(name, source.restore), restored=bool(source.restore))


def _row(
    item: _Item, array: np.ndarray[Any, Any], stored: np.ndarray[Any, Any], file: str, digest: str
) -> dict[str, Any]:
    return {
        "name": item.weight.key,
        "source_name": item.source.name,
        "file": file,
        "shape": list(array.shape),
        "dtype": str(array.dtype) if array.dtype.kind != "S" else "string",
        "stored_as": str(stored.dtype),
        "layout": _layout(item),
        "restore": item.source.restore if item.restored else [],
        "kind": item.weight.kind,
        "bytes": array.nbytes,
        "sha256": digest,
        **asdict(statistics_of(array)),
    }


def _write_npy_folder(items: list[_Item], folder: Path, widen: bool) -> list[dict[str, Any]]:
    names = file_names([item.source.name for item in items], ".npy")
    rows: list[dict[str, Any]] = []
    for item, name in zip(track(items, "Writing weights"), names, strict=True):
        array = item.array(widen)
        stored = _storable(array)
        with (folder / name).open("wb") as file:
            digest = _write_npy(file, stored)
        rows.append(_row(item, array, stored, name, digest))
    return rows


def _write_npz(items: list[_Item], folder: Path, widen: bool) -> list[dict[str, Any]]:
    names = file_names([item.source.name for item in items], "")
    rows: list[dict[str, Any]] = []
    with zipfile.ZipFile(folder / "weights.npz", "w", zipfile.ZIP_STORED) as archive:
        for item, name in zip(track(items, "Writing weights"), names, strict=True):
            array = item.array(widen)
            stored = _storable(array)
            entry = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            with archive.open(entry, "w", force_zip64=True) as file:
                digest = _write_npy(file, stored)
            rows.append(_row(item, array, stored, f"weights.npz:{name}", digest))
    return rows


_SAFETENSORS = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
    "complex64": "C64",
}


def _write_safetensors(items: list[_Item], folder: Path, widen: bool) -> list[dict[str, Any]]:
    """Header first, then the bodies one after the other, so that only one tensor is in memory at a time."""
    names = _distinct([item.source.name for item in items])
    header: dict[str, Any] = {"__metadata__": {"format": "onnx-inspector"}}
    start = 0
    for item, name in zip(items, names, strict=True):
        array = item.array(widen)
        kind = _SAFETENSORS.get(str(array.dtype))
        stored = array if kind else _storable(array)
        kind = kind or _SAFETENSORS.get(str(stored.dtype))
        if kind is None:
            raise BadInput(
                f"weight {name!r}: safetensors has no element type {array.dtype}. Use --format npy or npz."
            )
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [start, start + stored.nbytes],
        }
        start += stored.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    rows: list[dict[str, Any]] = []
    with (folder / "weights.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for item, name in zip(track(items, "Writing weights"), names, strict=True):
            array = item.array(widen)
            stored = array if str(array.dtype) in _SAFETENSORS else _storable(array)
            digest = hashlib.sha256()
            _write_body(file, stored, digest)
            rows.append(_row(item, array, stored, f"weights.safetensors:{name}", digest.hexdigest()))
    return rows


_WRITERS = {"npy": _write_npy_folder, "npz": _write_npz, "safetensors": _write_safetensors}


def _layout(item: _Item) -> str:
    return "source" if item.restored or not item.source.restore else "onnx"


def _storable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array itself, or its bits as unsigned integers where .npy has no such element type."""
    if array.dtype.kind in "biufcS" and array.dtype.isbuiltin == 1:
        return array
    if array.dtype.kind == "S":
        return array
    return np.ascontiguousarray(array).view(np.dtype(f"u{array.dtype.itemsize}"))


def _text(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    encoded = [v if isinstance(v, bytes) else str(v).encode() for v in array.reshape(-1)]
    return np.array(encoded, dtype=np.bytes_).reshape(array.shape)


def _write_npy(file: IO[bytes], array: np.ndarray[Any, Any]) -> str:
    """Write an .npy stream and return the SHA-256 of the values in C order."""
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header | {"fortran_order": False})
    digest = hashlib.sha256()
    _write_body(file, array, digest)
    return digest.hexdigest()


def _write_body(file: IO[bytes], array: np.ndarray[Any, Any], digest: Any) -> None:
    for chunk in chunks(array):
        data = chunk.tobytes()
        file.write(data)
        digest.update(data)


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return out
