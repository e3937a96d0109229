"""Tensors in safetensors files, one or many, addressed where they lie."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converters.elements import by_safetensors
from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, Place, dense
from converters.provenance import Origin
from converters.registry import HEAD_BYTES, Conversion, Options, format
from converters.torch_loading import convert_weights, run_weights
from converters.torch_oracle import Outputs, Samples
from converters.verify import register_oracle
from converters.weight_graph import NamedTensor

__all__ = ["convert_index", "convert_safetensors", "read_index", "read_safetensors"]

MAX_HEADER = 100_000_000
"""Bytes of JSON, the limit of the format itself."""

_INDEX_SUFFIX = ".safetensors.index.json"
_FIELDS = {"dtype", "shape", "data_offsets"}
_MAX_SHARDS = 10_000


def _recognises(head: bytes, path: Path) -> bool:
    if len(head) < 10 or head[8:9] != b"{":
        return False
    length = struct.unpack_from("<Q", head)[0]
    return 2 <= length <= max(MAX_HEADER, path.stat().st_size) and head[9:].lstrip()[:1] in (b'"', b"}")


@format("safetensors", suffixes=(".safetensors",), gives=("weights",), recognises=_recognises)
def convert_safetensors(path: Path, options: Options) -> Conversion:
    """Safetensors file."""
    named, metadata = read_safetensors(path)
    return convert_weights(path, named, options, _origin(path, metadata), _said(metadata))


@register_oracle("safetensors")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    path = Path(source)
    with path.open("rb") as file:
        indexed = _recognises_index(file.read(HEAD_BYTES), path)
    named = read_index(path)[0] if indexed else read_safetensors(path)[0]
    return run_weights(path, named, options, folder, samples)


def _recognises_index(head: bytes, path: Path) -> bool:
    start = head.lstrip()
    return start.startswith(b"{") and b'"weight_map"' in head and b".safetensors" in head


@format("safetensors-index", suffixes=(_INDEX_SUFFIX,), gives=("weights",), recognises=_recognises_index)
def convert_index(path: Path, options: Options) -> Conversion:
    """Index of a sharded safetensors checkpoint; the shards lie beside it."""
    named, metadata, count = read_index(path)
    said = [f"read from {count} shards", *_said(metadata)]
    return convert_weights(path, named, options, _origin(path, metadata), said)


def read_index(path: Path) -> tuple[list[NamedTensor], Mapping[str, str], int]:
    """The tensors in the order of the index, their metadata, and how many shards hold them.

    Raises:
        BadFile: a shard is missing, damaged or lies elsewhere, or a tensor is not where the index says.
    """
    if path.stat().st_size > MAX_HEADER:
        raise BadFile(f"{path}: an index of {path.stat().st_size:,} bytes, expected at most {MAX_HEADER:,}.")
    index = _json(path.read_bytes(), f"{path}: the index")
    mapping = index.get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise BadFile(f"{path}: the index has no weight_map. Get another copy.")
    shards = list(dict.fromkeys(map(str, mapping.values())))
    if len(shards) > _MAX_SHARDS:
        raise BadFile(f"{path}: the index names {len(shards):,} files, expected at most {_MAX_SHARDS:,}.")
    found: dict[str, LazyTensor] = {}
    metadata: dict[str, str] = {}
    for shard in shards:
        named, said = read_safetensors(_shard(path, shard))
        metadata |= said
        found |= {name: tensor for name, tensor in named if mapping.get(name) == shard}
    missing = [name for name in mapping if name not in found]
    if missing:
        raise BadFile(
            f"{path}: {len(missing)} tensors, such as {missing[0]!r}, are not in the file the index names "
            f"({mapping[missing[0]]!r}). Fetch the shards again."
        )
    return [(str(name), found[name]) for name in mapping], metadata, len(shards)


def _shard(index: Path, name: str) -> Path:
    if not name or Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
        raise BadFile(f"{index}: the shard {name!r} is not a file beside the index; it is not read.")
    path = index.parent / name
    if not path.is_file():
        raise BadFile(f"{index}: the shard {name!r} is missing. It must lie beside the index.")
    return path


def read_safetensors(path: Path) -> tuple[list[NamedTensor], Mapping[str, str]]:
    """The tensors in file order, none of them loaded, and the `__metadata__`.

    Raises:
        BadFile: the header is damaged, or its tensors overlap, leave gaps or reach outside.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if length > MAX_HEADER:
            raise BadFile(f"{path}: declares a header of {length:,} bytes, expected at most {MAX_HEADER:,}.")
        if 8 + length > size:
            raise BadFile(f"{path}: the header needs {length:,} bytes, {max(0, size - 8):,} follow: cut off.")
        header = _json(file.read(length), f"{path}: the header")
    metadata = header.pop("__metadata__", None)
    named = [(name, _tensor(path, name, row, 8 + length, size)) for name, row in header.items()]
    named.sort(key=lambda pair: header[pair[0]]["data_offsets"])
    _refuse_overlaps(path, [(name, *header[name]["data_offsets"]) for name, _ in named], size - 8 - length)
    said = metadata if isinstance(metadata, dict) else {}
    return named, {str(key): str(value) for key, value in said.items()}


