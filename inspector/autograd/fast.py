"""Which work can be done once, or in one step? Constants, BatchNorm behind a convolution, known chains."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from inspector.autograd.fusing import fused
from inspector.autograd.interpreter import State, run_steps
from inspector.autograd.products import quick
from inspector.autograd.program import Block, Step
from inspector.autograd.shapes import CHANCE

__all__ = ["optimised"]

LAID_OUT = 4
"""channels_last is a layout of 4-D tensors."""


def optimised(
    block: Block, weights: Mapping[str, Any], *, chains: bool = True
) -> tuple[Block, dict[str, Any]]:
    """The block and weights with constants folded and `chains` fused; vanished values have no tap."""
    block, known = _evaluated(block, dict(weights))
    block, known = _without_batch_norm(block, known)
    if chains:
        fixed = {key: value for key, value in known.items() if key not in block.inputs}
        block = fused(block, fixed, product=quick)
    used = {key for step in block.steps for key in _reads(step)} | {key for key in block.outputs if key}
    kept = {key: value for key, value in known.items() if key in used or key in block.inputs}
    convolutions = {str(s.inputs[1]) for s in block.steps if s.node.op_type == "Conv"}
    for key in convolutions & kept.keys():
        if kept[key].ndim == LAID_OUT:
            kept[key] = kept[key].contiguous(memory_format=torch.channels_last)
    return block, kept


def _reads(step: Step) -> Iterable[str]:
    yield from (key for key in step.inputs if key)
    for inner in step.blocks:
        yield from inner.captures
        for deeper in inner.every_step():
            yield from (key for key in deeper.inputs if key)
        yield from (key for key in inner.outputs if key)


def _evaluated(block: Block, known: dict[str, Any]) -> tuple[Block, dict[str, Any]]:
    """Run every step that reads nothing but constants, once."""
    left: list[Step] = []
    fixed = known.keys() - set(block.inputs)
    state = State({k: known[k] for k in fixed}, torch.Generator(), torch.device("cpu"), torch.float32)
    for step in block.steps:
        constant = all(key is None or key in state.env for key in step.inputs)
        if not constant or step.blocks or step.node.op_type in CHANCE:
            left.append(step)
            continue
        with torch.no_grad():
            run_steps([dataclasses.replace(step, frees=())], state)
    return dataclasses.replace(block, steps=tuple(left)), {**known, **state.env}


def _without_batch_norm(block: Block, known: dict[str, Any]) -> tuple[Block, dict[str, Any]]:
    """One convolution for (Wx + b - m) s / sqrt(v + e) + t, where only the BatchNorm reads its result."""
    readers = Counter(key for step in block.steps for key in _reads(step))
    readers.update(key for key in block.outputs if key)
    makers = {step.outputs[0]: i for i, step in enumerate(block.steps) if step.node.op_type == "Conv"}
    steps: list[Step | None] = list(block.steps)
    for position, norm in enumerate(block.steps):
        source = str(norm.inputs[0]) if norm.inputs else ""
        if norm.node.op_type != "BatchNormalization" or source not in makers or readers[source] != 1:
            continue
        convolution = steps[makers[source]]
        if convolution is None or norm.attributes.get("training_mode") or len(norm.outputs) > 1:
            continue
        needed = [*convolution.inputs[1:], *norm.inputs[1:]]
        if any(key is not None and key not in known for key in needed) or norm.attributes.get("spatial") == 0:
            continue
        weight, bias = _folded(convolution, norm, known)
        names = (f"{convolution.inputs[1]}*{norm.key}", f"{norm.key}.bias")
        known.update(zip(names, (weight, bias), strict=True))
        inputs = (convolution.inputs[0], *names)
        frees = tuple(key for key in (*convolution.frees, *norm.frees) if key != source)
        steps[makers[source]] = None
        joined = dataclasses.replace(convolution, inputs=inputs, outputs=norm.outputs, frees=frees)
        steps[position] = joined
    return dataclasses.replace(block, steps=tuple(step for step in steps if step is not None)), known


def _folded(convolution: Step, norm: Step, known: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    weight: Tensor = known[str(convolution.inputs[1])]
    held = convolution.inputs[2] if len(convolution.inputs) > 2 else None
    scale, shift, mean, variance = (known[str(key)].double() for key in norm.inputs[1:])
    factor = scale / torch.sqrt(variance + norm.attributes["epsilon"])
    bias = torch.zeros_like(mean) if held is None else known[held].double()
    folded = weight.double() * factor.reshape(-1, *([1] * (weight.ndim - 1)))
    return folded.to(weight.dtype), ((bias - mean) * factor + shift).to(weight.dtype)
