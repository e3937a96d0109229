"""Remove the constant arithmetic that exporters leave behind, without touching a single weight."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import onnx_ir as ir
from onnx_ir.passes import common as passes
from onnxscript import optimizer

from converters.weight_file import INLINE_BYTES

__all__ = ["tidy"]

_ROUNDS = 3


def tidy(model: ir.Model, weights: Collection[str]) -> None:
    """Inline functions, fold constants and drop what nothing reads, in place.

    A node that reads one of `weights` is never folded, so no weight changes, merges or is renamed;
    weights that end up unread are dropped here and brought back by `fidelity.account`.
    """
    names = frozenset(weights)

    def should_fold(node: ir.Node) -> bool | None:
        reads_weight = any(value is not None and value.name in names for value in node.inputs)
        return False if reads_weight else None

    optimizer.inline(model)
    _forget_shapes_behind_recurrence(model)
    for _ in range(_ROUNDS):
        before = sum(1 for _ in model.graph)
        _fold_partial_shapes(model)
        optimizer.fold_constants(model, should_fold=should_fold)
        passes.CommonSubexpressionEliminationPass(size_limit=0)(model)
        optimizer.remove_unused_nodes(model)
        if sum(1 for _ in model.graph) == before:
            break
    passes.LiftConstantsToInitializersPass(lift_all_constants=False, size_limit=INLINE_BYTES // 4)(model)


def _forget_shapes_behind_recurrence(model: ir.Model) -> None:
    """Drop recorded shapes of everything an LSTM, GRU or RNN feeds.

    The exporter writes the example's sequence length there although the axis is dynamic; folding on it
    would fix the length for good.
    """
    behind: set[ir.Value] = set()
    for node in model.graph.all_nodes():
        if node.op_type in _RECURRENT or any(value in behind for value in node.inputs):
            behind.update(node.outputs)
    for value in behind:
        if not value.is_graph_output():
            value.shape = None
        elif value.shape is not None:
            value.shape = ir.Shape([None if isinstance(size, int) else size for size in value.shape])


_RECURRENT = frozenset({"LSTM", "GRU", "RNN", "Scan", "Loop"})


def _fold_partial_shapes(model: ir.Model) -> None:
    """Turn a `Shape` that reads only static axes into a constant."""
    for node in list(model.graph.all_nodes()):
        if node.op_type != "Shape" or node.domain not in ("", "ai.onnx") or node.inputs[0] is None:
            continue
        shape = node.inputs[0].shape
        if shape is None:
            continue
        start = cast(int, node.attributes["start"].value) if "start" in node.attributes else 0
        end = cast(int, node.attributes["end"].value) if "end" in node.attributes else len(shape)
        sizes = list(shape)[start:end]
        if not all(isinstance(size, int) for size in sizes):
            continue
        tensor = ir.tensor([int(cast(int, size)) for size in sizes], dtype=ir.DataType.INT64)
        constant = ir.node("Constant", [], {"value": tensor}, name=node.name)
        constant.metadata_props.update(node.metadata_props)
        ir.convenience.replace_nodes_and_values(
            cast(ir.Graph, node.graph), node, [node], [constant], node.outputs, constant.outputs
        )
