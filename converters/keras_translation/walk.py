"""In which order are the layers of a model called, and on what? The walk over the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from onnx import shape_inference

from converters.errors import BadFile
from converters.keras_layers.quantised import quantised
from converters.keras_layers.registry import Layer, find_layer, find_operation
from converters.keras_translation.builder import Builder
from converters.keras_translation.call import Call, CannotTranslate, flatten
from converters.keras_translation.config import LayerSpec, ModelSpec, NodeSpec, Ref, parse_model
from converters.keras_translation.opaque import Declared, opaque_layer
from converters.keras_translation.tensor import Tensor, UnknownShape, Value
from converters.keras_translation.variables import Branch, ListBranch

__all__ = ["run_model"]

Results = dict[tuple[str, int], Any]


def run_model(g: Builder, model: ModelSpec, branch: Branch, path: str, inputs: Any) -> Any:
    """Translate all layers of a model called on the given structure of tensors; returns its outputs."""
    members = [(s.class_name, s.name) for s in model.layers if not s.is_operation]
    branches = branch.layers(members)
    if model.sequential:
        return _run_sequential(g, model, branches, path, inputs)
    return _run_functional(g, model, branches, path, inputs)


def _run_sequential(
    g: Builder, model: ModelSpec, branches: Mapping[str, Branch], path: str, inputs: Any
) -> Any:
    value = inputs
    for spec in model.layers:
        if spec.class_name == "InputLayer":
            continue
        value = run_layer(g, spec, _join(path, spec.name), branches[spec.name], (value,), {})
    return value


def _run_functional(
    g: Builder, model: ModelSpec, branches: Mapping[str, Branch], path: str, inputs: Any
) -> Any:
    results: Results = {}
    _bind_inputs(model, inputs, results)
    waiting = [
        (spec, index, node)
        for spec in model.layers
        for index, node in enumerate(spec.nodes)
        if (spec.name, index) not in results
    ]
    declared = _declared_shapes(model)
    while waiting:
        later: list[tuple[LayerSpec, int, NodeSpec]] = []
        for spec, index, node in waiting:
            if not all(ref_key(r) in results for r in _refs([node.args, dict(node.kwargs)])):
                later.append((spec, index, node))
                continue
            args = _bind(node.args, results)
            kwargs = _bind(dict(node.kwargs), results)
            inside = branches.get(spec.name)
            known = declared.get((spec.name, index), ())
            results[(spec.name, index)] = run_layer(
                g, spec, _join(path, spec.name), inside, args, kwargs, known
            )
        if len(later) == len(waiting):
            needed = _needed(model, results)
            if not needed:
                break
            raise BadFile(
                f"model {model.name!r}: layer {later[0][0].name!r} waits for a tensor that no layer makes "
                "(a cycle or a missing layer in the configuration)."
            )
        waiting = later
    return _bind(model.outputs, results)


def _declared_shapes(model: ModelSpec) -> dict[tuple[str, int], Declared]:
    """What the arguments of later layers tell about the outputs of earlier ones."""
    known: dict[tuple[str, int], dict[int, Ref]] = {}
    for spec in model.layers:
        for node in spec.nodes:
            for ref in _refs([node.args, dict(node.kwargs)]):
                if ref.shape is not None:
                    known.setdefault(ref_key(ref), {})[ref.tensor] = ref
    return {
        key: tuple((refs[i].shape or (), refs[i].dtype) for i in sorted(refs))
        for key, refs in known.items()
        if sorted(refs) == list(range(len(refs)))
    }


def _needed(model: ModelSpec, results: Results) -> bool:
    return not all(ref_key(r) in results for r in _refs(model.outputs))


def ref_key(ref: Ref) -> tuple[str, int]:
    """What identifies one call of a layer."""
    return ref.layer, ref.node


def _bind_inputs(model: ModelSpec, inputs: Any, results: Results) -> None:
    names = _refs(model.inputs)
    if isinstance(inputs, dict) and not isinstance(model.inputs, dict):
        given = [inputs.get(r.layer) for r in names]
    elif isinstance(inputs, dict):
        given = [inputs[k] for k in model.inputs]
    else:
        given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if len(given) != len(names):
        raise BadFile(f"model {model.name!r}: called on {len(given)} tensors, it has {len(names)} inputs.")
    for ref, tensor in zip(names, given, strict=True):
        results[ref_key(ref)] = tensor


def _refs(item: Any) -> list[Ref]:
    if isinstance(item, Ref):
        return [item]
    if isinstance(item, (list, tuple)):
        return [r for i in item for r in _refs(i)]
    if isinstance(item, dict):
        return [r for i in item.values() for r in _refs(i)]
    if isinstance(item, slice):
        return _refs([item.start, item.stop, item.step])
    return []


def _bind(item: Any, results: Results) -> Any:
    if isinstance(item, Ref):
        if ref_key(item) not in results:
            raise BadFile(
                f"the configuration refers to call {item.node} of {item.layer!r}, which is not there."
            )
        made = results[ref_key(item)]
        if isinstance(made, dict):
            made = list(made.values())
        if isinstance(made, (list, tuple)):
            flat = flatten(made)
            if item.tensor >= len(flat):
                raise BadFile(f"the configuration refers to output {item.tensor} of {item.layer!r}.")
            return flat[item.tensor]
        return made
    if isinstance(item, list):
        return [_bind(i, results) for i in item]
    if isinstance(item, tuple):
        return tuple(_bind(i, results) for i in item)
    if isinstance(item, dict):
        return {k: _bind(v, results) for k, v in item.items()}
    if isinstance(item, slice):
        return slice(*(_bind(i, results) for i in (item.start, item.stop, item.step)))
    return item


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def run_layer(
    g: Builder,
    spec: LayerSpec,
    path: str,
    branch: Branch | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    declared: Declared = (),
) -> Any:
    """Translate one call of a layer, operation or nested model; what cannot be translated becomes opaque.

    `declared` are the shapes and types of the outputs where the configuration tells them.
    """

    def inner(
        spec: LayerSpec, path: str, branch: Branch, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        return run_layer(g, spec, path, branch, args, kwargs)

    call = Call(g, spec, path, branch or ListBranch((), path), tuple(args), kwargs, inner)
    if spec.is_model:
        nested = parse_model({"class_name": spec.class_name, "config": spec.config}, spec.name)
        inputs = args[0] if len(args) == 1 else list(args)
        return run_model(g, nested, call.branch, path, inputs)
    row = find_layer(spec.class_name) if spec.is_stock and not spec.is_operation else None
    start = len(g.nodes)
    with g.layer(path, _full_class(spec)):
        try:
            result = _translate(call, row)
        except (CannotTranslate, UnknownShape, shape_inference.InferenceError) as reason:
            g.drop_since(start)
            result = opaque_layer(call, str(reason), declared)
        except _CONFUSED as cause:
            raise call.wrong(
                f"its configuration makes no sense ({type(cause).__name__}: {cause})."
            ) from cause
        result = _name_outputs(call, result, start)
    return _pass_mask(call, row, result)


def _translate(call: Call, row: Layer | None) -> Any:
    call = replace(call, args=_autocast(call, call.args), kwargs=_autocast(call, dict(call.kwargs)))
    if call.spec.is_operation and call.spec.is_stock:
        operation = find_operation(call.spec.class_name)
        if operation is None:
            raise CannotTranslate(f"the operation {call.spec.class_name} has no translation")
        return operation(call, *call.args, **call.kwargs)
    if row is None:
        raise CannotTranslate(f"{call.spec.class_name} is not one of Keras' own layers")
    if row.translate is None:
        raise CannotTranslate(row.about)
    result = quantised(call) if call.spec.policy.quantization else row.translate(call)
    if call.spec.policy.compute == "bfloat16":
        return _map(result, lambda t: t.like(call.rounded(t.value)) if t.value.is_float else t)
    return result


def _autocast(call: Call, item: Any) -> Any:
    """Keras casts floating-point inputs of layers (not of operations) to the computing type."""
    if call.spec.is_operation or call.spec.class_name in _OWN_CASTS:
        return item
    return _map(item, lambda t: replace(t, value=call.computed(t.value)) if t.value.is_float else t)


_CONFUSED = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)
"""What a translator stumbles over when a configuration entry has a kind that Keras never writes."""

_OWN_CASTS = frozenset({"Embedding", "Lambda"})


def _map(item: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(item, Tensor):
        return change(item)
    if isinstance(item, (list, tuple)):
        made = [_map(i, change) for i in item]
        return made if isinstance(item, list) else tuple(made)
    if isinstance(item, dict):
        return {k: _map(v, change) for k, v in item.items()}
    return item


def _name_outputs(call: Call, result: Any, start: int) -> Any:
    """The values that leave a layer carry its path as their name."""
    renamed: dict[str, Value] = {}
    for index, tensor in enumerate(flatten(result)):
        old = tensor.value
        if old.name not in renamed:
            wanted = call.path if index == 0 else f"{call.path}:{index}"
            renamed[old.name] = call.g.rename(old, wanted, start)
    return _map(result, lambda t: replace(t, value=renamed[t.value.name]))


def _pass_mask(call: Call, row: Layer | None, result: Any) -> Any:
    if row is None or not row.masks or not isinstance(result, Tensor) or result.mask is not None:
        return result
    given = call.kwargs.get("mask")
    first = next(iter(call.tensors), None)
    return result.masked(given if isinstance(given, Tensor) else first.mask if first else None)


def _full_class(spec: LayerSpec) -> str:
    return f"{spec.module or 'keras.layers'}.{spec.class_name}"
