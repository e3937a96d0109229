"""Control flow. Bodies see the outer values; gradients pass through every turn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from inspector.autograd.program import Block
from inspector.autograd.registry import Context, operator

__all__: list[str] = []


@operator("If", since=1, host=(0,))
@operator("If", since=11, host=(0,))
def if_(condition: Tensor, *, then_branch: Block, else_branch: Block, context: Context) -> tuple[Any, ...]:
    return context.run_graph(then_branch if bool(condition) else else_branch)


@operator("Loop", since=1, host=(0, 1))
@operator("Loop", since=11, host=(0, 1))
def loop(
    trips: Tensor | None, condition: Tensor | None, *carried: Any, body: Block, context: Context
) -> tuple[Any, ...]:
    limit = None if trips is None else int(trips)
    going = condition is None or bool(condition)
    state = list(carried)
    columns: list[list[Any]] = [[] for _ in range(len(body.outputs) - 1 - len(state))]
    turn = 0
    while going and (limit is None or turn < limit):
        flag = torch.tensor(True)
        results = context.run_graph(body, torch.tensor(turn, dtype=torch.int64), flag, *state)
        going = condition is None or bool(results[0])  # without the input the body's condition is ignored
        state = list(results[1 : 1 + len(state)])
        for column, value in zip(columns, results[1 + len(state) :], strict=True):
            column.append(value)
        turn += 1
    nothing = torch.zeros((0,), dtype=context.dtype, device=context.device)
    return (*state, *(torch.stack(column) if column else nothing for column in columns))


@operator("Scan", since=9)
@operator("Scan", since=11)
def scan(
    *inputs: Any,
    body: Block,
    num_scan_inputs: int,
    scan_input_axes: list[int] | None,
    scan_input_directions: list[int] | None,
    scan_output_axes: list[int] | None,
    scan_output_directions: list[int] | None,
    context: Context,
) -> tuple[Any, ...]:
    count = len(inputs) - num_scan_inputs
    state, sequences = list(inputs[:count]), inputs[count:]
    axes = scan_input_axes or [0] * num_scan_inputs
    backward = scan_input_directions or [0] * num_scan_inputs
    length = sequences[0].shape[axes[0]]
    columns: list[list[Any]] = [[] for _ in range(len(body.outputs) - count)]
    for turn in range(length):
        slices = [
            sequence.select(axis, length - 1 - turn if back else turn)
            for sequence, axis, back in zip(sequences, axes, backward, strict=True)
        ]
        results = context.run_graph(body, *state, *slices)
        state = list(results[:count])
        for column, value in zip(columns, results[count:], strict=True):
            column.append(value)
    out_axes = scan_output_axes or [0] * len(columns)
    out_backward = scan_output_directions or [0] * len(columns)
    stacked = [
        torch.stack(column[::-1] if back else column, axis)
        for column, axis, back in zip(columns, out_axes, out_backward, strict=True)
    ]
    return (*state, *stacked)


@operator("Scan", since=8, host=(0,))
def scan_8(
    lengths: Tensor | None,
    *inputs: Any,
    body: Block,
    directions: list[int] | None,
    num_scan_inputs: int,
    context: Context,
) -> tuple[Any, ...]:
    """The first form: a batch axis in front of everything, and a length a sequence."""
    results: list[tuple[Any, ...]] = []
    count = len(inputs) - num_scan_inputs
    longest = inputs[count].shape[1]
    for item in range(inputs[0].shape[0]):
        steps = longest if lengths is None else int(lengths[item])
        picked = [value[item] for value in inputs[:count]]
        picked += [value[item][:steps] for value in inputs[count:]]
        found = scan(
            *picked,
            body=body,
            num_scan_inputs=num_scan_inputs,
            scan_input_axes=None,
            scan_input_directions=directions,
            scan_output_axes=None,
            scan_output_directions=None,
            context=context,
        )
        tails = [_lengthened(value, longest) for value in found[count:]]
        results.append((*found[:count], *tails))
    return tuple(torch.stack(column) for column in zip(*results, strict=True))


def _lengthened(x: Tensor, length: int) -> Tensor:
    missing = length - x.shape[0]
    return torch.cat([x, x.new_zeros((missing, *x.shape[1:]))]) if missing else x
