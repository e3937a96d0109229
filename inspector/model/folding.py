"""Which shapes follow from shape arithmetic? It is evaluated with ONNX's reference until nothing is new."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from inspector.model.walk import bodies, constants

__all__ = ["folded"]

_ROUNDS = 8
"""Each round lets shapes flow one step further behind a Reshape, Resize or Slice with computed sizes."""

_LARGEST = 1024
"""Elements of a tensor that can be shape arithmetic."""

_ARITHMETIC = frozenset(
    {
        *(
            "Abs",
            "Add",
            "And",
            "Cast",
            "Ceil",
            "Concat",
            "ConstantOfShape",
            "Div",
            "Equal",
            "Expand",
            "Floor",
        ),
        *("Gather", "Greater", "Identity", "Less", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Range"),
        *("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Round", "Slice", "Split", "Sqrt"),
        *("Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
    }
)
_REFUSED = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AttributeError, KeyError)
"""What the reference raises for a node it cannot evaluate; its value then stays unknown."""

Known = dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]


def folded(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The inferred graph with more shapes: for types only, its shape arithmetic is cut off.

    Every node keeps its place, so that keys are those of the graph given; evaluated values become
    initializers.
    """
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    opsets = {o.domain: o.version for o in proto.opset_import}
    for _ in range(_ROUNDS):
        if not _fold(inferred.graph, {}, {}, opsets):
            return inferred
        inferred = onnx.shape_inference.infer_shapes(inferred, data_prop=True)
    return inferred


def _fold(
    graph: onnx.GraphProto, outer: Known, outer_shapes: Mapping[str, list[int]], opsets: dict[str, int]
) -> int:
    """Evaluate what can be; the number of values that became known."""
    shapes = {**outer_shapes, **_shapes(graph)}
    known = {**outer, **_stored(graph)}
    before = len(graph.initializer)
    for number, node in enumerate(graph.node):
        results = _evaluate(node, known, shapes, opsets)
        if results is None:
            continue
        for position, (name, array) in enumerate(zip(node.output, results, strict=False)):
            if name:
                known[name] = array
                graph.initializer.append(numpy_helper.from_array(array, name))
                node.output[position] = f"{name} (evaluated {number})"
    found = len(graph.initializer) - before
    for node in graph.node:
        for name, body in bodies(node):
            found += _fold(body, known, shapes, opsets)
            taken = node.op_type == "If" and node.input[0] in known and _runs(name, known[node.input[0]])
            found += _adopt(graph, node, body) if taken else 0
    return found


def _runs(branch: str, condition: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    return (branch == "then_branch") == bool(condition.reshape(-1)[0])


def _adopt(graph: onnx.GraphProto, node: onnx.NodeProto, branch: onnx.GraphProto) -> int:
    """Give the outputs of an `If` the types, or the values, of the branch that is known to run."""
    found, shapes, stored = 0, _shapes(graph), _stored(branch)
    types = {info.name: info.type for info in (*branch.value_info, *branch.input, *branch.output)}
    open_ones = {info.name: info for info in (*graph.value_info, *graph.output)}
    for position, (name, inner) in enumerate(zip(node.output, branch.output, strict=False)):
        if not name or name.endswith(")"):
            continue
        if inner.name in stored:
            graph.initializer.append(numpy_helper.from_array(stored[inner.name], name))
            node.output[position] = f"{name} (evaluated {node.name})"
            found += 1
        elif name not in shapes and inner.name in _shapes(branch) and inner.name in types:
            info = open_ones[name] if name in open_ones else graph.value_info.add(name=name)
            info.type.CopyFrom(types[inner.name])
            found += 1
    return found


def _shapes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for info in (*graph.input, *graph.value_info, *graph.output):
        tensor = info.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            found[info.name] = [d.dim_value for d in tensor.shape.dim]
    found.update((t.name, list(t.dims)) for t in graph.initializer)
    return found


def _stored(graph: onnx.GraphProto) -> Known:
    tensors = [(t.name, t) for t in graph.initializer]
    tensors += [(name, t) for name, _, t in constants(graph.node) if isinstance(t, onnx.TensorProto)]
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in tensors
        if tensor.data_location != onnx.TensorProto.EXTERNAL
        and tensor.data_type != onnx.TensorProto.STRING
        and np.prod(list(tensor.dims), dtype=object) <= _LARGEST
    }


def _evaluate(
    node: onnx.NodeProto, known: Known, shapes: Mapping[str, list[int]], opsets: dict[str, int]
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]] | None:
    if node.domain not in ("", "ai.onnx") or any(
        name.endswith(")") and " (evaluated " in name for name in node.output
    ):
        return None
    if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
        return _shape_of(node, shapes[node.input[0]])
    read = [name for name in node.input if name]
    if node.op_type not in _ARITHMETIC or not read or not all(name in known for name in read):
        return None
    try:
        found = ReferenceEvaluator(node, opsets=opsets).run(None, {name: known[name] for name in read})
    except _REFUSED:
        return None
    arrays = [np.asarray(value) for value in found]
    return arrays if all(a.size <= _LARGEST for a in arrays) else None


def _shape_of(
    node: onnx.NodeProto, shape: list[int]
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    if node.op_type == "Size":
        return [np.asarray(int(np.prod(shape, dtype=object)), np.int64)]
    bounds = {a.name: a.i for a in node.attribute}
    return [np.asarray(shape[bounds.get("start", 0) : bounds.get("end")], np.int64)]
