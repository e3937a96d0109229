"""Do two methods order the places alike? Rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

__all__ = ["agreement", "rank_correlation"]

Places = npt.NDArray[np.float64]


def rank_correlation(one: Places, other: Places) -> float:
    """Spearman's correlation of two maps over the same places; 0 where one is the same everywhere."""
    a, b = (stats.rankdata(np.asarray(m, np.float64), axis=None) for m in (one, other))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / size if size else 0.0


def agreement(maps: Sequence[Places]) -> npt.NDArray[np.float64]:
    """Rank correlation of magnitudes of every map with every other (k, k)."""
    return np.array([[rank_correlation(np.abs(one), np.abs(other)) for other in maps] for one in maps])
