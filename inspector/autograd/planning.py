"""Which steps does a run really take? Chains joined, names passed on, shapes remembered.

Nothing of it can be seen: whatever a tap, an override or a changed weight touches runs as it is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd.compiler import finished
from inspector.autograd.fusing import fused
from inspector.autograd.interpreter import State, Watch, run_steps
from inspector.autograd.products import Product
from inspector.autograd.program import Block, Step
from inspector.autograd.shapes import ROOTS, arithmetic, steady
from inspector.autograd.views import MOVES, Known, simplified

__all__ = ["Planner"]

SMALL = 1024
"""Elements up to which a value of shape arithmetic is remembered."""

KEPT = 8
"""Shapes of inputs, and sets of touched nodes, that are remembered at once."""

PLAIN = frozenset({torch.float32, torch.float16, torch.bfloat16})

Guard = tuple[str, Tensor, int]
"""A value key, the tensor it had and that tensor's version, which counts writes in place."""


class Planner:
    """The ways through one block, for one precision and device."""

    def __init__(
        self,
        block: Block,
        weights: Mapping[str, Any],
        *,
        joins: bool,
        attention: bool = False,
        product: Product = functional.linear,
    ) -> None:
        self.block = block
        self._product = product
        self._joins = joins
        fixed = {
            key: value for key, value in weights.items() if key not in block.inputs and _is_lasting(value)
        }
        self._numbers = {key for key, value in fixed.items() if _is_number(key, value, block)}
        self._makers = {key: step.key for step in block.steps for key in step.outputs if key}
        self._kinds: dict[str, set[str]] = {}
        for step in block.steps:
            self._kinds.setdefault(step.node.op_type, set()).add(step.key)
        steps = fused(block, fixed, attention=attention, product=product).steps if joins else ()
        self._joined = {step.key: step for step in steps if step.parts}
        self._guards = {key: _swallowed(step, fixed) for key, step in self._joined.items()}
        self._movable = {part.key for step in self._joined.values() for part in step.parts}
        self._movable |= arithmetic(block.steps, self._numbers)
        for kind in ("Identity", *((*MOVES, "Gather", "Gemm", "MatMul") if joins else ())):
            self._movable |= self._kinds.get(kind, set())
        self._wanted = {key for key in block.outputs if key}
        self._wanted.update(key for step in block.steps for inner in step.blocks for key in inner.captures)
        self._plans: dict[frozenset[str], _Plan] = {}

    def run(self, state: State) -> None:
        """Run the block in the state's environment."""
        if state.watch is not None and state.watch.after is not None:
            run_steps(self.block.steps, state)
            return
        touched = self._touched(state.watch) | self._changed(state)
        plan = self._plans.get(touched)
        if plan is None:
            plan = self._plan(touched)
            _remember(self._plans, touched, plan)
        plan.run(state)

    def settled(self, state: State) -> tuple[tuple[Step, ...], dict[str, Any]]:
        """Run, and tell the steps that a run with inputs of these shapes takes, and what it remembers."""
        touched = self._changed(state)
        plan = self._plan(touched)
        plan.run(state)
        memory = next(iter(plan.memories.values()), None)
        if memory is None:
            return plan.block.steps, {}
        return tuple(step for step in memory.steps if step.outputs), memory.values

    def _touched(self, watch: Watch | None) -> frozenset[str]:
        """The steps that would otherwise be skipped, and which somebody wants to see or to change."""
        if watch is None:
            return frozenset()
        found = {self._makers[key] for key in (*watch.taps, *watch.values) if key in self._makers}
        found.update(watch.nodes)
        for kind in watch.operators:
            found |= self._kinds.get(kind, set())
        return frozenset(found & self._movable)

    def _changed(self, state: State) -> frozenset[str]:
        """The ends of chains whose constants have changed, or want a gradient."""
        asks = torch.is_grad_enabled()
        return frozenset(
            key
            for key, guards in self._guards.items()
            if not _holds(guards, state.env) or (asks and any(t.requires_grad for _, t, _ in guards))
        )

    def _plan(self, touched: frozenset[str]) -> _Plan:
        ends = [s for s in self._joined.values() if not touched.intersection(p.key for p in s.parts)]
        instead = {part.key: None for step in ends for part in step.parts} | {s.key: s for s in ends}
        names: dict[str, str] = {}
        steps: list[Step] = []
        for written in self.block.steps:
            step = instead.get(written.key, written)
            if step is None:
                continue
            step = _renamed(step, names)
            inputs = step.inputs
            if _passes_on(step) and step.key not in touched and step.outputs[0] not in self._wanted:
                names[str(step.outputs[0])] = str(inputs[0])
            else:
                steps.append(step)
        block = finished(dataclasses.replace(self.block, steps=tuple(steps)))
        closed = touched if self._joins else None
        sized = arithmetic(steps, self._numbers, touched)
        return _Plan(block, sized, self._numbers, self._wanted, closed, self._product)


