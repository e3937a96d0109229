"""What does a Keras configuration say? Both eras are read into one form; nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from converters.errors import BadFile

__all__ = ["LayerSpec", "ModelSpec", "NodeSpec", "Policy", "Ref", "Unreadable", "parse_layer", "parse_model"]

MAX_DEPTH = 100
"""Nesting of a configuration; real models stay below ten."""


@dataclass(frozen=True)
class Ref:
    """Output `tensor` of call `node` of a layer."""

    layer: str
    node: int
    tensor: int
    shape: tuple[int | None, ...] | None = field(default=None, compare=False)
    dtype: str = field(default="float32", compare=False)


@dataclass(frozen=True)
class Unreadable:
    """An argument that is code or of an unknown kind: shown, never run."""

    what: str


@dataclass(frozen=True)
class NodeSpec:
    """One call of a layer: its arguments, tensors as `Ref`."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class Policy:
    """Element types of a layer: of its weights, its computation, and how it is quantised."""

    compute: str = "float32"
    variable: str = "float32"
    quantization: str = ""


@dataclass(frozen=True)
class LayerSpec:
    """A layer, operation or nested model of a configuration."""

    name: str
    class_name: str
    module: str
    config: Mapping[str, Any]
    nodes: tuple[NodeSpec, ...] = ()
    build: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_operation(self) -> bool:
        """Whether this is a `keras.ops` call rather than a layer: it has no weights and no counter."""
        return self.module.startswith("keras.src.ops") or (
            not self.module and self.class_name not in _SPECIAL and "trainable" not in self.config
            and "layers" not in self.config
        )  # fmt: skip

    @property
    def is_stock(self) -> bool:
        """Whether the class is Keras' own, as far as the file says."""
        return (
            not self.module
            or self.module.split(".")[0] in ("keras", "tf_keras")
            or self.module.startswith("tensorflow.keras")
        )

    @property
    def is_model(self) -> bool:
        """Whether it contains a graph of layers."""
        layers = self.config.get("layers")
        return isinstance(layers, list) and self.class_name not in _HOLDERS

    @property
    def policy(self) -> Policy:
        """Element types from the `dtype` entry."""
        return _policy(self.config.get("dtype"))


@dataclass(frozen=True)
class ModelSpec:
    """A graph of layers; for a Sequential model every layer follows the one before."""

    name: str
    class_name: str
    layers: tuple[LayerSpec, ...]
    sequential: bool
    inputs: Any = None
    outputs: Any = None
    build_shape: tuple[int | None, ...] | None = None


_SPECIAL = frozenset(
    {
        "InputLayer",
        "TFOpLambda",
        "SlicingOpLambda",
        "Lambda",
        "Discretization",
        "Pipeline",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)
"""Layers whose configuration says nothing of training."""

_HOLDERS = frozenset({"Pipeline", "RandomChoice", "RandomApply"})


def parse_model(record: Mapping[str, Any], name: str = "") -> ModelSpec:
    """A model from its serialised form (`class_name` and `config`).

    Raises:
        BadFile: the configuration contradicts itself or is nested absurdly deep.
    """
    _check_depth(record)
    class_name = str(record.get("class_name", "Model"))
    config: Any = record.get("config", {})
    if isinstance(config, list):
        config = {"layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise BadFile(
            f"model {name or class_name!r}: the configuration lists no layers (it was a subclassed model, "
            "whose graph is Python code). Its weights can be opened from the `.weights.h5` file inside."
        )
    sequential = "input_layers" not in config
    layers = tuple(parse_layer(row) for row in config["layers"])
    shape = config.get("build_input_shape") or (record.get("build_config") or {}).get("input_shape")
    return ModelSpec(
        str(config.get("name") or name or class_name.lower()),
        class_name,
        layers,
        sequential,
        _structure(config.get("input_layers")),
        _structure(config.get("output_layers")),
        tuple(shape)
        if isinstance(shape, list) and all(d is None or isinstance(d, int) for d in shape)
        else None,
    )


def parse_layer(row: Any) -> LayerSpec:
    """A layer from its serialised form."""
    if not isinstance(row, dict) or not isinstance(row.get("class_name"), str):
        raise BadFile(f"the configuration holds something that is no layer: {str(row)[:80]!r}")
    config: Any = row.get("config")
    if isinstance(config, list):
        config = {"layers": config}
    config = config if isinstance(config, dict) else {}
    name = row.get("name") or config.get("name") or row["class_name"].lower()
    nodes = row.get("inbound_nodes") or []
    build = row.get("build_config")
    return LayerSpec(
        str(name),
        row["class_name"],
        str(row.get("module") or ""),
        config,
        tuple(_node(n) for n in nodes if n),
        build if isinstance(build, dict) else {},
    )


def _node(node: Any) -> NodeSpec:
    if isinstance(node, dict):
        args = decode(node.get("args", []))
        return NodeSpec(tuple(args) if isinstance(args, list) else (args,), decode(node.get("kwargs") or {}))
    return _old_node(node)


def _old_node(node: Any) -> NodeSpec:
    """Keras 2: `[[layer, node, tensor, kwargs], …]`, or that row alone for a functional call."""
    alone = bool(node) and isinstance(node[0], str)
    rows: list[Any] = [node] if alone else list(node)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for row in rows:
        if not isinstance(row, list) or len(row) < 3:
            raise BadFile(f"the configuration holds a malformed inbound node: {str(row)[:80]!r}")
        args.append(row[2] if row[0] == "_CONSTANT_VALUE" else _ref(row))
        if len(row) > 3 and isinstance(row[3], dict):
            kwargs |= {str(k): _structure(v) for k, v in row[3].items()}
    if alone or len(args) == 1:
        return NodeSpec(tuple(args), kwargs)
    return NodeSpec((args,), kwargs)


def _is_ref(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) in (3, 4)
        and isinstance(item[0], str)
        and all(isinstance(i, int) and not isinstance(i, bool) for i in item[1:3])
    )


