"""Which values are the elements of another under another shape? They need no output of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx

from inspector.model import Value

__all__ = ["Reshaped", "reshaped"]

KEEPING = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"))
"""Operators whose result has the elements of the first input in the same order.

A run that nobody looks into gives their result the memory of the input; as an output it would be copied.
"""


@dataclass(frozen=True)
class Reshaped:
    """A value that is `source` in `shape`."""

    source: str
    shape: tuple[int, ...]


def reshaped(graph: onnx.GraphProto, keys: Iterable[str], values: Mapping[str, Value]) -> dict[str, Reshaped]:
    """The keyed values of fixed shape that nodes at the top of the graph make from another keyed one.

    The graph must be in order. `source` is never such a value itself.
    """
    wanted = set(keys)
    made: set[str] = set()
    found: dict[str, Reshaped] = {}
    for node in graph.node:
        made.update(node.output)
        if node.op_type not in KEEPING or node.domain not in ("", "ai.onnx"):
            continue
        key, first = node.output[0], node.input[0]
        source = found[first].source if first in found else first
        if key not in wanted or source not in wanted or source not in made:
            continue
        value, held = values.get(key), values.get(source)
        if value is None or held is None or value.size is None or value.size != held.size:
            continue
        found[key] = Reshaped(source, tuple(d for d in value.shape or () if isinstance(d, int)))
    return found
