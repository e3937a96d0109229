"""Is the map's weight in few places? The Gini index of its magnitudes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspector.methods.judging.measures import Judged, Measurement, measure

__all__ = ["gini", "sparseness"]


@measure("sparseness", paper="arXiv:1810.06583", better="higher")
def sparseness(judged: Judged) -> Measurement:
    """0 where every place weighs the same, 1 − 1/n where one place holds all."""
    return Measurement(gini(judged.places))


def gini(values: npt.NDArray[np.float64]) -> float:
    """The Gini index of |values|: 1 − 2 Σ_k v_(k)/‖v‖₁ (n − k + ½)/n with v sorted upwards."""
    sizes = np.sort(np.abs(values), axis=None)
    total, n = float(sizes.sum()), sizes.size
    if total == 0:
        return 0.0
    return float(1 - 2 * (sizes / total * (n - np.arange(1, n + 1) + 0.5) / n).sum())
