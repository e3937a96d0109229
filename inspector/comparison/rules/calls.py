"""What lies inside functions and bodies? Functions are written out; If, Loop and Scan stay opaque."""

from __future__ import annotations

from collections import Counter

import onnx
from onnx import helper

from inspector.comparison.alignment import Part
from inspector.comparison.draft import Draft, Operand, Step, plain

__all__ = ["describe_bodies", "inline_functions"]

_DEPTH = 8
"""Functions that call functions are followed this far."""


def inline_functions(draft: Draft) -> None:
    """Replace each call of a function in the file by the steps of its body."""
    local = {(f.domain, f.name): f for f in draft.model.proto.functions}
    for _ in range(_DEPTH):
        found: list[Step] = []
        calls = 0
        for step in draft.steps:
            proto = step.proto
            function = local.get((proto.domain, proto.op_type)) if proto is not None else None
            found += [step] if function is None else _body(draft, step, function)
            calls += function is not None
        if not calls:
            return
        draft.steps = found
        draft.counts["calls of functions written out"] = calls


def _body(draft: Draft, call: Step, function: onnx.FunctionProto) -> list[Step]:
    names = dict(zip(function.input, call.slots, strict=False))
    results = dict(zip(function.output, call.outputs, strict=False))
    prefix = f"{function.domain}.{function.name}/"
    found: list[Step] = []
    for number, node in enumerate(function.node):
        proto = _bound(node, call, function)
        if proto.op_type == "Constant":
            stored = draft.constants.get(prefix + proto.output[0])
            if stored is not None:
                key = f"{call.key}/{proto.output[0]}"
                draft.constants[key], names[proto.output[0]] = stored, Operand(key)
            continue
        outputs = [results.get(name, f"{call.key}/{name}") if name else "" for name in proto.output]
        slots = [names.get(name, Operand("")) for name in proto.input]
        names |= {name: Operand(made) for name, made in zip(proto.output, outputs, strict=True)}
        key = f"{call.key}/{proto.op_type}_{number}"
        values = plain({a.name: helper.get_attribute_value(a) for a in proto.attribute})
        step = Step(key, proto.op_type, slots, outputs, values, list(call.origins), call.scope, outputs[0])
        step.proto, step.read = proto, tuple(slot.value for slot in slots)
        found.append(step)
    return found


def _bound(node: onnx.NodeProto, call: Step, function: onnx.FunctionProto) -> onnx.NodeProto:
    """The node with references to the function's attributes filled in from the call."""
    given = {a.name: a for a in function.attribute_proto}
    given |= {a.name: a for a in call.proto.attribute} if call.proto is not None else {}
    proto = onnx.NodeProto()
    proto.CopyFrom(node)
    del proto.attribute[:]
    for attribute in node.attribute:
        source = given.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
        if source is not None:
            kept = proto.attribute.add()
            kept.CopyFrom(source)
            kept.name = attribute.name
    return proto


def describe_bodies(draft: Draft) -> None:
    """Let a step with bodies read what they read from outside, and tell their operators as attributes."""
    for step in draft.steps:
        graphs = [name for name, value in step.attributes.items() if isinstance(value, onnx.GraphProto)]
        if not graphs:
            continue
        known = {slot.value for slot in step.slots}
        for name in graphs:
            prefix = f"{step.key}.{name}/"
            inner = [node for node in draft.model.nodes.values() if node.body.startswith(prefix)]
            counts = Counter(node.op for node in inner if node.op != "Constant")
            step.attributes[name] = ", ".join(f"{n} {op}" for op, n in sorted(counts.items()))
            captured = [v for node in inner for v in node.inputs if v and not v.startswith(f"{step.key}.")]
            step.slots += [Operand(v) for v in dict.fromkeys(captured) if v not in known]
            known.update(captured)
            held = [
                w for w in draft.model.weights.values() if w.key.startswith(prefix) and w.dtype != "string"
            ]
            for weight in held:
                role = f"{name}/{weight.name}"
                step.arrays[role], step.weights[role] = weight.array(), Part(weight.key)
