"""How does a deep net explain itself in little memory? Segments are recomputed in the backward pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from inspector.autograd.interpreter import State, Watch, run_steps
from inspector.autograd.program import Block, Step

__all__ = ["run_segments"]


def run_segments(block: Block, state: State, count: int) -> None:
    """Run the block's steps in `count` segments that keep only what a later one reads."""
    size = max(1, -(-len(block.steps) // count))
    cuts = [block.steps[start : start + size] for start in range(0, len(block.steps), size)]
    for index, steps in enumerate(cuts):
        later = {key for cut in cuts[index + 1 :] for key in _reads(cut)}
        later |= {key for key in block.outputs if key}
        _run_segment(steps, state, later)


def _reads(steps: Sequence[Step]) -> set[str]:
    found: set[str] = set()
    for step in steps:
        found.update(key for key in step.inputs if key)
        for inner in step.blocks:
            found.update(inner.captures)
    return found


def _run_segment(steps: Sequence[Step], state: State, later: set[str]) -> None:
    taps = state.watch.taps if state.watch is not None else frozenset[str]()
    made = [key for step in steps for key in step.outputs if key]
    wanted = [key for key in dict.fromkeys(made) if key in later or key in taps]
    names = [key for key in _reads(steps) if key in state.env]
    start = state.generator.get_state()

    def segment(*values: Any) -> tuple[Any, ...]:
        state.generator.set_state(start)
        env = dict(zip(names, values, strict=True))
        watch = None if state.watch is None else _quiet(state.watch)
        inner = State(env, state.generator, state.device, state.dtype, state.straight_through, watch)
        run_steps([_keeping(step, set(wanted)) for step in steps], inner)
        return tuple(env.get(key) for key in wanted)

    values = checkpoint(segment, *[state.env[key] for key in names], use_reentrant=False)
    assert values is not None
    for key, value in zip(wanted, values, strict=True):
        if key in later:
            state.env[key] = value
        if key in taps and state.watch is not None:
            state.watch.tapped.setdefault(key, []).append(value)
    for key in names:
        if key not in later and not isinstance(state.env[key], torch.nn.Parameter):
            del state.env[key]


def _quiet(watch: Watch) -> Watch:
    """The same overrides without taps: a segment runs twice, and a tap is taken from its outputs."""
    return Watch(watch.operators, watch.nodes, watch.values)


def _keeping(step: Step, wanted: set[str]) -> Step:
    if not wanted.intersection(step.frees):
        return step
    frees = tuple(key for key in step.frees if key not in wanted)
    return dataclasses.replace(step, frees=frees)
