"""What must the page know to draw a model? Nodes, values, blocks and weights in one compact document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspector import graph
from inspector.graph import Block
from inspector.graph.families import FAMILIES
from inspector.model import Model, Node, format_shape

__all__ = ["document"]

_LONGEST = 160
"""Characters of an attribute's value; longer ones are cut and end in an ellipsis."""

_LONGEST_NAME = 400


def document(model: Model) -> dict[str, Any]:
    """The structure of a model for the page; about 150 bytes a node before compression.

    A value row is `[key, dtype, shape]`, a block row `[key, label, class, parent, repeat]` with the root
    first, a weight row `[key, dtype, shape, bytes]`. A node row has `key`, `op`, `domain`, `family`,
    `block` (row number), `inputs` and `outputs` (value rows), `weights` (weight rows), `parameters`,
    `macs` and `attributes`. Names longer than 400 characters are cut for display.
    """
    costs = graph.cost(model)
    weights = {key: row for row, key in enumerate(model.weights)}
    writer = _Writer(model, weights, costs.nodes)
    block_rows, place = _blocks(graph.blocks(model))
    nodes = [writer.node(node, place.get(node.key, 0)) for node in model.nodes.values()]
    families = {name: vars(row) for name, row in FAMILIES.items()}
    return {
        "format": "inspector.page/1",
        "name": model.name,
        "origin": {
            "format": model.origin.format,
            "framework": model.origin.framework,
            "version": model.origin.version,
        },
        "notes": list(model.notes),
        "opsets": {domain or "ai.onnx": version for domain, version in model.opsets.items()},
        "producer": f"{model.proto.producer_name} {model.proto.producer_version}".strip(),
        "parameters": costs.parameters,
        "macs": costs.macs,
        "obstacles": list(model.obstacles),
        "inputs": [writer.value(value.key) for value in model.inputs],
        "outputs": [writer.value(value.key) for value in model.outputs],
        "families": families,
        "blocks": block_rows,
        "nodes": nodes,
        "weights": [[w.key, w.dtype, list(w.shape), w.nbytes] for w in model.weights.values()],
        "values": writer.rows,
    }


class _Writer:
    """Numbers values in the order in which they are first met."""

    def __init__(self, model: Model, weights: Mapping[str, int], costs: Mapping[str, Any]) -> None:
        self._model, self._weights, self._costs = model, weights, costs
        self._numbers: dict[str, int] = {}
        self.rows: list[list[str]] = []

    def value(self, key: str) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.rows)
            known = self._model.values.get(key)
            shape = format_shape(known.shape) if known is not None else "?"
            self.rows.append([key, known.dtype if known is not None else "", shape])
        return number

    def node(self, node: Node, block: int) -> dict[str, Any]:
        cost = self._costs.get(node.key)
        behind = [self._model.weight_behind(key) if key else None for key in node.inputs]
        return {
            "key": node.key,
            "op": node.op,
            "domain": node.domain,
            "family": graph.family(node.op, node.domain).name,
            "block": block,
            "inputs": [self.value(k) for k, w in zip(node.inputs, behind, strict=True) if k and w is None],
            "outputs": [self.value(key) for key in node.outputs if key],
            "weights": [self._weights[w.key] for w in behind if w is not None],
            "parameters": cost.parameters if cost is not None else 0,
            "macs": cost.macs if cost is not None else None,
            "scope": _cut(node.scope, _LONGEST_NAME),
            "class": _cut(node.source_class, _LONGEST_NAME),
            "attributes": [
                [name, _cut(_written(value), _LONGEST)] for name, value in node.attributes.items()
            ],
        }


def _blocks(root: Block) -> tuple[list[list[Any]], dict[str, int]]:
    rows: list[list[Any]] = []
    place: dict[str, int] = {}
    stack: list[tuple[Block, int]] = [(root, -1)]
    while stack:
        block, parent = stack.pop()
        number = len(rows)
        rows.append([block.key, _cut(block.label, _LONGEST_NAME), block.source_class, parent, block.repeat])
        place |= dict.fromkeys(block.nodes, number)
        stack.extend((child, number) for child in reversed(block.children))
    return rows, place


def _written(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_written(part) for part in value[:32]) + (", …" if len(value) > 32 else "")
    if isinstance(value, bytes):
        return value[:_LONGEST].decode("utf-8", "replace")
    if isinstance(value, (str, int, float, bool)):
        return str(value)
    return f"({type(value).__name__.removesuffix('Proto').lower()})"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
