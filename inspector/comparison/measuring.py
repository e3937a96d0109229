"""How do models compare as architectures? Size, work, depth, view, operators and memory, block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster import hierarchy

from inspector.comparison.aligning import align_graphs
from inspector.comparison.canonical import canonical
from inspector.comparison.receptive import receptive_field
from inspector.graph import Cost, blocks, cost, cost_table
from inspector.graph.costing import Sizes
from inspector.model import Model
from inspector.views.dendrogram import draw_dendrogram
from inspector.views.figure import PNG, Figure, Media

__all__ = ["Architecture", "BlockRow", "Distances", "architecture", "distances", "draw_distances"]

_WEIGHTED = frozenset(
    ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "QLinearConv", "ConvInteger", "Einsum")
)


_FEW = 6
"""With fewer outermost blocks, the blocks inside them are listed."""


@dataclass(frozen=True)
class BlockRow:
    """One block: what it is, and what it costs; None where open sizes hide a figure."""

    label: str
    repeat: int
    operators: tuple[str, ...]
    output: str
    parameters: int
    macs: int | None
    activations: int | None


@dataclass(frozen=True)
class Architecture:
    """A model in figures, for one run.

    `depth` counts layers with weights on the longest path, `receptive` is the (height, width) of the input
    that one position of the last feature map sees, None where a layer sees all or there is no window.
    `activations` are the bytes of all values of one run.
    """

    name: str
    parameters: int
    macs: int | None
    depth: int
    receptive: tuple[int, ...] | None
    nodes: int
    operators: Mapping[str, int]
    activations: int | None
    blocks: tuple[BlockRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON-able data."""
        return {
            "name": self.name,
            "parameters": self.parameters,
            "macs": self.macs,
            "depth": self.depth,
            "receptive_field": None if self.receptive is None else list(self.receptive),
            "nodes": self.nodes,
            "operators": dict(self.operators),
            "activation_bytes": self.activations,
            "blocks": [
                {
                    "label": row.label,
                    "repeat": row.repeat,
                    "operators": list(row.operators),
                    "output": row.output,
                    "parameters": row.parameters,
                    "macs": row.macs,
                    "activation_bytes": row.activations,
                }
                for row in self.blocks
            ],
        }


@dataclass(frozen=True)
class Distances:
    """1 - similarity of the matched structures, (n, n), and the merges of average linkage, (n - 1, 4)."""

    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    linkage: npt.NDArray[np.float64]


def architecture(model: Model, sizes: Sizes | None = None) -> Architecture:
    """Measure one model; open sizes are as in `graph.cost`."""
    total = cost(model, sizes)
    counts = Counter(node.op for node in model.nodes.values() if node.op != "Constant")
    return Architecture(
        model.name,
        total.parameters,
        total.macs,
        _depth(model),
        receptive_field(model),
        sum(counts.values()),
        dict(counts.most_common()),
        total.activations,
        tuple(_rows(model, total, sizes)),
    )


def _rows(model: Model, total: Cost, sizes: Sizes | None) -> list[BlockRow]:
    tree = blocks(model)
    rows: list[BlockRow] = []
    found = cost_table(model, 0, sizes=sizes, total=total, tree=tree)
    if len(found) < _FEW:
        found = cost_table(model, 1, sizes=sizes, total=total, tree=tree)
    for row in found:
        if row.open:
            continue
        block = tree.find(row.key)
        keys = block.all_nodes if block is not None and row.kind != "node" else (row.key,)
        bytes_ = [(total.nodes[key].activations, total.nodes[key].times) for key in keys]
        known = [size * times for size, times in bytes_ if size is not None]
        activations = sum(known) if len(known) == len(bytes_) else None
        rows.append(
            BlockRow(row.label, row.repeat, row.operators, row.output, row.parameters, row.macs, activations)
        )
    return rows


def _depth(model: Model) -> int:
    """Layers with weights on the longest path from an input; a body counts with the node that owns it."""
    depth: dict[str, int] = {}
    for node in model.nodes.values():
        above = max((depth.get(key, 0) for key in node.inputs if key), default=0)
        layer = node.op in _WEIGHTED and any(model.weight_behind(key) is not None for key in node.inputs[1:])
        for key in node.outputs:
            depth[key] = above + layer
    return max(depth.values(), default=0)


def distances(models: Sequence[Model]) -> Distances:
    """Match every pair of models and cluster them."""
    graphs = [canonical(model) for model in models]
    values = np.zeros((len(graphs), len(graphs)))
    for i, one in enumerate(graphs):
        for j in range(i):
            values[i, j] = values[j, i] = 1 - align_graphs(one, graphs[j]).similarity
    condensed = values[np.triu_indices(len(graphs), 1)]
    linkage = hierarchy.linkage(condensed, "average") if len(graphs) > 1 else np.zeros((0, 4))
    return Distances(tuple(model.name for model in models), values, np.asarray(linkage, np.float64))


def draw_distances(found: Distances, *, media: Media = PNG) -> Figure:
    """The dendrogram."""
    return draw_dendrogram(
        found.linkage,
        found.names,
        title="Which models are built alike?",
        note="Average linkage of 1 - similarity of the matched structures.",
        media=media,
    )
