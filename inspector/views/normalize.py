"""How does a raw map become 0..1, and which sentence says so?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.colors import SEQUENTIAL, SIGNED
from inspector.views.values import Array, Facts, as_floats, facts_of
from inspector.views.wording import number

__all__ = ["Scale", "scale_of"]

NEAR_ZERO = 0.25  # of the far end


@dataclass(frozen=True)
class Scale:
    """`low` is drawn as 0 and `high` as 1; `signed` scales have zero in the middle.

    `clipped`: whether values beyond the low and the high end exist.
    """

    low: float
    high: float
    signed: bool
    sentence: str
    clipped: tuple[bool, bool] = (False, False)

    @property
    def colors(self) -> str:
        """The default colour map for this scale."""
        return SIGNED if self.signed else SEQUENTIAL

    def bounds(self, digits: int = 3) -> str:
        """'±2.1' or '0 … 0.5', to so many digits."""
        if self.signed:
            return f"±{number(self.high, digits)}"
        return f"{number(self.low, digits)} … {number(self.high, digits)}"

    def place(self, values: npt.ArrayLike) -> Array:
        """Any shape -> 0..1, values beyond the ends clipped, what is not finite becomes NaN."""
        floats = as_floats(values).astype(np.float64)
        floats = np.where(np.isfinite(floats), floats, np.nan)
        half = self.high / 2 - self.low / 2  # the whole width may overflow
        if half <= 0:
            return np.where(np.isnan(floats), np.nan, 0.5 if self.signed else 0.0)
        return np.clip((floats / 2 - self.low / 2) / half, 0.0, 1.0)


def scale_of(values: npt.ArrayLike, *, signed: bool | None = None, clip: float = 0.0) -> Scale:
    """The scale on which all of `values` is drawn.

    `signed`: symmetric about zero; None decides by whether both signs occur. `clip`: per cent of the
    values that may lie beyond the ends (half at each end, or all by magnitude on a signed scale), so
    that a few outliers do not darken the rest.
    """
    if not 0.0 <= clip < 100.0:
        raise BadInput(f"clip is per cent of the values, 0 <= clip < 100, not {clip}.")
    floats = as_floats(values)
    facts = facts_of(floats)
    if facts.finite == 0:
        return Scale(0.0, 1.0, bool(signed), "No finite value")
    both = facts.low < 0 < facts.high if signed is None else signed
    clip = clip if clip * facts.finite >= 100.0 else 0.0  # less than one value
    low, high = _ends(floats, facts, both, clip)
    beyond = (facts.low < low, facts.high > high)
    cut = f", up to {number(clip)} % of the values beyond it" if any(beyond) else ""
    if both:
        return Scale(low, high, True, f"symmetric about zero, ±{number(high)}{cut}", beyond)
    if facts.low == facts.high:
        low = high = facts.low
        return Scale(low, high, False, f"constant, {number(low)} everywhere")
    return Scale(low, high, False, f"{number(low)} … {number(high)}{cut}", beyond)


def _ends(floats: Array, facts: Facts, signed: bool, clip: float) -> tuple[float, float]:
    """Both ends of the scale; clipping that would leave no width is not done."""
    bound = max(abs(facts.low), abs(facts.high))
    if clip == 0.0:
        return (-bound, bound) if signed else _from_zero(facts.low, facts.high, facts)
    finite = floats[np.isfinite(floats)]
    if signed:
        bound = float(np.percentile(np.abs(finite), 100.0 - clip)) or bound
        return -bound, bound
    low, high = (float(end) for end in np.percentile(finite, [clip / 2, 100.0 - clip / 2]))
    return _from_zero(low, high, facts) if low < high else (facts.low, facts.high)


def _from_zero(low: float, high: float, facts: Facts) -> tuple[float, float]:
    """Values of one sign that come near zero are drawn from zero on."""
    if facts.low >= 0 and low <= NEAR_ZERO * high:
        return 0.0, high
    if facts.high <= 0 and high >= NEAR_ZERO * low:
        return low, 0.0
    return low, high
