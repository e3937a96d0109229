"""How much does the score fall when a window of the input is hidden? Occlusion."""

from __future__ import annotations

import itertools

from inspector.errors import BadInput
from inspector.methods.axes import axes_of
from inspector.methods.perturbation.masking import hidden_input
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["occlusion"]


@method(
    "occlusion",
    family="perturbation",
    paper="arXiv:1311.2901",
    unit="fall of the score",
    cost="1 forward a window",
)
def occlusion(subject: Subject, *, window: int = 0, stride: int = 0, baseline: str = "zero") -> Map:
    """The fall of the score when a window is hidden, averaged over those that hide a place (section 4.2).

    `window` and `stride` are in places; 0 takes an eighth of the longer side, and half the window.

    Raises:
        BadInput: a window larger than the input.
    """
    x, places = subject.x, subject.input_size()
    if not (0 <= window <= max(places) and stride >= 0):
        raise BadInput(f"window {window}, stride {stride}: expected 0 to {max(places)}, and 0 or more.")
    side = window or max(1, max(places) // 8)
    step = stride or max(1, side // 2)
    lead = 0 if subject.is_embedding else x.ndim - len(places) - 1
    hidden = hidden_input(subject, baseline)
    full = subject.own_score
    total = x.new_zeros((x.shape[0], *places), dtype=full.dtype)
    count = total.new_zeros(places)
    starts = [_starts(size, side, step) for size in places]
    singles = [subject.row(i) for i in range(x.shape[0])]
    corners = list(itertools.product(*starts))
    for first in track(range(0, len(corners), 16), "Occluding", -(-len(corners) // 16)):
        part = corners[first : first + 16]
        for row, one in enumerate(singles):
            variants = x[row : row + 1].repeat(len(part), *[1] * (x.ndim - 1))
            for number, corner in enumerate(part):
                where = (slice(None),) * lead + _window(corner, side)
                variants[number][where] = hidden[row][where]
            fall = full[row] - one.score(variants)
            for number, corner in enumerate(part):
                total[row][_window(corner, side)] += fall[number]
        for corner in part:
            count[_window(corner, side)] += 1
    axes = ("n", "h", "w") if len(places) == 2 else ("n", "t") if x.ndim == 3 else axes_of(x)
    return Map(total / count, axes, baseline=baseline)


def _starts(size: int, side: int, step: int) -> list[int]:
    """Starts of windows that cover an axis; the last one ends with it."""
    last = max(0, size - side)
    return sorted({*range(0, last + 1, step), last})


def _window(corner: tuple[int, ...], side: int) -> tuple[slice, ...]:
    return tuple(slice(start, start + side) for start in corner)