def _json(raw: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(raw, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as cause:
        raise BadFile(f"{where} is not sound JSON ({str(cause)[:200]}). Get another copy.") from None
    if not isinstance(found, dict):
        raise BadFile(f"{where} is not a JSON object. Get another copy.")
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {twice[:80]!r} occurs twice")
    return found


def _tensor(path: Path, name: str, row: object, body: int, size: int) -> LazyTensor:
    where = f"{path}: tensor {name[:80]!r}"
    if not isinstance(row, dict) or not row.keys() >= _FIELDS:
        raise BadFile(f"{where} is not described by dtype, shape and data_offsets. Get another copy.")
    element = by_safetensors(str(row["dtype"]))
    if element is None:
        raise BadFile(f"{where} has the unknown dtype {str(row['dtype'])[:40]!r}.")
    shape = _whole_numbers(row["shape"])
    offsets = _whole_numbers(row["data_offsets"])
    if shape is None or offsets is None or len(offsets) != 2:
        raise BadFile(f"{where}: shape and data_offsets must be lists of whole numbers.")
    start, stop = offsets
    if start > stop or body + stop > size:
        raise BadFile(
            f"{where}: bytes {start:,} to {stop:,} lie outside the data, which has {size - body:,}: "
            "cut off, or the file lies about its sizes."
        )
    needed = math.prod(shape) * element.bytes
    if stop - start != needed:
        raise BadFile(f"{where}: shape {list(shape)} needs {needed:,} bytes, {stop - start:,} are given.")
    return dense(name, element, shape, Place(path.resolve(), body + start, needed))


def _whole_numbers(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or len(value) > 64:
        return None
    if any(type(n) is not int or not 0 <= n < 1 << 62 for n in value):
        return None
    return tuple(value)


def _refuse_overlaps(path: Path, spans: Sequence[tuple[str, int, int]], size: int) -> None:
    """The spans, in order, must fill the data without sharing a byte."""
    end, before = 0, ""
    for name, start, stop in spans:
        if start < end and stop > start:
            raise BadFile(f"{path}: tensors {before[:80]!r} and {name[:80]!r} share bytes. Refused.")
        if start > end:
            raise BadFile(f"{path}: {start - end:,} bytes before {name[:80]!r} belong to no tensor. Refused.")
        end, before = stop, name
    if end != size:
        raise BadFile(f"{path}: {size - end:,} bytes at the end belong to no tensor. Get another copy.")


def _origin(path: Path, metadata: Mapping[str, str]) -> Origin:
    framework = {"pt": "torch", "tf": "tensorflow", "flax": "flax", "np": "numpy", "mlx": "mlx"}
    return Origin("safetensors", framework.get(metadata.get("format", ""), ""), "", "", path.name)


def _said(metadata: Mapping[str, str]) -> list[str]:
    shown = [f"{key} = {value[:200]}" for key, value in list(metadata.items())[:20]]
    return [f"metadata: {', '.join(shown)}"] if shown else []
