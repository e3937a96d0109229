"""What does an operator without a torch function do? Its ONNX function body says it in other operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto

from inspector.autograd import narrow
from inspector.autograd.attributes import resolve
from inspector.autograd.program import Block
from inspector.autograd.registry import Context

if TYPE_CHECKING:
    from inspector.autograd.compiler import Compiler

__all__ = ["caller", "has_body", "instance"]


def has_body(schema: Any) -> bool:  # onnx's stub does not know the function accessors of OpSchema
    """Whether ONNX defines the operator by other operators."""
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)


def caller(block: Block) -> Callable[..., Any]:
    """An operator function that runs a compiled body."""

    def call(*inputs: Any, context: Context) -> tuple[Any, ...]:
        padded = [*inputs, *([None] * (len(block.inputs) - len(inputs)))]
        return context.run_graph(block, *padded)

    return call


def instance(
    compiler: Compiler,
    schema: Any,
    node: NodeProto,
    given: Mapping[str, AttributeProto],
    opset: int,
    prefix: str,
) -> tuple[Callable[..., Any], Block | None]:
    """An operator function for the schema's body; its block where the body does not depend on input types."""
    references = {**_defaults(schema), **given}
    if schema.has_function:
        version = _version(schema.function_opset_versions, opset)
        proto = FunctionProto.FromString(schema.get_function_with_opset_version(version))
        block = compiler.function(proto, references, prefix)
        return caller(block), block
    version = _version(schema.context_dependent_function_opset_versions, opset)
    concrete = NodeProto()
    concrete.CopyFrom(node)
    del concrete.attribute[:]
    concrete.attribute.extend(resolve(node.attribute, given).values())
    known: dict[tuple[bytes, ...], Block] = {}

    def call(*inputs: Any, context: Context) -> tuple[Any, ...]:
        types = tuple(_type(value).SerializeToString() for value in inputs)
        if types not in known:
            text = schema.get_context_dependent_function_with_opset_version(
                version, concrete.SerializeToString(), list(types)
            )
            known[types] = compiler.function(FunctionProto.FromString(text), references, prefix)
        return caller(known[types])(*inputs, context=context)

    return call, None


def _defaults(schema: Any) -> dict[str, AttributeProto]:
    return {n: a.default_value for n, a in schema.attributes.items() if a.default_value.type}


def _version(versions: list[int], opset: int) -> int:
    fitting = [version for version in versions if version <= opset]
    return max(fitting) if fitting else min(versions)


def _type(value: Any) -> TypeProto:
    if value is None:
        return TypeProto()
    if isinstance(value, list):
        element = _type(value[0]) if value else onnx.helper.make_tensor_type_proto(1, None)
        return onnx.helper.make_sequence_type_proto(element)
    return onnx.helper.make_tensor_type_proto(narrow.element_type(value), list(value.shape))
