"""Is one change to a generated model told as what it is? Truth by node, expected kinds of edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from generator import build, program
from onnx import helper, numpy_helper
from truth import Score

from inspector.comparison.aligning import align
from inspector.comparison.edits import edits
from inspector.comparison.weight_pairs import compare_weights
from inspector.model import open_model

__all__ = ["CHANGES", "Told", "told"]

Names = dict[str, str]
"""Node names of A by those of B, where they were changed."""


def _same(proto: onnx.ModelProto, seed: int) -> Names:
    return {}


def _renamed(proto: onnx.ModelProto, seed: int) -> Names:
    values = {info.name: info.name for info in proto.graph.input}
    found: Names = {}
    for tensor in proto.graph.initializer:
        tensor.name = values.setdefault(tensor.name, f"w{len(values)}")
    for i, node in enumerate(proto.graph.node):
        found[f"n{i}"] = node.name
        node.name = f"n{i}"
        node.input[:] = [values[name] for name in node.input]
        node.output[:] = [values.setdefault(name, f"v{len(values)}") for name in node.output]
    for output in proto.graph.output:
        output.name = values[output.name]
    return found


def _tuned(proto: onnx.ModelProto, seed: int) -> Names:
    draw = np.random.default_rng(seed)
    for tensor in _floats(proto):
        array = numpy_helper.to_array(tensor)
        noise = 0.05 * array.std() * draw.standard_normal(array.shape)
        tensor.CopyFrom(numpy_helper.from_array((array + noise).astype(np.float32), tensor.name))
    return {}


def _perturbed(proto: onnx.ModelProto, seed: int) -> Names:
    kernels = [tensor for tensor in _floats(proto) if len(tensor.dims) > 1]
    tensor = kernels[seed % len(kernels)]
    array = numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[seed % array.size] += 0.5
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return {}


def _other_head(proto: onnx.ModelProto, seed: int) -> Names:
    draw = np.random.default_rng(seed)
    for tensor in proto.graph.initializer:
        if tensor.name.startswith("head/dense"):
            shape = (*tensor.dims[:-1], 7)
            tensor.CopyFrom(
                numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), tensor.name)
            )
    return {}


def _stride(proto: onnx.ModelProto, seed: int) -> Names:
    for node in proto.graph.node:
        if node.name in ("stage0/enter", "stage1/enter") and node.op_type == "Conv":
            node.attribute.append(helper.make_attribute("strides", [2, 2]))
    return {}


def _floats(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [t for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]


@dataclass(frozen=True)
class _Change:
    """How a model is changed, the kinds of edit to be told, and which models it makes sense for."""

    make: Callable[[onnx.ModelProto, int], Names]
    kinds: frozenset[str]
    weights: int | None
    """How many weights are to be told as changed; None: all that are floats."""
    convolutional: bool = False


CHANGES = {
    "nothing": _Change(_same, frozenset(), 0),
    "everything renamed": _Change(_renamed, frozenset(), 0),
    "fine-tuned": _Change(_tuned, frozenset(), None),
    "one weight perturbed": _Change(_perturbed, frozenset(), 1),
    "head replaced": _Change(_other_head, frozenset({"width"}), 2),
    "stride": _Change(_stride, frozenset({"attribute"}), 0, convolutional=True),
}


@dataclass(frozen=True)
class Told:
    """Scores of pairs, of the kinds of edit and of the weights that changed."""

    pairs: Score
    edits: Score
    weights: Score


def told(seeds: range, change: str) -> Told:
    """The sums over generated models, node order shuffled on one side."""
    how = CHANGES[change]
    pairs = kinds = weights = Score()
    for seed in seeds:
        blocks = program(seed)
        if how.convolutional and blocks[0].kind in ("attention", "mlp"):
            continue
        a, b = build(blocks, seed), build(blocks, seed + 2)
        names = how.make(b, seed)
        found = align(open_model(a), open_model(b))
        right = sum(pair.a.key == names.get(pair.b.key, pair.b.key) for pair in found.pairs)
        pairs += Score(right, len(found.pairs), len(found.a.atoms))
        said = {edit.kind for edit in edits(found)}
        kinds += Score(len(said & how.kinds), len(said), len(how.kinds))
        changes = [c for group in compare_weights(found).values() for c in group]
        moved = sum(c.state not in ("equal", "folded") for c in changes)
        true = len(changes) if how.weights is None else how.weights
        weights += Score(min(moved, true), moved, true)
    return Told(pairs, kinds, weights)
