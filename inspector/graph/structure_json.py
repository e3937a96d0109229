"""How does a view read for programs? One JSON document of nodes, edges, blocks and portals."""

from __future__ import annotations

import json
from typing import Any

from inspector.graph.collapsing import Box, View
from inspector.graph.costing import Cost
from inspector.graph.families import family
from inspector.graph.hierarchy import Block
from inspector.model import Model

__all__ = ["to_json"]


def to_json(model: Model, view: View, total: Cost) -> bytes:
    """`{"format", "name", "opsets", "parameters", "macs", "nodes", "edges", "blocks", "portals", "hidden"}`.

    A node row has `id`, `kind` ("node", "block", "input", "output"), `key`, `parent` (id of the open block
    around it, "" at top level), `parameters`, `macs`; a "node" also `op`, `domain`, `family`; a "block"
    `label`, `class`, `repeat`, `nodes` (keys inside). An edge row has `source`, `target` (ids) and `values`
    (`key`, `dtype`, `shape`, `bytes`). A block row (an open block) has `id`, `key`, `label`, `parent`,
    `class`, `repeat`. A portal row has `value`, `source`, `targets`. `hidden` lists nodes that only prepare
    constants.
    """
    record = {
        "format": "inspector.graph/1",
        "name": model.name,
        "opsets": {domain or "ai.onnx": version for domain, version in model.opsets.items()},
        "parameters": total.parameters,
        "macs": total.macs,
        "nodes": [_box(model, box, total) for box in view.boxes],
        "edges": [
            {"source": e.source, "target": e.target, "values": [_value(model, key) for key in e.values]}
            for e in view.edges
        ],
        "blocks": [{"id": f.id, "parent": f.parent, **_block(f.block)} for f in view.frames],
        "portals": [{"value": p.value, "source": p.source, "targets": list(p.targets)} for p in view.portals],
        "hidden": sorted(view.hidden),
    }
    return json.dumps(record, ensure_ascii=False, indent=1).encode("utf-8", errors="replace")


def _box(model: Model, box: Box, total: Cost) -> dict[str, Any]:
    row: dict[str, Any] = {"id": box.id, "kind": box.kind, "key": box.key, "parent": box.frame}
    keys: tuple[str, ...] = ()
    if box.kind == "node":
        node = model.nodes[box.key]
        row |= {"op": node.op, "domain": node.domain, "family": family(node.op, node.domain).name}
        keys = (box.key,)
    elif box.block is not None:
        keys = box.block.all_nodes
        row |= _block(box.block) | {"nodes": list(keys)}
    else:
        row |= _value(model, box.key)
    if keys:
        costs = [total.nodes[key] for key in keys]
        known = all(c.macs is not None for c in costs)
        row["parameters"] = sum(c.parameters for c in costs)
        row["macs"] = sum((c.macs or 0) * c.times for c in costs) if known else None
    return row


def _block(block: Block) -> dict[str, Any]:
    return {"key": block.key, "label": block.label, "class": block.source_class, "repeat": block.repeat}


def _value(model: Model, key: str) -> dict[str, Any]:
    value = model.values.get(key)
    if value is None:
        return {"key": key, "dtype": "", "shape": None, "bytes": None}
    return {"key": key, "dtype": value.dtype, "shape": value.shape, "bytes": value.nbytes}