def _is_number(key: str, value: Any, block: Block) -> bool:
    return isinstance(value, Tensor) and (key in block.numbers or not value.is_floating_point())


def _renamed(step: Step, names: Mapping[str, str]) -> Step:
    """The step, and the chain it joins, reading values by the names they are known by."""
    inputs = tuple(names.get(key, key) if key else None for key in step.inputs)
    parts = tuple(dataclasses.replace(_renamed(part, names), frees=()) for part in step.parts)
    return (
        step if inputs == step.inputs and not parts else dataclasses.replace(step, inputs=inputs, parts=parts)
    )


def _passes_on(step: Step) -> bool:
    return step.node.op_type == "Identity" and step.operator is not None and None not in step.inputs


def _swallowed(step: Step, weights: Mapping[str, Any]) -> tuple[Guard, ...]:
    """The constants whose numbers went into a joined step."""
    read = {key for part in step.parts for key in part.inputs if key} - set(step.inputs)
    return tuple((key, weights[key], weights[key]._version) for key in read if key in weights)


def _holds(guards: tuple[Guard, ...], env: Mapping[str, Any]) -> bool:
    for key, tensor, version in guards:
        if env.get(key) is not tensor or tensor._version != version:
            return False
    return True


def _remember(held: dict[Any, Any], key: Any, value: Any) -> None:
    held[key] = value
    if len(held) > KEPT:
        del held[next(iter(held))]


class _Otherwise(Exception):
    """A shape is not what it was the last time."""


@dataclass(frozen=True)
class _Check:
    """Stands for a Shape or Size whose value is remembered."""

    shape: tuple[int, ...]
    position: int

    def __call__(self, x: Any) -> None:
        if tuple(x.shape) != self.shape:
            raise _Otherwise(self.position)


@dataclass(frozen=True)
class _Memory:
    """What shape arithmetic gave, the tensors it was made from, and the steps that are left."""

    values: dict[str, Tensor]
    guards: tuple[Guard, ...]
    steps: tuple[Step, ...]


