"""Which ONNX operators does a fused operator of ONNX Runtime stand for? They are written out again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from inspector.comparison.draft import Draft, Operand, Step

__all__ = ["expand_fused"]

Expansion = Callable[[Step], list[Step]]
_BIASED = ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
_PRODUCTS = ("MatMul", "FusedMatMul", "Gemm")
"""What a bias given to a skip norm belongs to: the operand that one of these makes."""


def expand_fused(draft: Draft) -> None:
    """Write out layers with activation and sum, matrix products with factors, biased GELU and skip norms."""
    steps: list[Step] = []
    products = {value for step in draft.steps if step.op in _PRODUCTS for value in step.outputs}
    count = 0
    for step in draft.steps:
        runtime = step.proto is not None and step.proto.domain.startswith("com.microsoft")
        expand = _EXPANSIONS.get(step.op) if runtime else None
        if runtime and step.op in _BIASED and step.slots[1].value in products:
            step.slots[:2] = step.slots[1::-1]
        parts = [step] if expand is None else expand(step)
        count += expand is not None
        steps += parts
    draft.steps = steps
    if count:
        draft.counts["fused operators written out"] = count


def _optional(step: Step, position: int) -> Operand | None:
    slot = step.slots[position] if position < len(step.slots) else None
    return slot if slot is not None and slot.value else None


def _chain(step: Step, parts: list[Step]) -> list[Step]:
    """Let each part read the one before as its first operand; the last makes the original value."""
    for before, part in pairwise(parts):
        part.slots.insert(0, Operand(before.outputs[0]))
    parts[-1].outputs = step.outputs[:1]
    parts[-1].value = step.outputs[0]
    return parts


def _with_activation(step: Step, op: str, inputs: int) -> list[Step]:
    given = dict(step.attributes)
    name = str(given.pop("activation", ""))
    settings = given.pop("activation_params", None) or [given.pop("activation_alpha", 0.01)]
    main = step.spawned("linear", op, step.slots[:inputs], **given)
    main.key, main.proto, main.read = step.key, step.proto, step.read
    parts = [main]
    added = _optional(step, inputs) if op == "Conv" else None
    if added is not None:
        parts.append(step.spawned("sum", "Add", [added]))
    if name:
        parts.append(_activation(step, name, list(settings)))
    return _chain(step, parts)


def _activation(step: Step, name: str, settings: list[float]) -> Step:
    if name == "Clip":
        return step.spawned("activation", "Clip", [], min=settings[0], max=settings[1])
    if name == "LeakyRelu":
        return step.spawned("activation", name, [], alpha=settings[0])
    if name == "HardSigmoid" and len(settings) == 2:
        return step.spawned("activation", name, [], alpha=settings[0], beta=settings[1])
    return step.spawned("activation", name, [])


def _conv(step: Step) -> list[Step]:
    return _with_activation(step, "Conv", 3)


def _gemm(step: Step) -> list[Step]:
    return _with_activation(step, "Gemm", 3)


def _matmul(step: Step) -> list[Step]:
    """Transposed operands become notes, the factor an attribute that attention scaling joins."""
    for position, name in enumerate(("transA", "transB")):
        if step.attributes.get(name):
            slot = step.slots[position]
            step.slots[position] = Operand(slot.value, (*slot.notes, "last axes swapped"))
    step.attributes = {"factor": step.attributes.get("alpha", 1.0)}
    step.op = "MatMul"
    return [step]


def _gelu(step: Step) -> list[Step]:
    kind = "tanh" if step.op == "FastGelu" else "none"
    bias = _optional(step, 1)
    gelu = step.spawned("gelu", "Gelu", [], approximate=kind)
    if bias is None:
        gelu.slots = step.slots[:1]
        gelu.key = step.key
        return _chain(step, [gelu])
    return _chain(step, [step.spawned("bias", "Add", [step.slots[0], bias]), gelu])


def _quick_gelu(step: Step) -> list[Step]:
    factor = round(float(step.attributes.get("alpha", 1.702)), 4)
    step.op, step.attributes = ("Silu", {}) if factor == 1 else ("QuickGelu", {"factor": factor})
    return [step]


def _skip_norm(step: Step) -> list[Step]:
    """Sum, bias and layer norm; the fourth output is the sum itself."""
    simple = step.op.startswith("SkipSimplified")
    shift, bias = (None, _optional(step, 3)) if simple else (_optional(step, 3), _optional(step, 4))
    total = step.spawned("sum", "Add", step.slots[:2])
    parts = [total]
    if bias is not None:
        parts.insert(0, step.spawned("bias", "Add", [step.slots[0], bias]))
        total.slots = step.slots[1:2]
    made = step.outputs[3] if len(step.outputs) > 3 and step.outputs[3] else ""
    if made:
        total.outputs, total.value = [made], made
    op = "RMSNormalization" if simple else "LayerNormalization"
    settings = {"epsilon": step.attributes.get("epsilon", 1e-5), "axis": -1}
    norm = step.spawned("norm", op, [step.slots[2], *([shift] if shift else [])], **settings)
    norm.key = step.key
    return _chain(step, [*parts, norm])


_EXPANSIONS: dict[str, Expansion] = {
    "FusedConv": _conv,
    "Conv": _conv,
    "FusedGemm": _gemm,
    "FusedMatMul": _matmul,
    "TransposeMatMul": _matmul,
    "BiasGelu": _gelu,
    "FastGelu": _gelu,
    "Gelu": _gelu,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_norm,
    "SkipSimplifiedLayerNormalization": _skip_norm,
}
