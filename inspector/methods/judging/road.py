"""Does removing what the map calls important hurt more than removing the rest? ROAD."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve

from inspector.errors import BadInput
from inspector.methods.judging.insertion import most_important
from inspector.methods.judging.measures import Judged, Measurement, measure

__all__ = ["imputed", "road"]

SHARES = (0.2, 0.4, 0.6, 0.8)
NOISE = 0.01
"""Of the input's range; keeps the filled places from being told by their smoothness."""

NEAR, DIAGONAL = 1 / 6, 1 / 12
"""Weights of a place's neighbours (section 4.3)."""

NEIGHBOURS = {
    **dict.fromkeys([(0, 1), (0, -1), (1, 0), (-1, 0)], NEAR),
    **dict.fromkeys([(1, 1), (1, -1), (-1, 1), (-1, -1)], DIAGONAL),
}


@measure("road", paper="arXiv:2202.00449", better="higher")
def road(judged: Judged) -> Measurement:
    """Answer without the least important places minus answer without the most important, mean over shares.

    Removed places are filled by noisy linear imputation, so that no holes tell them.

    Raises:
        BadInput: the input is no picture with channels first.
    """
    x = judged.subject.x
    if x.ndim != 4 or judged.places.shape != tuple(x.shape[2:]):
        raise BadInput("road fills places of pictures (n, c, h, w) from their neighbours; this is none.")
    pixels = x[0].detach().cpu().double().numpy()
    rng = np.random.default_rng(judged.subject.seed)
    variants: list[npt.NDArray[np.float64]] = []
    for share in SHARES:
        for places in (judged.places, -judged.places):
            variants.append(imputed(pixels, most_important(places, share), rng))
    answers = judged.answer(torch.from_numpy(np.stack(variants)).to(x)).double().numpy()
    without_most, without_least = answers[::2], answers[1::2]
    curve = (SHARES, tuple((without_least - without_most).tolist()))
    return Measurement(float((without_least - without_most).mean()), curve)


def imputed(
    pixels: npt.NDArray[np.float64], holes: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Pixels (c, h, w) with every hole the weighted mean of its neighbours, holes included, plus noise.

    Neighbours beyond the edge are left out and the weights of the others raised.
    """
    number = np.full(holes.shape, -1)
    number[holes] = np.arange(holes.sum())
    rows, columns = np.nonzero(holes)
    entries: list[tuple[npt.NDArray[Any], ...]] = []
    known = np.zeros((len(rows), pixels.shape[0]))
    total = np.zeros(len(rows))
    for (down, right), weight in NEIGHBOURS.items():
        r, c = rows + down, columns + right
        inside = (r >= 0) & (r < holes.shape[0]) & (c >= 0) & (c < holes.shape[1])
        index = np.nonzero(inside)[0]
        r, c = r[inside], c[inside]
        total[index] += weight
        open_ = number[r, c] >= 0
        entries.append((index[open_], number[r, c][open_], np.full(int(open_.sum()), -weight)))
        known[index[~open_]] += weight * pixels[:, r[~open_], c[~open_]].T
    diagonal = np.arange(len(rows))
    entries.append((diagonal, diagonal, total))
    i, j, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    matrix: Any = sparse.csc_matrix((values, (i, j)), shape=(len(rows), len(rows)))
    filled = np.asarray(spsolve(matrix, known)).reshape(len(rows), -1)
    noise = NOISE * (pixels.max() - pixels.min()) * rng.standard_normal(filled.shape)
    made = pixels.copy()
    made[:, rows, columns] = (filled + noise).T
    return made
