"""What does a graph with functions, branches and loops come to, where shapes settle them? Plain steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from onnx import helper
from torch import Tensor

from inspector.autograd.compiler import finished
from inspector.autograd.interpreter import Watch, run_steps
from inspector.autograd.network import Network
from inspector.autograd.program import Block, Step
from inspector.autograd.registry import Operator
from inspector.autograd.shapes import arithmetic
from inspector.errors import UnsupportedOperator

__all__ = ["straight"]

MOST = 4096
"""Steps that one loop may come to."""

Names = Mapping[str, str | None]


def straight(net: Network, feeds: Mapping[str, Any]) -> Block:
    """The net's block with function bodies, branches and loops in place of the nodes that run them.

    A branch is put in where its condition, a loop where the number of its turns follows from the shapes of
    these inputs and stored numbers. Constants of bodies become those of the block.

    Raises:
        UnsupportedOperator: a loop comes to too many steps.
    """
    block = net.block
    stored = {
        key
        for key, value in net.weights.items()
        if isinstance(value, Tensor) and (key in block.numbers or not value.is_floating_point())
    }
    stored -= set(block.inputs)
    while True:
        while any(_is_call(step) for step in block.steps):
            block = _replaced(block, {s.key: _called(s) for s in block.steps if _is_call(s)})
        numbers = stored | block.constants.keys()
        sized = arithmetic(block.steps, numbers)
        settled = numbers | {key for s in block.steps if s.key in sized for key in s.outputs if key}
        chosen = {s.key: s for s in block.steps if _asks(s, settled, block.constants | net.weights)}
        if not chosen:
            return finished(block)
        asked = {str(s.inputs[0]) for s in chosen.values()}
        watch = Watch(taps=frozenset(asked))
        state = net.state(feeds, watch)
        state.env.update(block.constants)
        run_steps(finished(block).steps, state)
        seen = {**state.env, **{key: values[0] for key, values in watch.tapped.items()}}
        block = _replaced(
            block, {key: _taken(step, seen[str(step.inputs[0])]) for key, step in chosen.items()}
        )


@dataclasses.dataclass(frozen=True)
class _Instead:
    """Steps in place of one, and the constants they read."""

    steps: Sequence[Step]
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])


def _replaced(block: Block, instead: Mapping[str, _Instead]) -> Block:
    steps: list[Step] = []
    constants = dict(block.constants)
    for step in block.steps:
        found = instead.get(step.key)
        steps.extend([step] if found is None else found.steps)
        constants.update({} if found is None else found.constants)
    return dataclasses.replace(block, steps=tuple(steps), constants=constants)


def _is_call(step: Step) -> bool:
    return step.state == "body" and len(step.blocks) == 1


def _called(step: Step) -> _Instead:
    (body,) = step.blocks
    given = (*step.inputs, *([None] * (len(body.inputs) - len(step.inputs))))
    steps, results = _inlined(body, dict(zip(body.inputs, given, strict=True)))
    return _Instead([*steps, *_named(step, results)], body.constants)


def _asks(step: Step, settled: set[str], values: Mapping[str, Any]) -> bool:
    """Whether what decides the branch or the number of turns is known from shapes."""
    if step.node.domain not in ("", "ai.onnx") or step.operator is None or step.inputs[0] not in settled:
        return False
    if step.node.op_type != "Loop":
        return step.node.op_type == "If"
    body: Block = step.attributes["body"]
    start = step.inputs[1] if len(step.inputs) > 1 else None
    goes_on = body.outputs[0]
    renames = {s.outputs[0]: s.inputs[0] for s in body.steps if s.node.op_type == "Identity"}
    while goes_on in renames:
        goes_on = renames[goes_on]
    always = [key for key in (start, None if goes_on == body.inputs[1] else goes_on) if key is not None]
    return start is None or all(isinstance(values.get(k), Tensor) and bool(values[k]) for k in always)


def _taken(step: Step, decided: Tensor) -> _Instead:
    if step.node.op_type == "If":
        inner: Block = step.attributes["then_branch" if bool(decided) else "else_branch"]
        steps, results = _inlined(inner, {})
        return _Instead([*steps, *_named(step, results)])
    return _unrolled(step, int(decided))


def _unrolled(step: Step, turns: int) -> _Instead:
    body: Block = step.attributes["body"]
    size = max(1, len(body.every_step()))
    if turns * size > MOST:
        raise UnsupportedOperator(
            f"Loop {step.key!r} (ai.onnx opset {step.opset}) takes {turns} turns of {size} steps; in "
            f"torch.fx loops are written out, up to {MOST} steps. Use the net as it is."
        )
    carried = list(step.inputs[2:])
    columns: list[list[str | None]] = [[] for _ in range(len(body.outputs) - 1 - len(carried))]
    constants: dict[str, Any] = {}
    steps: list[Step] = []
    own = _own(body)
    for turn in range(turns):
        names: dict[str, str | None] = {key: f"{key}@{turn}" for key in own}
        constants |= {
            f"{body.inputs[0]}@{turn}": torch.tensor(turn),
            f"{body.inputs[1]}@{turn}": torch.tensor(True),
        }
        names |= dict(zip(body.inputs[2:], carried, strict=True))
        inside, results = _inlined(body, names, f"@{turn}")
        steps += inside
        carried = list(results[1 : 1 + len(carried)])
        for column, key in zip(columns, results[1 + len(carried) :], strict=True):
            column.append(key)
    results = (*carried, *(f"{step.key}[{i}]" for i in range(len(columns))))
    for key, column in zip(results[len(carried) :], columns, strict=True):
        if column:
            steps.append(_made(step, "Stack", tuple(column), str(key), _stacked))
        else:
            constants[str(key)] = torch.zeros(0)
    return _Instead([*steps, *_named(step, results)], constants)


def _stacked(*values: Tensor) -> Tensor:
    return torch.stack(values)


def _same(value: Any) -> Any:
    return value


def _own(block: Block) -> list[str]:
    """Every key that a block or one inside it binds."""
    found = list(block.inputs)
    for step in block.steps:
        found += [key for key in step.outputs if key]
        found += [key for inner in step.blocks for key in _own(inner)]
    return found


def _inlined(block: Block, names: Names, suffix: str = "") -> tuple[list[Step], tuple[str | None, ...]]:
    """The steps of a block and the keys of its results, with other names for some values."""
    return [_renamed(step, names, suffix) for step in block.steps], _keys(block.outputs, names)


def _keys(keys: Sequence[str | None], names: Names) -> tuple[str | None, ...]:
    return tuple(None if key is None else names.get(key, key) for key in keys)


def _renamed(step: Step, names: Names, suffix: str) -> Step:
    blocks = {id(block): _renamed_block(block, names, suffix) for block in step.blocks}
    attributes = {name: blocks.get(id(value), value) for name, value in step.attributes.items()}
    return dataclasses.replace(
        step,
        key=step.key + suffix,
        inputs=_keys(step.inputs, names),
        outputs=_keys(step.outputs, names),
        attributes=attributes,
        blocks=tuple(blocks[id(block)] for block in step.blocks),
    )


def _renamed_block(block: Block, names: Names, suffix: str) -> Block:
    return dataclasses.replace(
        block,
        inputs=tuple(str(key) for key in _keys(block.inputs, names)),
        outputs=_keys(block.outputs, names),
        steps=tuple(_renamed(step, names, suffix) for step in block.steps),
        captures=tuple(key for key in _keys(block.captures, names) if key),
    )


def _named(step: Step, results: Sequence[str | None]) -> list[Step]:
    """Steps that give the results inside the names they have outside."""
    pairs = zip(results, step.outputs, strict=False)
    return [_made(step, "Identity", (a,), b, _same) for a, b in pairs if a is not None and b is not None]


def _made(like: Step, name: str, inputs: tuple[str | None, ...], output: str, call: Any) -> Step:
    node = helper.make_node(name, [key or "" for key in inputs], [output], name=output)
    return dataclasses.replace(
        like,
        key=output,
        node=node,
        function=call,
        operator=Operator(name, "", 1, call, (), True, (), False),
        attributes={},
        takes_context=False,
        inputs=inputs,
        outputs=(output,),
        blocks=(),
        state="native",
    )
