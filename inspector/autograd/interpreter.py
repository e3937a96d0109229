"""How does a block run? A dict of values by ONNX key; each is dropped when its last reader has run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.narrow import Narrow
from inspector.autograd.program import Block, Step
from inspector.autograd.registry import Context
from inspector.autograd.retyping import retyped, widened
from inspector.errors import InspectorError, NotRunnable, UnsupportedOperator

__all__ = ["State", "Watch", "run_block", "run_steps"]

MIXING = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Gather", "Clip", "Pad"})
"""Operators that take a number on the CPU beside values on a GPU, and wait for nothing."""


@dataclass(slots=True)
class Watch:
    """What to replace and what to keep during one run.

    `operators`, `nodes` and `values` map to functions; `taps` are value keys whose values land in `tapped`.
    `after` sees every step with its inputs and outputs; `cuts` are the steps where a gradient ends.
    """

    operators: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    nodes: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    taps: frozenset[str] = frozenset()
    tapped: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    after: Callable[[Step, list[Any], tuple[Any, ...]], None] | None = None
    cuts: dict[str, Step] = field(default_factory=dict[str, Step])

    def note(self, step: Step, inputs: list[Any], outputs: tuple[Any, ...]) -> None:
        """Remember a step that a gradient does not pass: none comes out, or it is flat by nature."""
        if self.after is not None:
            self.after(step, inputs, outputs)
        if any(isinstance(v, Tensor) and v.requires_grad for v in inputs):
            flat = step.operator is not None and not step.operator.differentiable
            if flat or not any(isinstance(v, Tensor) and v.requires_grad for v in outputs):
                self.cuts[step.key] = step

    def bind(self, key: str, value: Any) -> Any:
        """The value as the run goes on with it: replaced if asked, kept if tapped."""
        if key in self.values:
            replacement = self.values[key]
            value = replacement(value) if callable(replacement) else replacement
        if key in self.taps:
            self.tapped.setdefault(key, []).append(value)
        return value


@dataclass(slots=True)
class State:
    """Everything one run changes. `altered`: a weight or a value is not what the graph makes it."""

    env: dict[str, Any]
    generator: torch.Generator
    device: torch.device
    dtype: torch.dtype
    straight_through: bool = False
    watch: Watch | None = None
    altered: bool = False

    @property
    def moved(self) -> bool:
        """Whether values may lie on two devices."""
        return self.device.type != "cpu"


def run_block(block: Block, inputs: Iterable[Any], state: State) -> tuple[Any, ...]:
    """Bind the inputs, run the steps, return the outputs; nothing of the block stays in the environment."""
    env = state.env
    env.update(block.constants)
    for key, value in zip(block.inputs, inputs, strict=True):
        env[key] = value if state.watch is None else state.watch.bind(key, value)
    run_steps(block.steps, state)
    outputs = tuple(None if key is None else env[key] for key in block.outputs)
    captured = set(block.captures)
    for key in (*block.inputs, *block.outputs):
        if key is not None and key not in captured:
            env.pop(key, None)
    return outputs


def run_steps(steps: Iterable[Step], state: State) -> None:
    """Run steps in order, reading from and writing to the state's environment."""
    env, watch, dtype = state.env, state.watch, state.dtype
    plain = dtype == torch.float32
    for step in steps:
        arguments = [None if key is None else env[key] for key in step.inputs]
        if state.moved:
            arguments = _placed(step, arguments, state)
        try:
            if watch is None and plain and not step.takes_context:
                result = step.function(*arguments, **step.attributes)
            else:
                result = _call(step, arguments, state, watch)
        except InspectorError:
            raise
        except NotImplementedError as error:
            raise UnsupportedOperator(_described(step, arguments, error)) from error
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            run_steps(step.parts, state)  # of a chain, the node that fails
            raise NotRunnable(_described(step, arguments, error)) from error
        values = result if type(result) is tuple else (result,)
        if not plain:
            values = tuple(widened(value, dtype) for value in values)
        if watch is not None:
            watch.note(step, arguments, values)
        for key, value in zip(step.outputs, values, strict=False):
            if key is not None:
                env[key] = value if watch is None else watch.bind(key, value)
        for key in step.frees:
            env.pop(key, None)


def _call(step: Step, arguments: list[Any], state: State, watch: Watch | None) -> Any:
    attributes = step.attributes if state.dtype == torch.float32 else retyped(step.attributes, state.dtype)
    if watch is not None:
        replacement = watch.nodes.get(step.key) or watch.operators.get(step.node.op_type)
        if replacement is not None:
            return _replaced(replacement, step, arguments, attributes, state)
    if step.takes_context:
        return step.function(*arguments, **attributes, context=_context(step, state))
    return step.function(*arguments, **attributes)


def _context(step: Step, state: State) -> Context:
    def run_graph(block: Block, *inputs: Any) -> tuple[Any, ...]:
        return run_block(block, inputs, state)

    return Context(
        node=step.node,
        name=step.key,
        opset=step.opset,
        outputs=tuple(step.node.output),
        generator=state.generator,
        run_graph=run_graph,
        device=state.device,
        dtype=state.dtype,
        straight_through=state.straight_through,
        opsets=step.opsets,
    )


def _replaced(
    replacement: Callable[..., Any],
    step: Step,
    arguments: list[Any],
    attributes: dict[str, Any],
    state: State,
) -> Any:
    """Call an override with the inputs and the keywords it names: attributes, `context`, `original`."""
    context = _context(step, state) if step.takes_context else None

    def original(*values: Any) -> Any:
        extra = {} if context is None else {"context": context}
        return step.function(*values, **attributes, **extra)

    offered = {**attributes, "original": original, "context": context or _context(step, state)}
    return replacement(
        *arguments, **{name: offered[name] for name in _keywords(replacement) if name in offered}
    )


def _keywords(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def _placed(step: Step, arguments: list[Any], state: State) -> list[Any]:
    """Inputs on one device: shape arithmetic stays on the CPU, the rest follows the data."""
    host = step.operator.host if step.operator is not None else ()
    arguments = [_fetched(value) if i in host else value for i, value in enumerate(arguments)]
    data = [v for i, v in enumerate(arguments) if i not in host and isinstance(v, (Tensor, Narrow))]
    devices = {value.device for value in data}
    if len(devices) < 2:
        return arguments
    mixing = step.node.op_type in MIXING
    return [
        value.to(state.device, non_blocking=True)
        if isinstance(value, (Tensor, Narrow)) and i not in host and (value.ndim or not mixing)
        else value
        for i, value in enumerate(arguments)
    ]


def _fetched(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) and value.device.type != "cpu" else value


def _described(step: Step, arguments: list[Any], error: Exception) -> str:
    shapes = ", ".join(describe(value) for value in arguments) or "none"
    fact = str(error).strip().split("\n")[0] or type(error).__name__
    domain = step.node.domain or "ai.onnx"
    return f"{step.node.op_type} {step.key!r} ({domain} opset {step.opset}): {fact}. Inputs: {shapes}."


def describe(value: Any) -> str:
    """A value's dtype and shape in a few characters, for messages."""
    if value is None:
        return "absent"
    if isinstance(value, list):
        return f"list of {len(value)}"
    kind = (
        "string" if isinstance(value, np.ndarray) else str(getattr(value, "dtype", "narrow")).split(".")[-1]
    )
    return f"{kind}{list(value.shape)}"
