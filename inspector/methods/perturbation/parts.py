"""Which parts of an input are hidden together? Superpixels, a grid, pieces of time, tokens or numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skimage import segmentation
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.axes import axes_of
from inspector.methods.perturbation.masking import hidden_input
from inspector.methods.registry import Map
from inspector.methods.subject import Subject

__all__ = ["PARTS", "Labels", "Parts", "by_rows", "cut_row"]

Labels = npt.ArrayLike | None
"""Own parts: a whole number for every place."""

PARTS = ("superpixels", "grid", "each")
BATCH = 16
"""Variants of the input that are held at once."""


@dataclass(frozen=True, eq=False)
class Parts:
    """One row of the explained value cut into parts.

    `labels` (places) holds the part of every place, 0 … count - 1; `lead` is how many axes (the row's
    channels) stand before the places, `trail` how many after.
    """

    subject: Subject
    hidden: Tensor
    labels: Tensor
    lead: int
    trail: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return int(self.labels.max()) + 1

    def scores(self, shown: Tensor) -> Tensor:
        """Scores (k,) of the input with only some parts shown: `shown` (k, count) is boolean."""
        found = [self._batch(piece) for piece in shown.split(BATCH)]
        return torch.cat(found).to("cpu", torch.float64)

    def _batch(self, shown: Tensor) -> Tensor:
        x = self.subject.x
        masks = shown[:, self.labels].to(x.device)
        masks = masks.reshape(len(shown), *[1] * self.lead, *self.labels.shape, *[1] * self.trail)
        return self.subject.score(torch.where(masks, x, self.hidden))

    def spread(self, values: Tensor) -> Tensor:
        """A number a part (count,) as a map over the places."""
        return values[self.labels]


def by_rows(
    subject: Subject,
    solve: Callable[[Parts], tuple[Tensor, Tensor | None]],
    *,
    parts: str,
    count: int,
    baseline: str,
    labels: Labels,
) -> Map:
    """`solve` gives every part's value and what they miss of the score; applied to each row, as a map."""
    maps: list[Tensor] = []
    missed: list[Tensor] = []
    for row in range(subject.x.shape[0]):
        cut = cut_row(subject.row(row), kind=parts, count=count, baseline=baseline, given=labels)
        values, residual = solve(cut)
        maps.append(cut.spread(values))
        missed += [] if residual is None else [residual]
    places = maps[0].ndim
    axes = ("n", "h", "w") if places == 2 else ("n", "t") if subject.x.ndim > 2 else axes_of(maps[0][None])
    return Map(torch.stack(maps), axes, torch.stack(missed) if missed else None, baseline=baseline)


def cut_row(subject: Subject, *, kind: str, count: int, baseline: str, given: Labels = None) -> Parts:
    """The only row of a subject cut into about `count` parts.

    `kind` is "superpixels" or "grid" for pictures, "each" for every place, "" for the usual choice:
    superpixels, tokens, every number of a table, and `count` equal pieces of a signal.

    Raises:
        BadInput: superpixels of what is no picture, or labels of another shape.
    """
    x = subject.x
    token_ids, embedding = not x.is_floating_point(), subject.is_embedding
    lead, trail = (0, x.ndim - 2) if token_ids or embedding or x.ndim == 2 else (1, 0)
    places = tuple(x.shape[1 + lead : x.ndim - trail])
    if given is not None:
        labels = np.unique(np.asarray(given), return_inverse=True)[1].reshape(np.shape(given))
        if labels.shape != places:
            raise BadInput(f"labels: expected one for each of {list(places)}, got {list(labels.shape)}.")
    elif len(places) == 2 and kind != "each":
        labels = _picture(x[0], kind or "superpixels", count)
    elif kind in ("superpixels", "grid"):
        raise BadInput(f"parts {kind!r} are for pictures (n, c, h, w); this input has places {list(places)}.")
    else:
        labels = np.arange(np.prod(places)).reshape(places)
        if lead and kind != "each" and len(places) == 1:
            labels = labels * min(count, labels.size) // labels.size
    made = torch.from_numpy(np.ascontiguousarray(labels.astype(np.int64)))
    return Parts(subject, hidden_input(subject, baseline), made, lead, trail)


def _picture(x: Tensor, kind: str, count: int) -> npt.NDArray[Any]:
    pixels = x.detach().cpu().double().movedim(0, -1).numpy()
    height, width, channels = pixels.shape
    if kind == "grid":
        side = max(1, round((height * width / count) ** 0.5))
        rows, columns = np.arange(height) // side, np.arange(width) // side
        return rows[:, None] * (columns[-1] + 1) + columns
    if kind != "superpixels":
        raise BadInput(f"parts {kind!r}: expected one of {', '.join(PARTS)}.")
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / (high - low if high > low else 1)
    found = segmentation.slic(pixels, n_segments=count, compactness=10 if channels == 3 else 0.1,
                 convert2lab=channels == 3, start_label=0)  # fmt: skip
    return np.unique(found, return_inverse=True)[1].reshape(height, width)
