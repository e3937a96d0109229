"""Which branch of an `If` is always taken? That of a condition that shapes and stored numbers settle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from onnx import helper
from torch import Tensor

from inspector.autograd.compiler import finished
from inspector.autograd.interpreter import Watch, run_steps
from inspector.autograd.network import Network
from inspector.autograd.program import Block, Step
from inspector.autograd.registry import find
from inspector.autograd.shapes import arithmetic

__all__ = ["straight"]


def straight(net: Network, feeds: Mapping[str, Any]) -> Block:
    """The net's block with the branches that inputs of these shapes take in place of their `If`."""
    block = net.block
    numbers = {
        key
        for key, value in net.weights.items()
        if isinstance(value, Tensor) and (key in block.numbers or not value.is_floating_point())
    }
    numbers -= set(block.inputs)
    while True:
        sized = arithmetic(block.steps, numbers)
        settled = numbers | {key for s in block.steps if s.key in sized for key in s.outputs if key}
        chosen = {s.key: str(s.inputs[0]) for s in block.steps if _asks(s) and s.inputs[0] in settled}
        if not chosen:
            return finished(block)
        watch = Watch(taps=frozenset(chosen.values()))
        run_steps(block.steps, net.state(feeds, watch))
        seen = {**net.weights, **{key: values[0] for key, values in watch.tapped.items()}}
        taken = {key: bool(seen[condition]) for key, condition in chosen.items()}
        steps = [part for step in block.steps for part in _branch(step, taken)]
        block = dataclasses.replace(block, steps=tuple(steps))


def _asks(step: Step) -> bool:
    return step.node.op_type == "If" and step.node.domain in ("", "ai.onnx") and step.operator is not None


def _branch(step: Step, taken: Mapping[str, bool]) -> list[Step]:
    """The steps of the branch, then one for each result that gives it its name outside."""
    if step.key not in taken:
        return [step]
    inner: Block = step.attributes["then_branch" if taken[step.key] else "else_branch"]
    identity = find("Identity", "", step.opset)
    assert identity is not None
    steps = list(inner.steps)
    for source, result in zip(inner.outputs, step.outputs, strict=True):
        if result is not None:
            node = helper.make_node("Identity", [source or ""], [result], name=result)
            steps.append(
                dataclasses.replace(
                    step,
                    key=result,
                    node=node,
                    function=identity.function,
                    operator=identity,
                    attributes={},
                    takes_context=identity.takes_context,
                    inputs=(source,),
                    outputs=(result,),
                    blocks=(),
                )
            )
    return steps
