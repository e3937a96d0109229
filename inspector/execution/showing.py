"""How does a capture look in a notebook? Its values as a table, with the statistics of those at hand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.table import Table

from inspector.cards import MAX_ROWS, card
from inspector.execution.moments import Moments

if TYPE_CHECKING:
    from inspector.execution.capturing import Capture

__all__ = ["show_capture"]


def show_capture(capture: Capture) -> str:
    """HTML: a row a value in graph order; nothing is replayed or run for it."""
    table = Table("value", "shape", "type", "min", "max", "mean", "std")
    for key in islice(capture, MAX_ROWS):
        planned = capture.plan.values[key]
        shape = "×".join(map(str, planned.shape or ())) or "scalar"
        table.add_row(key, shape, planned.dtype, *_numbers(capture.statistics, key, capture.kept.get(key)))
    lines = [
        f"{len(capture):,} values of the {capture.graph} graph of {capture.model.name}, on {capture.device}."
    ]
    if len(capture) > MAX_ROWS:
        lines.append(f"The first {MAX_ROWS} are listed; list(capture) has all.")
    return card(Group(*lines, *(f"Note: {note}" for note in capture.notes), table))


def _numbers(statistics: Mapping[str, Moments], key: str, kept: Any) -> list[str]:
    if not isinstance(kept, np.ndarray) or kept.dtype.kind in "OUS":
        return ["–"] * 4
    found = statistics[key]
    numbers = (found.minimum, found.maximum, found.mean, found.std)
    return ["–" if number is None else f"{number:.4g}" for number in numbers]