def _ref(item: Sequence[Any]) -> Ref:
    try:
        return Ref(str(item[0]), int(item[1]), int(item[2]))
    except (TypeError, ValueError, IndexError):
        raise BadFile(f"the configuration holds a malformed tensor reference: {str(item)[:80]!r}") from None


def _structure(item: Any) -> Any:
    if _is_ref(item):
        return _ref(item)
    if isinstance(item, list):
        return [_structure(i) for i in item]
    if isinstance(item, dict):
        return decode(item) if "class_name" in item else {str(k): _structure(v) for k, v in item.items()}
    return item


def decode(item: Any) -> Any:
    """A serialised call argument: tensors become `Ref`, constants arrays, code `Unreadable`."""
    if isinstance(item, list):
        return [decode(i) for i in item]
    if not isinstance(item, dict):
        return item
    kind, config = item.get("class_name"), item.get("config")
    if kind is None:
        return {str(k): decode(v) for k, v in item.items()}
    if kind == "__keras_tensor__" and isinstance(config, dict):
        ref, shape = _ref(config.get("keras_history") or []), config.get("shape")
        if not isinstance(shape, list) or not all(d is None or isinstance(d, int) for d in shape):
            return ref
        return replace(ref, shape=tuple(shape), dtype=str(config.get("dtype", "float32")))
    if kind == "__tuple__":
        return tuple(decode(i) for i in item.get("items", config or []))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__slice__" and isinstance(config, dict):
        return slice(*(decode(config.get(k)) for k in ("start", "stop", "step")))
    if kind in ("__tensor__", "__numpy__") and isinstance(config, dict):
        return _array(config)
    return Unreadable(str(kind))


def _array(config: Mapping[str, Any]) -> Any:
    try:
        return np.array(config.get("value"), dtype=str(config.get("dtype", "float32")))
    except (TypeError, ValueError) as cause:
        raise BadFile(f"the configuration holds a malformed constant: {cause}") from None


def _policy(dtype: Any) -> Policy:
    if isinstance(dtype, dict):
        config: Any = dtype.get("config") or {}
        if dtype.get("class_name") == "QuantizedDTypePolicy" or "mode" in config:
            source = _policy(config.get("source_name") or "float32")
            return Policy(source.compute, source.variable, str(config.get("mode", "")))
        dtype = config.get("name", "float32") if isinstance(config, dict) else "float32"
    name = str(dtype or "float32")
    if "_from_" in name:
        mode, _, source = name.partition("_from_")
        inner = _policy(source)
        return Policy(inner.compute, inner.variable, mode)
    if name.startswith("mixed_"):
        return Policy(name.removeprefix("mixed_"), "float32")
    return Policy(name, name)


def _check_depth(record: Any) -> None:
    level: list[Any] = [record]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise BadFile(f"the configuration is nested more than {MAX_DEPTH} levels deep.")


def _children(item: Any) -> Sequence[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else ()
