"""How is an HDF5 file read without following it anywhere? Links, storage and sizes are checked."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import ml_dtypes
import numpy as np

from converters.errors import BadFile
from converters.keras_translation.variables import ListBranch, TreeNode, Variable

__all__ = ["attribute_list", "attribute_text", "layer_weights", "open_hdf5", "weight_tree"]

_BOMB_FLOOR = 1 << 20
"""Datasets below this size are harmless whatever they declare."""

_MAX_RATIO = 1100
"""Declared to stored bytes: deflate cannot exceed 1032, so more means that most chunks are not there."""

_MAX_MEMBERS = 1_000_000
_MAX_DEPTH = 64
_MAX_ATTRIBUTE = 256 << 20


@contextmanager
def open_hdf5(source: Path | BinaryIO, shown: str) -> Generator[h5py.File]:
    """Open for reading; errors of the library become `BadFile`."""
    try:
        with h5py.File(source, "r") as file:
            yield file
    except (OSError, RuntimeError) as cause:
        raise BadFile(f"{shown}: the HDF5 content cannot be read ({cause}). Get another copy.") from cause


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """A direct member that lies in this file.

    Raises:
        BadFile: it is missing or a link to elsewhere.
    """
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        kind = type(link).__name__ if link is not None else "nothing"
        raise BadFile(f"HDF5 group {group.name!r}: {name!r} is {kind}; only data inside the file is read.")
    found: Any = group[name]
    if not isinstance(found, (h5py.Group, h5py.Dataset)):
        raise BadFile(f"HDF5 group {group.name!r}: {name!r} is neither a group nor an array.")
    return found


def descend(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """Follow a path of direct members."""
    found: h5py.Group | h5py.Dataset = group
    for part in path.split("/"):
        if not isinstance(found, h5py.Group):
            raise BadFile(f"HDF5: {path!r} goes through an array.")
        if part in ("", "."):
            continue
        found = member(found, part)
    return found


def variable(dataset: h5py.Dataset) -> Variable:
    """A weight that is read when asked for, after its declared size is believed."""
    name, dtype = str(dataset.name), dataset.dtype
    if dataset.external or dataset.is_virtual:
        raise BadFile(
            f"HDF5 array {name!r} keeps its values in other files; only data inside the file is read."
        )
    if dtype.kind not in "fiubV" or (dtype.kind == "V" and (dtype.names or dtype.itemsize > 2)):
        raise BadFile(f"HDF5 array {name!r} holds {dtype}, not numbers; it is no weight.")
    shape = dataset.shape
    if shape is None:
        raise BadFile(f"HDF5 array {name!r} is empty.")
    declared = int(np.prod(shape, dtype=object)) * dtype.itemsize
    stored = dataset.id.get_storage_size()
    if declared > _BOMB_FLOOR and declared > _MAX_RATIO * stored:
        raise BadFile(
            f"HDF5 array {name!r} declares {declared:,} bytes and stores {stored:,}; it is not believed."
        )
    half = dataset.attrs.get("dtype") in ("bfloat16", b"bfloat16") or dtype.kind == "V"

    def read() -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = np.asarray(dataset[()])
        if half and array.dtype.itemsize == 2:
            return array.view(ml_dtypes.bfloat16)
        return array.astype(ml_dtypes.bfloat16) if half else array.astype(array.dtype.newbyteorder("="))

    return Variable(name, tuple(shape), read)


def weight_tree(group: h5py.Group, depth: int = 0, seen: set[Any] | None = None) -> TreeNode:
    """The layout of `.weights.h5`: children by attribute, `vars` holding numbered variables."""
    seen = set() if seen is None else seen
    address = h5py.h5o.get_info(group.id).addr  # pyright: ignore[reportAttributeAccessIssue]  # absent from its stubs
    if address in seen:
        raise BadFile(f"HDF5 group {group.name!r} is linked from two places; Keras files are trees.")
    seen.add(address)
    if depth > _MAX_DEPTH:
        raise BadFile(f"HDF5 group {group.name!r} is nested more than {_MAX_DEPTH} levels deep.")
    if len(group) > _MAX_MEMBERS:
        raise BadFile(f"HDF5 group {group.name!r} lists {len(group):,} members.")
    children: dict[str, TreeNode] = {}
    variables: list[tuple[str, Variable]] = []
    layer_name = ""
    for key in map(str, group):
        found = member(group, key)
        if isinstance(found, h5py.Dataset):
            variables.append((key, variable(found)))
        elif key == "vars":
            layer_name = attribute_text(found, "name")
            inside = weight_tree(found, depth + 1, seen)
            variables += [(str(i), v) for i, v in enumerate(inside.variables)]
        else:
            children[key] = weight_tree(found, depth + 1, seen)
    variables.sort(key=lambda row: (not row[0].isdigit(), int(row[0]) if row[0].isdigit() else 0, row[0]))
    return TreeNode(tuple(v for _, v in variables), layer_name, children)


def layer_weights(group: h5py.Group) -> ListBranch:
    """The layout of whole-model `.h5`: a group a layer, its weights listed in `weight_names`."""
    top: dict[str, ListBranch] = {}
    for name in attribute_list(group, "layer_names"):
        inside = descend(group, name)
        if not isinstance(inside, h5py.Group):
            raise BadFile(f"HDF5: layer {name!r} is an array, not a group.")
        top[name] = ListBranch(_named(inside), name)
    return ListBranch((), "", top)


def _named(group: h5py.Group) -> tuple[tuple[str, Variable], ...]:
    rows: list[tuple[str, Variable]] = []
    for name in attribute_list(group, "weight_names"):
        found = descend(group, name)
        if not isinstance(found, h5py.Dataset):
            raise BadFile(f"HDF5: weight {name!r} is a group, not an array.")
        rows.append((name, variable(found)))
    return tuple(rows)


def attribute_text(item: Any, name: str) -> str:
    """A text attribute, put together where it was split in chunks; empty where there is none."""
    if name not in item.attrs:
        return "".join(_chunks(item, name))
    value: Any = _attribute(item, name)
    if isinstance(value, np.ndarray):
        return "".join(_text(v) for v in value.reshape(-1))
    return _text(value)


def attribute_list(item: Any, name: str) -> list[str]:
    """A list of names, put together where it was split in chunks (an attribute holds 64 KB at most)."""
    if name not in item.attrs:
        return _chunks(item, name)
    return [_text(v) for v in np.asarray(_attribute(item, name)).reshape(-1)]


def _chunks(item: Any, name: str) -> list[str]:
    found: list[str] = []
    number = 0
    while f"{name}{number}" in item.attrs:
        found += [_text(v) for v in np.asarray(_attribute(item, f"{name}{number}")).reshape(-1)]
        number += 1
    return found


def _attribute(item: Any, name: str) -> Any:
    found = item.attrs.get_id(name)
    size = int(np.prod(found.shape, dtype=object)) * found.dtype.itemsize
    if size > _MAX_ATTRIBUTE:
        raise BadFile(f"HDF5 attribute {name!r} of {item.name!r} declares {size:,} bytes.")
    return item.attrs[name]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
