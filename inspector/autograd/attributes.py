"""Which keyword arguments does a node give its operator? The only place that reads attribute defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from inspector.autograd import narrow

__all__ = ["collect", "read", "resolve", "schema_of"]

Loader = Callable[[TensorProto], np.ndarray[Any, Any]]

LEGACY = frozenset({"consumed_inputs"})
"""Attributes of opset 1 that never changed a result."""


def schema_of(op_type: str, domain: str, opset: int) -> onnx.defs.OpSchema | None:
    """The operator's schema at this opset, or None where onnx knows none."""
    try:
        return onnx.defs.get_schema(op_type, opset, "" if domain == "ai.onnx" else domain)
    except onnx.defs.SchemaError:
        return None


def resolve(
    attributes: Iterable[AttributeProto], references: Mapping[str, AttributeProto]
) -> dict[str, AttributeProto]:
    """Attributes by name, those of a function body replaced by what its caller passed (or left out)."""
    resolved: dict[str, AttributeProto] = {}
    for attribute in attributes:
        if not attribute.ref_attr_name:
            resolved[attribute.name] = attribute
        elif attribute.ref_attr_name in references:
            resolved[attribute.name] = references[attribute.ref_attr_name]
    return resolved


def collect(
    given: Mapping[str, AttributeProto], schema: onnx.defs.OpSchema | None, load: Loader
) -> dict[str, Any]:
    """Every attribute of the node as a Python value; schema defaults filled in, None where there is none."""
    values: dict[str, Any] = {}
    if schema is not None:
        for name, declared in schema.attributes.items():
            default = declared.default_value
            values[name] = read(default, load) if default.type else None
    values.update({name: read(attribute, load) for name, attribute in given.items()})
    return {name: value for name, value in values.items() if name not in LEGACY}


def read(attribute: AttributeProto, load: Loader) -> Any:
    """An attribute as a Python value: str for bytes, lists for repeated ones, our values for tensors."""
    value: Any = onnx.helper.get_attribute_value(attribute)
    kind = attribute.type
    if kind == AttributeProto.STRING:
        return _text(value)
    if kind == AttributeProto.STRINGS:
        return [_text(item) for item in value]
    if kind == AttributeProto.TENSOR:
        return narrow.to_value(np.array(load(value)))
    if kind == AttributeProto.TENSORS:
        return [narrow.to_value(np.array(load(item))) for item in value]
    if kind == AttributeProto.SPARSE_TENSOR:
        return narrow.to_value(_dense(value))
    if kind in (AttributeProto.INTS, AttributeProto.FLOATS):
        return list(value)
    return value


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def _dense(sparse: onnx.SparseTensorProto) -> np.ndarray[Any, Any]:
    values = numpy_helper.to_array(sparse.values)
    indices = numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense
