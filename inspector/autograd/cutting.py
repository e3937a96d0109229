"""How do you run only a part of a network, from some values to others?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx

from inspector.autograd.compiler import finished
from inspector.autograd.interpreter import Watch, run_steps
from inspector.autograd.network import Network
from inspector.autograd.program import Block, Step
from inspector.errors import UnknownName

__all__ = ["between", "value_shapes", "watched"]


def between(net: Network, starts: Sequence[str], ends: Sequence[str]) -> Network:
    """The part that computes `ends` from `starts`, sharing the weights of `net`.

    Its inputs are `starts` and whatever graph inputs are still needed, its outputs `ends`; all are top-level
    values.

    Raises:
        UnknownName: a value does not exist at the top level.
    """
    makers = {key: step for step in net.block.steps for key in step.outputs if key}
    known = {*net.block.inputs, *makers, *net.weights}
    for key in (*starts, *ends):
        if key not in known:
            raise UnknownName.among("top-level value", key, known)
    needed: dict[int, Step] = {}
    inputs: dict[str, None] = dict.fromkeys(starts)
    waiting = [key for key in ends if key not in inputs]
    seen = set(waiting)
    while waiting:
        key = waiting.pop()
        step = makers.get(key)
        if step is None:
            if key in net.input_names:
                inputs.setdefault(key)
            continue
        needed[id(step)] = step
        for name in _reads(step):
            if name not in seen and name not in starts:
                seen.add(name)
                waiting.append(name)
    steps = tuple(step for step in net.block.steps if id(step) in needed)
    block = finished(
        Block(
            net.block.prefix,
            tuple(inputs),
            tuple(ends),
            steps,
            constants=net.block.constants,
            numbers=net.block.numbers,
        )
    )
    graph = onnx.GraphProto(output=[onnx.ValueInfoProto(name=key) for key in ends])
    used = {name for step in steps for name in _reads(step)} | set(ends)
    weights = {key: value for key, value in net.weights.items() if key in used or "/" in key}
    part = Network(block, weights, graph, seed=net.seed, straight_through=net.straight_through)
    return part.to(net.device).double().eval() if net.dtype.itemsize == 8 else part.to(net.device).eval()


def watched(net: Network, feeds: Mapping[str, Any], see: Callable[[str, Any], None]) -> None:
    """One run that shows `see` every feed and every top-level value, in order of execution; none is kept."""

    def note(step: Step, _: list[Any], values: tuple[Any, ...]) -> None:
        for key, value in zip(step.outputs, values, strict=False):
            if key is not None:
                see(key, value)

    state = net.state(feeds, Watch(after=note))
    for key in feeds:
        see(key, state.env[key])
    run_steps(net.block.steps, state)


def value_shapes(net: Network, feeds: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every top-level tensor in one run, in order of execution."""
    shapes: dict[str, tuple[int, ...]] = {}

    def see(key: str, value: Any) -> None:
        if hasattr(value, "shape"):
            shapes[key] = tuple(value.shape)

    watched(net, feeds, see)
    return shapes


def _reads(step: Step) -> list[str]:
    return [key for key in step.inputs if key] + [key for block in step.blocks for key in block.captures]
