"""How are lists of tensors and values that may be absent handled? The Sequence and Optional operators.

A sequence is a Python list, an absent optional is None. Sequences are never changed in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.narrow import Narrow, Value
from inspector.autograd.registry import Context, operator

Item = Any
"""A tensor value, or a sequence of them inside an optional."""


def _place(position: Tensor | None, length: int, *, end: bool = False) -> int:
    """A checked index; `end` allows the place behind the last item."""
    limit = length + int(end)
    place = (length if end else length - 1) if position is None else int(position)
    if not -length <= place < limit:
        raise ValueError(f"position {place} in a sequence of {length}")
    return place + length if place < 0 else place


@operator("SequenceConstruct", since=11)
def sequence_construct(*items: Item) -> list[Item]:
    return list(items)


@operator("SequenceEmpty", since=11)
def sequence_empty(*, dtype: int | None) -> list[Item]:
    return []


@operator("SequenceAt", since=11, host=(1,))
def sequence_at(sequence: list[Item], position: Tensor) -> Item:
    return sequence[_place(position, len(sequence))]


@operator("SequenceErase", since=11, host=(1,))
def sequence_erase(sequence: list[Item], position: Tensor | None = None) -> list[Item]:
    place = _place(position, len(sequence))
    return sequence[:place] + sequence[place + 1 :]


@operator("SequenceInsert", since=11, host=(2,))
def sequence_insert(sequence: list[Item], item: Item, position: Tensor | None = None) -> list[Item]:
    place = _place(position, len(sequence), end=True)
    return [*sequence[:place], item, *sequence[place:]]


@operator("SequenceLength", since=11, differentiable=False)
def sequence_length(sequence: list[Item]) -> Tensor:
    return torch.tensor(len(sequence), dtype=torch.int64)


@operator("SplitToSequence", since=11, host=(1,))
def split_to_sequence(x: Value, split: Tensor | None = None, *, axis: int, keepdims: int) -> list[Value]:
    length = int(x.shape[axis])
    if split is None:
        sizes = [1] * length
    elif split.ndim == 0:
        size = int(split)
        if size <= 0:
            raise ValueError(f"split is {size}, it is a positive length")
        sizes = [size] * (length // size) + ([length % size] if length % size else [])
    else:
        sizes = [int(size) for size in split]
        if sum(sizes) != length:
            raise ValueError(f"split adds up to {sum(sizes)}, axis {axis} has length {length}")
    parts = _cut(x, sizes, axis)
    if split is None and not keepdims:
        return [_squeezed(part, axis) for part in parts]
    return parts


def _cut(x: Value, sizes: list[int], axis: int) -> list[Value]:
    if isinstance(x, np.ndarray):
        return list(np.split(x, np.cumsum(sizes)[:-1].tolist(), axis))
    if isinstance(x, Narrow):
        return [x.with_storage(part) for part in torch.split(x.storage, sizes, axis)]
    return list(torch.split(x, sizes, axis))


def _squeezed(part: Value, axis: int) -> Value:
    if isinstance(part, np.ndarray):
        return np.squeeze(part, axis)
    return part.with_storage(part.storage.squeeze(axis)) if isinstance(part, Narrow) else part.squeeze(axis)


@operator("ConcatFromSequence", since=11)
def concat_from_sequence(sequence: list[Value], *, axis: int, new_axis: int) -> Value:
    if not sequence:
        raise ValueError("an empty sequence has nothing to concatenate")
    first = sequence[0]
    if isinstance(first, np.ndarray):
        strings = [item for item in sequence if isinstance(item, np.ndarray)]
        return np.stack(strings, axis) if new_axis else np.concatenate(strings, axis)
    join = torch.stack if new_axis else torch.cat
    if isinstance(first, Narrow):
        return first.with_storage(join([item.storage for item in sequence if isinstance(item, Narrow)], axis))
    return join([item for item in sequence if isinstance(item, Tensor)], axis)


@operator("SequenceMap", since=17)
def sequence_map(
    sequence: list[Item], *additional: Item, body: Any, context: Context
) -> tuple[list[Item], ...]:
    rows = [
        context.run_graph(
            body, item, *(other[number] if isinstance(other, list) else other for other in additional)
        )
        for number, item in enumerate(sequence)
    ]
    if not rows:
        return tuple([] for _ in context.outputs)
    return tuple(list(column) for column in zip(*rows, strict=True))


@operator("Optional", since=15)
def optional(value: Item = None, *, type: Any) -> Item:
    return value


@operator("OptionalHasElement", since=15, differentiable=False)
def optional_has_element(value: Item = None) -> Tensor:
    return torch.tensor(value is not None)


@operator("OptionalGetElement", since=15)
def optional_get_element(value: Item) -> Item:
    if value is None:
        raise ValueError("the optional holds no value")
    return value
