"""A run failed on sizes that the file leaves open: which would run? Tried out, as no file says it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from inspector.errors import BadInput, InspectorError
from inspector.execution.session import RunFailed, open_session, run
from inspector.model import Model, Value

__all__ = ["sizes_told"]

Array = np.ndarray[Any, np.dtype[Any]]

SIZES = (
    16,
    32,
    48,
    64,
    96,
    112,
    128,
    160,
    192,
    224,
    256,
    299,
    320,
    384,
    448,
    512,
    640,
    768,
    1024,
    1536,
    2048,
)
"""What pictures, tokens and pieces of sound usually measure. None above the given size and 1024 is tried."""

TOLD = 3
"""How many sizes that run are named."""


@contextmanager
def sizes_told(model: Model, feeds: Mapping[str, Array]) -> Generator[None]:
    """Add to the error of a run inside the sizes that would have run.

    Raises:
        BadInput: instead of the run's own error.
    """
    try:
        yield
    except RunFailed as cause:
        raise BadInput(f"{cause}{_hint(model, feeds)}") from None


def _hint(model: Model, feeds: Mapping[str, Array]) -> str:
    open_inputs = [(feeds[value.key], value, axes) for value in model.inputs if (axes := _open(value, feeds))]
    if not open_inputs:
        return ""
    given, value, axes = max(open_inputs, key=lambda entry: entry[0].size)
    largest = max(1024, *(given.shape[axis] for axis in axes))
    session = open_session(model)
    sizes: list[int] = []
    for size in (size for size in SIZES if size <= largest):
        try:
            run(session, {**feeds, value.key: np.resize(given, _resized(given.shape, axes, size))})
        except InspectorError:
            continue
        sizes.append(size)
    if not sizes:
        return ""
    sizes.sort(key=lambda size: (size & (size - 1), -size))  # powers of two, which are most usual, first
    named = ["×".join(map(str, _resized(given.shape, axes, size))) for size in sizes[:TOLD]]
    return (
        f" {model.name} leaves sizes of input {value.key!r} open, but does not take all of them. "
        f"{'×'.join(map(str, given.shape))} was given; {' or '.join(named)} can be run: "
        "cut or resize the input to such a size."
    )


def _resized(shape: tuple[int, ...], axes: tuple[int, ...], size: int) -> tuple[int, ...]:
    return tuple(size if axis in axes else have for axis, have in enumerate(shape))


def _open(value: Value, feeds: Mapping[str, Array]) -> tuple[int, ...]:
    """Axes behind the first, which is the batch, whose size the file does not fix."""
    if value.key not in feeds or not value.shape:
        return ()
    return tuple(axis for axis, dim in enumerate(value.shape) if axis and not isinstance(dim, int))
