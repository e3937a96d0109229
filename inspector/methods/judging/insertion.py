"""How fast does the answer come back, or vanish, when places are shown or hidden in the map's order?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from inspector.methods.baselines import baseline_of
from inspector.methods.judging.measures import Judged, Measurement, measure

__all__ = ["deletion", "insertion", "most_important"]

STEPS = 20


@measure("insertion", paper="arXiv:1806.07421", better="higher")
def insertion(judged: Judged) -> Measurement:
    """Area under the answer as the most important places return to a blurred input (section 4.2)."""
    blurred = baseline_of(judged.subject, "blur")[0]
    return _area(judged, [most_important(judged.places, k / STEPS) for k in range(STEPS + 1)], blurred)


@measure("deletion", paper="arXiv:1806.07421", better="lower")
def deletion(judged: Judged) -> Measurement:
    """Area under the answer as the most important places are replaced by zeros (section 4.2)."""
    empty = baseline_of(judged.subject, "zero")[0]
    return _area(judged, [~most_important(judged.places, k / STEPS) for k in range(STEPS + 1)], empty)


def most_important(places: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.bool_]:
    """The places that hold the largest `share` of the map; ties in reading order.

    Values that agree to nine digits of the largest are ties: the border of an enlarged map holds equal
    values that rounding tells apart, and differently so on every device.
    """
    steps = np.round(places / (np.abs(places).max() or 1.0), 9)
    order = np.argsort(-steps, axis=None, kind="stable")
    chosen = np.zeros(places.size, bool)
    chosen[order[: round(share * places.size)]] = True
    return chosen.reshape(places.shape)


def _area(judged: Judged, kept: list[npt.NDArray[np.bool_]], other: Tensor) -> Measurement:
    answers = judged.answer(judged.shown(np.stack(kept), other)).double().numpy()
    shares = np.linspace(0, 1, len(answers))
    curve = (tuple(shares.tolist()), tuple(answers.tolist()))
    return Measurement(float(np.trapezoid(answers, shares)), curve)
