"""How can every value be used once without holding them all?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from inspector.execution.capturing import prepare
from inspector.execution.parts import on_host
from inspector.execution.planner import Mode
from inspector.model import Model

__all__ = ["drain", "stream"]


def stream(
    model: Model,
    feeds: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
    values: str | Iterable[str] = "all",
    *,
    device: str = "cpu",
    mode: Mode = "exact",
    budget: int | None = None,
) -> Iterator[tuple[str, Any]]:
    """Key and value of each wanted value, part by part through the graph; memory holds one part.

    In exact mode the values equal bit for bit those of a whole run. With a `budget`, values that fit it come
    from one run.
    """
    strategy = "segments" if budget is None else None
    prepared = prepare(
        model, feeds, values, device=device, mode=mode, budget=budget, strategy=strategy, sweep=True
    )
    for found, _ in prepared.runner.stream(feeds):
        yield from drain(found)


def drain(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Key and value, on the host, of a part's values, each dropped here once it is given."""
    while found:
        key = next(iter(found))
        yield key, on_host(found.pop(key))