@dataclass
class _Plan:
    """The steps of a block, and what is known of them by the shapes of the inputs (None: it varies).

    `wanted` are values that must be made, `closed` the steps that run as written (None: all of them).
    """

    block: Block
    arithmetic: set[str]
    numbers: set[str]
    wanted: set[str]
    closed: frozenset[str] | None
    product: Product
    memories: dict[Any, _Memory | None] = field(default_factory=dict[Any, "_Memory | None"])

    def run(self, state: State) -> None:
        env, steps = state.env, self.block.steps
        if not self.arithmetic or not _is_plain():
            run_steps(steps, state)
            return
        shapes = (state.altered, *(tuple(getattr(env.get(k), "shape", ())) for k in self.block.inputs))
        memory = self.memories.get(shapes)
        if memory is not None and _holds(memory.guards, {**env, **memory.values}):
            env.update(memory.values)
            try:
                run_steps(memory.steps, state)
            except _Otherwise as change:
                self.memories[shapes] = None
                run_steps(steps[change.args[0] :], state)
        elif memory is None and shapes in self.memories:
            run_steps(steps, state)
        else:
            recorded = self._recorded(state)
            if recorded is not None:
                _remember(self.memories, shapes, recorded)

    def _recorded(self, state: State) -> _Memory | None:
        """Run everything and keep what shape arithmetic gave; None if that lives no longer than this run."""
        env, kept = state.env, dict[str, Tensor]()
        guards: dict[str, Guard] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        left: list[Step] = []
        lasting = True
        for position, step in enumerate(self.block.steps):
            root = step.node.op_type in ROOTS and step.inputs[0] not in kept
            if step.key not in self.arithmetic or not (root or self._is_known(step, kept)):
                _note(step.inputs, env, shapes)
                run_steps((dataclasses.replace(step, frees=()),), state)
                _note(step.outputs, env, shapes)
                for key in step.frees:
                    env.pop(key, None)
                left.append(step)
                continue
            shape = tuple(getattr(env[str(step.inputs[0])], "shape", ())) if root else ()
            held = {key: env[key] for key in step.inputs if key in self.numbers}
            run_steps((dataclasses.replace(step, frees=()),), state)
            made = {key: env[key] for key in step.outputs if key}
            for key in step.frees:
                env.pop(key, None)
            lasting = lasting and all(_is_lasting(value) for value in made.values())
            if not lasting or not all(_is_small(value) for value in made.values()):
                left.append(step)
                continue
            kept.update(made)
            guards.update((key, (key, value, value._version)) for key, value in {**held, **made}.items())
            if root:
                check = _Check(shape, position)
                left.append(
                    dataclasses.replace(step, function=check, attributes={}, takes_context=False, outputs=())
                )
        if not lasting:
            return None
        if not state.altered:
            left = self._fewer(left, kept, shapes, guards, env)
        block = finished(dataclasses.replace(self.block, steps=tuple(left)))
        if any(isinstance(step.function, _Check) for step in left):  # it may go on as written
            return _Memory(kept, tuple(guards.values()), block.steps)
        read = {key for step in left for key in step.inputs} | self.wanted
        values = {key: value for key, value in kept.items() if key in read}
        needed = tuple(guard for key, guard in guards.items() if key in values or key not in kept)
        return _Memory(values, needed, block.steps)

    def _fewer(
        self,
        left: list[Step],
        kept: Mapping[str, Tensor],
        shapes: Mapping[str, tuple[int, ...]],
        guards: dict[str, Guard],
        env: Mapping[str, Any],
    ) -> list[Step]:
        """The steps with views joined, where no shape depends on a value."""
        fixed = {**{key: env[key] for key in self.numbers if key in env}, **kept}
        made = {key for step in self.block.steps for key in step.outputs}
        settled = steady(left, shapes.keys() - made, fixed)
        checks = [step for step in left if isinstance(step.function, _Check)]
        if self.closed is None or not all(step.inputs[0] in settled for step in checks):
            return left
        for step in left:
            if step.node.op_type in (*MOVES, "Gather"):
                read = {key for key in step.inputs[1:] if key in fixed and key not in guards}
                guards.update((key, (key, fixed[key], fixed[key]._version)) for key in read)
        numbers = {key: int(value) for key, value in fixed.items() if _is_place(value)}
        known = Known({key: shapes[key] for key in settled & shapes.keys()}, numbers, fixed.keys())
        return simplified([s for s in left if s.outputs], known, self.wanted, self.closed, self.product)

    def _is_known(self, step: Step, kept: Mapping[str, Tensor]) -> bool:
        return all(key is None or key in kept or key in self.numbers for key in step.inputs)


def _note(keys: Iterable[str | None], env: Mapping[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """Write down the shapes of what is made of plain floats."""
    for key in keys:
        value = env.get(key or "")
        if key and key not in shapes and isinstance(value, Tensor) and value.dtype in PLAIN:
            shapes[key] = tuple(value.shape)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and not value.ndim
        and value.dtype == torch.int64
        and value.device.type == "cpu"
    )


def _is_lasting(value: Any) -> bool:
    """Whether a value has memory of its own: those of torch.func and of inference mode are gone later."""
    if not isinstance(value, Tensor):
        return True
    try:
        value.data_ptr()
    except RuntimeError:
        return False
    return not value.is_inference()


def _is_small(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() <= SMALL and not value.requires_grad


def _is_plain() -> bool:
    """Whether tensors are what they seem: nobody compiles or fakes them."""
    return not torch.compiler.is_compiling() and type(torch.empty(0)) is Tensor
