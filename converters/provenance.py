"""Where does every node and weight come from? Reading and writing the `inspector.` metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import onnx

__all__ = [
    "Origin",
    "Source",
    "describe_node",
    "node_class",
    "node_config",
    "node_scope",
    "read_notes",
    "read_origin",
    "read_sources",
    "restore",
    "write_model",
    "write_sources",
]

_PREFIX = "inspector."

Step = Sequence[Any]
"""`["slice", axis, start, stop]`, `["reshape", shape]`, `["transpose", permutation]`,
`["blocks", axis, order]` or `["reverse", axis]`."""


@dataclass(frozen=True)
class Origin:
    """The file or object a model was made from."""

    format: str
    framework: str = ""
    version: str = ""
    digest: str = ""
    file: str = ""


@dataclass(frozen=True)
class Source:
    """One tensor of the source file and the steps that restore it from the ONNX initializer."""

    name: str
    restore: list[Step] = field(default_factory=list)


def restore(array: np.ndarray[Any, Any], steps: Iterable[Step]) -> np.ndarray[Any, Any]:
    """Apply restore steps to an ONNX array; the result equals the source tensor bit for bit."""
    for name, *args in steps:
        if name == "slice":
            axis, start, stop = args
            array = array[(slice(None),) * axis + (slice(start, stop),)]
        elif name == "reshape":
            array = array.reshape(args[0])
        elif name == "transpose":
            array = array.transpose(args[0])
        elif name == "blocks":
            axis, order = args
            parts = np.split(array, len(order), axis=axis)
            array = np.concatenate([parts[i] for i in order], axis=axis)
        elif name == "reverse":
            array = np.flip(array, axis=args[0])
        else:
            raise ValueError(f"unknown restore step {name!r}")
    return array


def write_model(model: onnx.ModelProto, origin: Origin, notes: Sequence[str]) -> None:
    """Record the origin and the notes in the model itself."""
    _set(model.metadata_props, "origin", json.dumps(asdict(origin)))
    _set(model.metadata_props, "notes", json.dumps(list(notes)))


def read_origin(model: onnx.ModelProto) -> Origin | None:
    """The recorded origin, or None for a file that did not come from here."""
    record = _json(model.metadata_props, "origin")
    if not isinstance(record, dict):
        return None
    known = Origin.__dataclass_fields__
    return Origin(**{"format": "onnx"} | {k: str(v) for k, v in record.items() if k in known})


def read_notes(model: onnx.ModelProto) -> tuple[str, ...]:
    """The recorded notes; empty for a file that did not come from here."""
    record = _json(model.metadata_props, "notes")
    return tuple(map(str, record)) if isinstance(record, list) else ()


def describe_node(
    node: onnx.NodeProto, scope: str, source_class: str = "", config: Mapping[str, Any] | None = None
) -> None:
    """Record on a node which layer of the source it belongs to."""
    _set(node.metadata_props, "scope", scope)
    if source_class:
        _set(node.metadata_props, "class", source_class)
    if config is not None:
        _set(node.metadata_props, "config", json.dumps(config, sort_keys=True, default=str))


def node_scope(node: onnx.NodeProto) -> str:
    """The `/`-separated path of the source layer, or an empty string."""
    return _get(node.metadata_props, "scope")


def node_class(node: onnx.NodeProto) -> str:
    """The class of the source layer, or an empty string."""
    return _get(node.metadata_props, "class")


def node_config(node: onnx.NodeProto) -> dict[str, Any]:
    """The recorded configuration of an opaque layer."""
    record = _json(node.metadata_props, "config")
    return record if isinstance(record, dict) else {}


def write_sources(tensor: onnx.TensorProto, sources: Sequence[Source]) -> None:
    """Record which source tensors an initializer holds."""
    _set(tensor.metadata_props, "sources", json.dumps([asdict(s) for s in sources]))


def read_sources(tensor: onnx.TensorProto) -> list[Source]:
    """The source tensors of an initializer; without a record, itself under its own name."""
    record = _json(tensor.metadata_props, "sources")
    if not isinstance(record, list):
        return [Source(tensor.name)]
    return [
        Source(str(row["name"]), row.get("restore", []))
        for row in record
        if isinstance(row, dict) and "name" in row
    ]


def _set(props: Any, key: str, value: str) -> None:
    for entry in props:
        if entry.key == _PREFIX + key:
            entry.value = value
            return
    props.add(key=_PREFIX + key, value=value)


def _get(props: Any, key: str) -> str:
    return next((entry.value for entry in props if entry.key == _PREFIX + key), "")


def _json(props: Any, key: str) -> Any:
    text = _get(props, key)
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
