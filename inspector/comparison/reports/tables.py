"""What do the tables of a comparison say? Rows of words, the same for every form."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from inspector.comparison.activations import ActivationChange
from inspector.comparison.comparing import Comparison
from inspector.comparison.distributions import Histogram
from inspector.comparison.weight_changes import WeightChange

__all__ = [
    "ACTIVATION_HEAD",
    "WEIGHT_HEAD",
    "activation_rows",
    "facts",
    "first_words",
    "told_activations",
    "told_weights",
    "weight_rows",
]

WEIGHT_HEAD = ("weight of A", "of B", "state", "max abs", "relative L2", "cosine", "b − a", "what")
ACTIVATION_HEAD = ("value of A", "of B", "max abs", "relative L2", "cosine", "SNR dB", "b − a", "")

Row = tuple[str, ...]
_HEIGHTS = "·▁▂▃▄▅▆▇█"
_LETTERS = 9


def facts(found: Comparison) -> list[str]:
    """Counts in sentences: nodes, weights by state, activations."""
    matched = len(found.pairs)
    lines = [
        f"Structure: {matched:,} node pairs, {len(found.only_a):,} only in A, {len(found.only_b):,} only "
        f"in B (similarity {found.similarity:.3f})."
    ]
    states = Counter(change.state for change in found.weights)
    if states:
        told = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
        lines.append(f"Weights: {len(found.weights):,} compared: {told}.")
    if found.activations:
        agree = sum(change.agrees for change in found.activations)
        worst = max((c.difference.relative for c in found.activations if c.difference), default=math.nan)
        sample = f"{found.samples} sample{'s' * (found.samples != 1)}"
        lines.append(
            f"Activations: {agree:,} of {len(found.activations):,} values agree over {sample}, "
            f"largest relative difference {worst:.2g}."
        )
    return lines


def told_weights(found: Comparison, most: int | None = 20) -> list[WeightChange]:
    """Weights that are not equal, the largest change first."""
    return [change for change in found.weights if change.state != "equal"][:most]


def weight_rows(found: Comparison, most: int | None = 20) -> list[Row]:
    """What the table of weights says."""
    return [_weight_row(change) for change in told_weights(found, most)]


def bars(histogram: Histogram | None) -> str:
    """A histogram as a few letters of growing height, by the root of the counts; gaps are dots."""
    if histogram is None:
        return ""
    groups = [int(part.sum()) for part in np.array_split(np.array(histogram[0]), _LETTERS)]
    steps = [math.ceil((len(_HEIGHTS) - 1) * math.sqrt(count / max(groups))) for count in groups]
    return "".join(_HEIGHTS[step] for step in steps)


def _weight_row(change: WeightChange) -> Row:
    measured = change.difference
    detail = change.detail
    if change.values and measured is not None and not detail:
        detail = f"{change.values:,} of {measured.size:,} values"
    figures = ("–", "–", "–")
    if measured is not None:
        figures = (f"{measured.max_abs:.3g}", f"{measured.relative:.3g}", f"{measured.cosine:.6f}")
    return (change.a, change.b, change.state, *figures, bars(change.histogram), detail)


def told_activations(found: Comparison, most: int | None = 12) -> list[tuple[ActivationChange, str]]:
    """Values that differ in graph order, then the outputs, each with what it is."""
    first = [change for change in found.activations if not change.agrees][:most]
    ends = [change for change in found.outputs if change.a not in {c.a for c in first}]
    return [(change, "differs") for change in first] + [
        (change, "output agrees" if change.agrees else "output differs") for change in ends
    ]


def activation_rows(found: Comparison, most: int | None = 12) -> list[Row]:
    """What the table of activations says."""
    return [_activation_row(change, what) for change, what in told_activations(found, most)]


def _activation_row(change: ActivationChange, what: str) -> Row:
    measured = change.difference
    if measured is None:
        return (change.a, change.b, "–", "–", "–", "–", "", f"{what}: shapes do not fit")
    snr = f"{measured.snr:.1f}" if math.isfinite(measured.snr) else "∞"
    return (
        change.a, change.b, f"{measured.max_abs:.3g}", f"{measured.relative:.3g}", f"{measured.cosine:.6f}",
        snr, bars(change.histogram), what,
    )  # fmt: skip


def first_words(found: Comparison) -> str:
    """The first divergence in a sentence, or ""."""
    first = found.first_divergence
    if first is None:
        return ""
    measured = first.change.difference
    size = "shapes do not fit" if measured is None else f"relative {measured.relative:.3g}"
    after = f", right after {', '.join(first.since[:3])}" if first.since else ""
    moved = f"; moved on the way: {', '.join(dict.fromkeys(first.layout))}" if first.layout else ""
    return (
        f"Values part at {first.pair.a.op} {first.node!r} / {first.pair.b.key!r} ({size}){after}. "
        f"Likely cause: {first.cause}: {first.reason}{moved}."
    )
