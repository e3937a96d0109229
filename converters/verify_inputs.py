"""Which random inputs does a graph accept? Sizes for dynamic axes, indices inside their tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from converters.errors import MissingOption

__all__ = ["random_inputs"]

_BATCH = (2, 3, 2)
_LENGTHS = {1: (12, 17, 12), 2: (64, 96, 64), 3: (16, 24, 16)}
"""Sizes of dynamic axes behind the first, by how many an input has; the second sample uses another one."""


def random_inputs(model: onnx.ModelProto, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """One array for each true input of the graph, by name.

    Raises:
        MissingOption: an input is no tensor or its rank is unknown.
    """
    generator = np.random.default_rng(seed)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    sizes: dict[str, int] = {}
    found: dict[str, np.ndarray[Any, Any]] = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
            raise MissingOption(f"input {value.name!r} is no tensor of known rank.")
        shape = _shape(tensor.shape, seed, sizes)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        found[value.name] = _values(generator, shape, dtype, _table(model.graph, value.name, constants))
    return found


def _shape(shape: onnx.TensorShapeProto, seed: int, sizes: dict[str, int]) -> list[int]:
    free = sum(not dim.HasField("dim_value") for dim in list(shape.dim)[1:])
    lengths = _LENGTHS.get(free, _LENGTHS[1])
    result: list[int] = []
    for axis, dim in enumerate(shape.dim):
        if dim.HasField("dim_value"):
            result.append(dim.dim_value)
            continue
        name = dim.dim_param or f"axis {axis}"
        size = (_BATCH if axis == 0 else lengths)[seed % len(_BATCH)]
        result.append(sizes.setdefault(name, size))
    return result


def _values(
    generator: np.random.Generator, shape: list[int], dtype: np.dtype[Any], table: int
) -> np.ndarray[Any, Any]:
    if dtype == np.bool_:
        return generator.integers(0, 2, shape).astype(np.bool_)
    if np.issubdtype(dtype, np.integer):
        return generator.integers(0, table, shape).astype(dtype)
    return generator.standard_normal(shape).astype(dtype)


def _table(graph: onnx.GraphProto, name: str, constants: Mapping[str, onnx.TensorProto]) -> int:
    """How many rows the smallest table has that the input indexes; 2 where it indexes none."""
    rows = [
        constants[node.input[0]].dims[0]
        for node in graph.node
        if node.op_type == "Gather" and node.input[1] == name and node.input[0] in constants
    ]
    return min(rows, default=2)
