"""How does a parsed Keras model become a whole ONNX model? Inputs, walk, outputs, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnx import helper

from converters.errors import BadFile, MissingOption
from converters.keras_translation.builder import OPAQUE_DOMAIN, Builder
from converters.keras_translation.call import flatten
from converters.keras_translation.config import LayerSpec, ModelSpec, Ref
from converters.keras_translation.tensor import Dim, Tensor, Value, element_type, first_to_last
from converters.keras_translation.variables import Branch
from converters.keras_translation.walk import run_model
from converters.provenance import Origin, write_model
from converters.registry import Conversion, Options
from converters.weight_file import WeightFile

__all__ = ["convert_model", "convert_weights"]

DEFAULT_OPSET = 20
OLDEST_OPSET = 18
"""Reduce and Resize take their axes as inputs since 18; older models are better served by a newer runtime."""


def convert_model(model: ModelSpec, branch: Branch, origin: Origin, options: Options) -> Conversion:
    """Translate configuration and weights; the conversion owns the folder of its weights."""
    opset = options.opset or DEFAULT_OPSET
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise MissingOption(
            f"Keras models are translated to opset {OLDEST_OPSET} to {newest}, not {opset}. "
            "Leave the option out, or convert the result with onnx.version_converter."
        )
    keep = TemporaryDirectory(prefix="inspector-")
    folder = Path(keep.name)
    with WeightFile(folder) as file:
        g = Builder(file, opset)
        inputs = _inputs(g, model, options)
        outputs = run_model(g, model, branch, "", _structure_inputs(model, inputs))
        made = _outputs(g, outputs)
        _keep_unused(g, branch)
    proto = _assemble(g, model.name, [t.value for t in inputs], made)
    write_model(proto, origin, g.notes)
    return Conversion(proto, origin, tuple(g.notes), folder, keep)


def convert_weights(branch: Branch, origin: Origin) -> Conversion:
    """A graph with the weights and no nodes."""
    keep = TemporaryDirectory(prefix="inspector-")
    folder = Path(keep.name)
    with WeightFile(folder) as file:
        g = Builder(file, DEFAULT_OPSET)
        for name, variable in branch.everything():
            g.weight(name, variable)
    g.notes.append(
        "This file holds weights only; the graph is in the Python code or configuration it came from."
    )
    proto = _assemble(g, "weights", [], [])
    write_model(proto, origin, g.notes)
    return Conversion(proto, origin, tuple(g.notes), folder, keep)


def _keep_unused(g: Builder, branch: Branch) -> None:
    """Weights that no translated layer reads stay in the file: nothing is lost."""
    random = 0
    for name, variable in branch.everything():
        if variable.key in g.used_keys:
            continue
        if "seed_generator" in name:
            random += 1
            continue
        g.weight(name, variable)
    if random:
        g.notes.append(f"{random} states of random generators (used in training only) were left out.")


def _inputs(g: Builder, model: ModelSpec, options: Options) -> list[Tensor]:
    if model.sequential:
        specs = model.layers[:1]
        if not specs:
            raise BadFile(f"model {model.name!r} has no layers.")
        return [_input(g, specs[0], options, model.build_shape)]
    by_name = {s.name: s for s in model.layers}
    names = [r.layer for r in _flat_refs(model.inputs)]
    missing = [n for n in names if n not in by_name]
    if missing:
        raise BadFile(f"model {model.name!r}: its input {missing[0]!r} is not among its layers.")
    return [_input(g, by_name[n], options, None) for n in names]


def _input(g: Builder, spec: LayerSpec, options: Options, build_shape: Sequence[int | None] | None) -> Tensor:
    is_input = spec.class_name == "InputLayer"
    name = spec.name if is_input else f"{spec.name}_input"
    config = spec.config
    shape: Any = config.get("batch_shape") or config.get("batch_input_shape") or build_shape
    if shape is None and isinstance(config.get("shape"), list):
        shape = [None, *config["shape"]]
    if shape is None and not is_input:
        shape = spec.build.get("input_shape")
    asked = options.input_shape.get(name) or options.input_shape.get("")
    if asked:
        shape = asked
    if not isinstance(shape, (list, tuple)):
        raise MissingOption(
            f"input {name!r}: the file does not say its shape. "
            "Pass input_shape, for example ('batch', 224, 224, 3)."
        )
    dims = [_dim(name, i, d) for i, d in enumerate(shape)]
    dtype = config.get("dtype") if is_input else None
    if not is_input and spec.class_name == "Embedding":
        dtype = "int32"
    return Tensor(g.input(name, _input_type(dtype), dims))


def _input_type(dtype: Any) -> int:
    if isinstance(dtype, dict):
        dtype = (dtype.get("config") or {}).get("name")
    try:
        return element_type(str(dtype or "float32").removeprefix("mixed_"))
    except KeyError:
        raise BadFile(f"an input has the unknown element type {dtype!r}.") from None


def _dim(name: str, axis: int, dim: Any) -> Dim:
    if isinstance(dim, str) or (isinstance(dim, int) and dim >= 0):
        return dim
    return "batch" if axis == 0 else f"{name}_{axis}"


def _flat_refs(item: Any) -> list[Ref]:
    if isinstance(item, Ref):
        return [item]
    if isinstance(item, dict):
        item = list(item.values())
    return [r for i in item for r in _flat_refs(i)] if isinstance(item, (list, tuple)) else []


def _structure_inputs(model: ModelSpec, inputs: list[Tensor]) -> Any:
    if model.sequential:
        return inputs[0]
    if isinstance(model.inputs, dict):
        return dict(zip(model.inputs, inputs, strict=True))
    return inputs


def _outputs(g: Builder, outputs: Any) -> list[Value]:
    made: list[Value] = []
    produced = {name for node in g.nodes for name in node.output}
    for tensor in flatten(outputs):
        value = tensor.value
        if tensor.moved:
            value = g.transposed(value, first_to_last(tensor.rank))
        if (value.name not in produced and not tensor.moved) or any(value.name == m.name for m in made):
            value = g.op("Identity", value)
        made.append(value)
    return made


def _assemble(g: Builder, name: str, inputs: Sequence[Value], outputs: Sequence[Value]) -> onnx.ModelProto:
    graph = helper.make_graph(
        g.nodes,
        name or "model",
        [_info(v) for v in inputs],
        [_info(v) for v in outputs],
        initializer=g.initializers,
    )
    opsets = [helper.make_opsetid("", g.opset)]
    if any(n.domain == OPAQUE_DOMAIN for n in g.nodes):
        opsets.append(helper.make_opsetid(OPAQUE_DOMAIN, 1))
    if any(n.domain == "ai.onnx.ml" for n in g.nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", 3))
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="onnx-inspector")


def _info(value: Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value.name, value.type, value.shape)
