"""How is something handed back from a score to the input, operator by operator? A run walked back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inspector.autograd.program import Step
from inspector.methods.subject import Subject
from inspector.methods.target import scores_of

__all__ = ["Call", "Given", "Record", "pulled_back", "recorded", "seeds_of", "walked_back"]

Given = Sequence[Tensor | None]


@dataclass(frozen=True, eq=False)
class Call:
    """One operator of a run: what went in, what came out, and `function` to run it again on other inputs.

    `varying` are the positions of the floating inputs that depend on the explained value.
    """

    step: Step
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    varying: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The operator's name, with its domain where that is not ONNX's own."""
        node = self.step.node
        return f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


@dataclass(frozen=True, eq=False)
class Record:
    """The operators behind the explained value in order of execution, and the scored values."""

    calls: tuple[Call, ...]
    scored: Mapping[str, Tensor]


def recorded(subject: Subject, x: Tensor) -> Record:
    """Run the net once on rows of x and keep every operator that depends on them."""
    calls: list[Call] = []
    varying = {subject.entry}

    def recorder(step: Step) -> Callable[..., Any]:
        def record(*inputs: Any, original: Callable[..., Any]) -> Any:
            result = original(*inputs)
            outputs = result if type(result) is tuple else (result,)
            only_type = step.node.op_type == "CastLike"  # its second input gives a type and no number
            read = step.inputs[:1] if only_type else step.inputs
            positions = tuple(i for i, key in enumerate(read) if key in varying)
            captured = any(key in varying for block in step.blocks for key in block.captures)
            if positions or captured:
                found = zip(step.outputs, outputs, strict=False)
                varying.update(key for key, value in found if key is not None and _is_floating(value))
                calls.append(Call(step, original, inputs, outputs, positions))
            return result

        return record

    target = subject.target
    names = subject.net.output_names if target.expression else (target.value,)
    overrides = {("node", step.key): recorder(step) for step in subject.net.block.steps}
    with torch.no_grad():
        _, values = subject.forward(x, taps=names, overrides=overrides)
    return Record(tuple(calls), {name: values[name] for name in names})


def seeds_of(subject: Subject, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """D score / d each scored value: one-hot for a class."""
    leaves = {key: value.detach().requires_grad_() for key, value in values.items()}
    found = list[Tensor | None](
        torch.autograd.grad(scores_of(subject.target, leaves).sum(), list(leaves.values()), allow_unused=True)
    )
    return {key: g for key, g in zip(leaves, found, strict=True) if g is not None}


def walked_back(
    calls: Sequence[Call], seeds: Mapping[str, Tensor], rule: Callable[[int, Given], Mapping[int, Tensor]]
) -> dict[str, Tensor]:
    """What arrives at every value; `rule(index of the call, parts at its outputs)` gives parts by input."""
    found = dict(seeds)
    for index in range(len(calls) - 1, -1, -1):
        step = calls[index].step
        given = [found.get(key) if key is not None else None for key in step.outputs]
        if all(part is None for part in given):
            continue
        for position, part in rule(index, given).items():
            key = str(step.inputs[position])
            found[key] = found[key] + part if key in found else part
    return found


def pulled_back(call: Call, inputs: Sequence[Any], given: Given) -> dict[int, Tensor]:
    """The transposed derivative of an operator at `inputs`, applied to what is given at its outputs."""
    leaves = list(inputs)
    for position in call.varying:
        leaves[position] = inputs[position].detach().requires_grad_()
    with torch.enable_grad():
        result = call.function(*leaves)
    outputs = result if type(result) is tuple else (result,)
    pairs = [
        (value, part)
        for value, part in zip(outputs, given, strict=False)
        if part is not None and value.requires_grad
    ]
    if not pairs:
        return {}
    wanted = [leaves[position] for position in call.varying]
    values, parts = zip(*pairs, strict=True)
    found = list[Tensor | None](torch.autograd.grad(values, wanted, parts, allow_unused=True))
    return {p: g for p, g in zip(call.varying, found, strict=True) if g is not None}


def _is_floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
