"""Does a node say what its operator's schema demands? Inputs, attributes, their types, and words in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import AttributeProto, NodeProto
from onnx.defs import OpSchema

from inspector.autograd.attributes import read
from inspector.errors import BadFile, UnsupportedOperator

__all__ = ["check"]

UPDATES = ("none", "add", "mul", "max", "min")
LOSSES = ("none", "sum", "mean")
WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "auto_pad"): ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
    ("BitShift", "direction"): ("LEFT", "RIGHT"),
    ("DepthToSpace", "mode"): ("DCR", "CRD"),
    ("SpaceToDepth", "mode"): ("DCR", "CRD"),
    ("GridSample", "mode"): ("linear", "nearest", "cubic", "bilinear", "bicubic"),
    ("LinearAttention", "update_rule"): ("linear", "gated", "delta", "gated_delta"),
    ("Momentum", "mode"): ("standard", "nesterov"),
    ("NegativeLogLikelihoodLoss", "reduction"): LOSSES,
    ("SoftmaxCrossEntropyLoss", "reduction"): LOSSES,
    ("Normalizer", "norm"): ("MAX", "L1", "L2"),
    ("Pad", "mode"): ("constant", "reflect", "edge", "wrap"),
    ("Resize", "mode"): ("nearest", "linear", "cubic"),
    ("Resize", "keep_aspect_ratio_policy"): ("stretch", "not_larger", "not_smaller"),
    ("RoiAlign", "mode"): ("avg", "max"),
    ("RoiAlign", "coordinate_transformation_mode"): ("half_pixel", "output_half_pixel"),
    ("ScatterElements", "reduction"): UPDATES,
    ("ScatterND", "reduction"): UPDATES,
    ("StringNormalizer", "case_change_action"): ("LOWER", "UPPER", "NONE"),
    ("TensorScatter", "mode"): ("linear", "circular"),
    ("TfIdfVectorizer", "mode"): ("TF", "IDF", "TFIDF"),
    ("Upsample", "mode"): ("nearest", "linear", "bilinear"),
}
"""What an attribute of text may say ("": of any operator), where the schema tells it in prose only."""


def check(node: NodeProto, where: str, given: Mapping[str, AttributeProto], schema: OpSchema | None) -> None:
    """Raise BadFile where the node breaks its schema, UnsupportedOperator for a word nobody knows.

    `where` names the node, with domain and opset. Without a schema only words are looked at.
    """
    for name, attribute in given.items():
        words = WORDS.get((node.op_type, name)) or WORDS.get(("", name))
        if words is None or attribute.type != AttributeProto.STRING:
            continue
        said = read(attribute, onnx.numpy_helper.to_array)
        if said not in words:
            raise UnsupportedOperator(f"{where}: {name} {said!r} is not known; known are {', '.join(words)}")
    if schema is not None:
        _check_attributes(where, given, schema)
        _check_inputs(node, where, schema)


def _check_attributes(where: str, given: Mapping[str, AttributeProto], schema: Any) -> None:
    for name, declared in schema.attributes.items():  # onnx's stub does not know the types of attributes
        if name not in given:
            if declared.required:
                raise BadFile(f"{where}: attribute {name!r} is missing; the operator needs it")
        elif given[name].type != declared.type.value:
            kind = AttributeProto.AttributeType.Name(given[name].type)
            raise BadFile(f"{where}: attribute {name!r} is {kind}; the operator takes {declared.type.name}")


def _check_inputs(node: NodeProto, where: str, schema: OpSchema) -> None:
    count = len(node.input)
    if not schema.min_input <= count <= schema.max_input:
        least, most = schema.min_input, schema.max_input
        wanted = str(least) if least == most else f"{least} to {most}"
        raise BadFile(f"{where}: {count} input(s) given; the operator takes {wanted}")
    for name, declared in zip(node.input, schema.inputs, strict=False):
        if not name and declared.option == OpSchema.FormalParameterOption.Single:
            raise BadFile(f"{where}: input {declared.name!r} is left out; the operator needs it")
