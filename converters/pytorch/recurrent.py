"""Gather the slices cut from recurrent weights into one initializer an input, with a way back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript import optimizer

from converters.provenance import Source, Step, restore

__all__ = ["pack_recurrent"]

_RESTORED_GATES = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}
"""Where torch's gates (i f g o; r z n) lie among ONNX's (i o f c; z r h)."""
_MOVES = frozenset(
    {"Slice", "Concat", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Identity", "Constant"}
)
_NO_LIMIT = 1 << 62


def pack_recurrent(model: ir.Model, weights: Collection[str]) -> dict[str, list[Source]]:
    """Fold the data movement in front of LSTM, GRU and RNN weights; returns what each new initializer holds.

    Nothing is recorded, and nothing folded, where the source tensors could not be restored bit for bit.
    """
    nodes = [node for node in model.graph.all_nodes() if node.op_type in _RESTORED_GATES]
    plans: dict[str, tuple[str, bool, list[ir.Value]]] = {}
    foldable: set[ir.Node] = set()
    for node in nodes:
        for index in (1, 2, 3):
            value = node.inputs[index] if index < len(node.inputs) else None
            if value is None or value.producer() is None:
                continue
            chain = list(_chain(value))
            roots = _roots(chain, weights)
            if roots and all(_only_read_by(root, chain) for root in roots):
                assert value.name is not None
                plans[value.name] = (node.op_type, index == 3, roots)
                foldable.update(chain)
    if not plans:
        return {}
    originals = {root.name: _array(root) for _, _, roots in plans.values() for root in roots}
    optimizer.fold_constants(model, should_fold=lambda node: node in foldable, output_size_limit=_NO_LIMIT)
    optimizer.remove_unused_nodes(model)
    return _record(model, plans, originals)


def _record(
    model: ir.Model, plans: dict[str, tuple[str, bool, list[ir.Value]]], originals: dict[Any, Any]
) -> dict[str, list[Source]]:
    packed: dict[str, list[Source]] = {}
    for name, (kind, bias, roots) in plans.items():
        value = model.graph.initializers.get(name)
        if value is None:
            continue
        whole = _array(value)
        rows = [Source(str(root.name), steps) for root, steps in _steps(kind, bias, roots, whole, originals)]
        if all(np.array_equal(restore(whole, row.restore), originals[row.name]) for row in rows):
            value.name = f"{rows[0].name}.packed"
            packed[value.name] = rows
    return packed


def _steps(
    kind: str, bias: bool, roots: list[ir.Value], whole: np.ndarray[Any, Any], originals: dict[Any, Any]
) -> Iterator[tuple[ir.Value, list[Step]]]:
    """Steps from the ONNX array (directions, gates × hidden, …) to each torch tensor, by direction."""
    halves = 2 if bias else 1
    for place, root in enumerate(roots):
        direction, half = divmod(place, halves)
        shape = list(originals[root.name].shape)
        steps: list[Step] = [["slice", 0, direction, direction + 1]]
        if bias:
            steps.append(["slice", 1, half * shape[0], (half + 1) * shape[0]])
        steps += [["reshape", shape], ["blocks", 0, _RESTORED_GATES[kind]]]
        yield root, steps if kind != "RNN" else steps[:-1]


def _chain(value: ir.Value) -> Iterator[ir.Node]:
    """The nodes that only move data in front of a value."""
    producer = value.producer()
    if producer is None or producer.op_type not in _MOVES:
        return
    yield producer
    for source in producer.inputs:
        if source is not None:
            yield from _chain(source)


def _roots(chain: list[ir.Node], weights: Collection[str]) -> list[ir.Value]:
    """The weights that a chain reads, in order; empty where it reads anything that is not constant."""
    found: dict[str, ir.Value] = {}
    inside = set(chain)
    for node in chain:
        for value in node.inputs:
            if value is None or value.producer() in inside:
                continue
            if value.name in weights:
                found.setdefault(str(value.name), value)
            elif value.const_value is None:
                return []
    return list(found.values())


def _only_read_by(root: ir.Value, chain: list[ir.Node]) -> bool:
    return {use.node for use in root.uses()} <= set(chain)


def _array(value: ir.Value) -> np.ndarray[Any, Any]:
    assert value.const_value is not None
    return value.const_value.numpy()
