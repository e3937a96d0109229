"""What does a report hold of a second model? Its structure, the comparison, and figures of all pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inspector import comparison, execution, workbench
from inspector.comparison.mirrored import turned
from inspector.progress import track

if TYPE_CHECKING:
    from inspector.model import Model

__all__ = ["beside"]

_MOST_PAIRS = 600
"""Pairs of weights, and of values, whose statistics are kept; those that differ come first."""

_MOST_ELEMENTS = 1 << 29

Array = npt.NDArray[Any]


def beside(a: Model, b: Model, source: str | None, notes: list[str]) -> dict[str, Any]:
    """The document of `b`, the record of the comparison, the answers of both, and statistics of pairs.

    `weights` and `values` stand in the order of the record's `weights` and `activations`: statistics of A, of
    B with its axes in A's order, and of B − A; null for what was left out, which `notes` then says.
    """
    inputs = None if source is None else [source]
    found = comparison.compare(a, b, inputs)
    record = comparison.record(found)
    made: dict[str, Any] = {"model": workbench.document(b), "record": record, "runs": None, "values": []}
    stored = ({key: w.array for key, w in a.weights.items()}, {key: w.array for key, w in b.weights.items()})
    made["weights"] = _statistics(record["weights"], stored, notes, "weights")
    if found.samples:
        probe = comparison.probes(found.alignment, inputs)[0]
        probe = turned(found.alignment, probe) if found.mirrored else probe
        made["runs"] = {
            side: {"run": side} | execution.predict(model, feeds, top=10).to_dict()
            for side, model, feeds in (("a", a, probe.a), ("b", b, probe.b))
        }
        taken = (_values(a, probe.a), _values(b, probe.b))
        made["values"] = _statistics(record["activations"], taken, notes, "values")
    return made


def _values(model: Model, feeds: Mapping[str, Any]) -> dict[str, Any]:
    taken = execution.capture(model, feeds)
    return {key: lambda key=key: np.asarray(taken[key]) for key in (*taken.feeds, *taken)}


def _statistics(
    rows: list[Mapping[str, Any]],
    sides: tuple[Mapping[str, Any], Mapping[str, Any]],
    notes: list[str],
    what: str,
) -> list[list[Any] | None]:
    """Three summaries a row, the changed rows first while there is room."""
    kept: list[list[Any] | None] = [None] * len(rows)
    changed = sorted(range(len(rows)), key=lambda at: not (rows[at]["difference"] or {}).get("max_abs"))
    left, held = _MOST_ELEMENTS, 0
    for at in track(changed, f"Comparing {what}"):
        row = rows[at]
        if held >= _MOST_PAIRS or row["a"] not in sides[0] or row["b"] not in sides[1]:
            continue
        one, two = sides[0][row["a"]](), sides[1][row["b"]]()
        left -= one.size + two.size
        if left < 0 or one.dtype.kind in "OSU" or two.dtype.kind in "OSU":
            continue
        kept[at] = [workbench.summary_of(array) for array in _laid(one, two, row["order"])]
        held += 1
    if held < len(rows):
        notes.append(f"Statistics of {held:,} of {len(rows):,} pairs of {what} are in this report.")
    return kept


def _laid(one: Array, two: Array, order: Iterable[int]) -> list[Array]:
    """A, B with its axes in A's order, and B − A where they have as many elements."""
    axes = np.argsort(np.asarray(list(order), np.int64))
    if len(axes) == two.ndim:
        two = two.transpose(axes)
    if one.size != two.size:
        return [one, two]
    with np.errstate(invalid="ignore", over="ignore"):
        moved = np.subtract(two.reshape(one.shape), one, dtype=np.result_type(one, two, np.float32))
    return [one, two, moved]
