"""Does the map foretell how far the score falls when a square is hidden? Infidelity."""

from __future__ import annotations

import numpy as np

from inspector.methods.baselines import baseline_of
from inspector.methods.judging.measures import Judged, Measurement, measure

__all__ = ["infidelity"]

SAMPLES = 50


@measure("infidelity", paper="arXiv:1901.09392", better="lower")
def infidelity(judged: Judged) -> Measurement:
    """Mean square of (the map's sum in a random window − the score's fall without it), definition 2.1.

    The map is first scaled by the best single factor, and the result divided by the mean square of the
    falls: 0 is exact, 1 is no better than a map of zeros. So maps of any unit compare.
    """
    rng = np.random.default_rng(judged.subject.seed)
    places = judged.places
    hidden = np.zeros((SAMPLES, *places.shape), bool)
    for mask in hidden:
        corner = [rng.integers(0, size) for size in places.shape]
        sides = [max(1, int(size * rng.uniform(0.1, 0.5))) for size in places.shape]
        mask[tuple(slice(at, at + side) for at, side in zip(corner, sides, strict=True))] = True
    empty = baseline_of(judged.subject, "zero")[0]
    left = judged.subject.score(judged.shown(~hidden, empty)).double().cpu().numpy()
    falls = float(judged.subject.own_score[0]) - left
    sums = (hidden * places).reshape(SAMPLES, -1).sum(1)
    power = float((sums**2).sum())
    factor = float((sums * falls).sum()) / power if power else 0.0
    spread = float((falls**2).mean())
    return Measurement(float(((factor * sums - falls) ** 2).mean()) / spread if spread else 0.0)
