"""What stands in the graph for a layer nobody can translate? A node in the domain `keras`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from converters.keras_translation.builder import OPAQUE_DOMAIN
from converters.keras_translation.call import Call, flatten
from converters.keras_translation.config import Unreadable
from converters.keras_translation.tensor import Dim, Tensor, Value, element_type
from converters.provenance import describe_node

__all__ = ["Declared", "opaque_layer"]

Declared = Sequence[tuple[Sequence[Dim], str]]

_LONGEST = 2000
"""Characters of one configuration string that are shown; marshalled bytecode is longer and says nothing."""


def opaque_layer(call: Call, reason: str, declared: Declared) -> Any:
    """A node that is drawn and listed, not executed: all its tensors and weights go in."""
    tensors = flatten([call.args, dict(call.kwargs)])
    weights = [call.g.weight(f"{call.path}/{name}", variable) for name, variable in call.branch.everything()]
    inputs = [call.plain(t) for t in tensors if t.value.shape is not None or not t.moved]
    kind = re.sub(r"\W", "_", call.spec.class_name) or "Layer"
    outputs = call.g.ops(kind, *inputs, *weights, outputs=max(len(declared), 1), domain=OPAQUE_DOMAIN)
    node = call.g.nodes[-1]
    describe_node(node, call.path, call.g.source_class, _shown(call.config))
    assumed = "" if declared or not tensors else " Its output is assumed to have the shape of its input."
    call.g.notes.append(
        f"Layer {call.path!r} ({call.spec.class_name}) is shown but cannot run: "
        f"{reason.rstrip('.')}.{assumed}"
    )
    made = [Tensor(v) for v in _typed(outputs, declared, tensors)]
    return made[0] if len(made) == 1 else made


def _typed(values: Sequence[Value], declared: Declared, tensors: Sequence[Tensor]) -> list[Value]:
    if not declared:
        first = tensors[0] if tensors else None
        if first is None or first.value.shape is None:
            return list(values)
        return [Value(v.name, first.value.type, first.shape) for v in values]
    batch = next((t.shape[0] for t in tensors if t.value.shape), "batch")
    return [
        Value(v.name, _type(dtype), tuple(batch if i == 0 and d is None else d for i, d in enumerate(shape)))
        for v, (shape, dtype) in zip(values, declared, strict=True)
    ]


def _type(dtype: str) -> int:
    try:
        return element_type(dtype)
    except KeyError:
        return element_type("float32")


def _shown(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _short(v) for k, v in config.items()}


def _short(item: Any) -> Any:
    if isinstance(item, str) and len(item) > _LONGEST:
        return f"{item[:60]}… ({len(item)} characters)"
    if isinstance(item, dict):
        return {k: _short(v) for k, v in item.items()}
    if isinstance(item, list):
        return [_short(i) for i in item]
    return item.what if isinstance(item, Unreadable) else item
