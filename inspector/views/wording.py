"""How are numbers, shapes and counts written in titles and captions?"""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["count_text", "not_finite_text", "number", "sentences", "shape_text"]


def number(value: float, digits: int = 3) -> str:
    """Short, with a real minus sign: 0.00123 -> '0.00123', -1234567 -> '−1.23e6'."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        if 0 <= int(exponent) < 6:
            text = f"{value:.0f}"
        else:
            text = f"{mantissa}e{int(exponent)}"
    return "0" if text in ("0", "-0") else text.replace("-", "−")


def shape_text(shape: Iterable[int]) -> str:
    """(1, 3, 224, 224) -> '1×3×224×224'; 'scalar' without axes."""
    return "×".join(str(n) for n in shape) or "scalar"


def count_text(count: int, noun: str) -> str:
    """1 -> '1 map', 12345 -> '12,345 maps'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def not_finite_text(nan: int, inf: int) -> str:
    """'3 NaN and 1 infinite cells marked in magenta.', or '' when every cell holds a number."""
    parts = [f"{nan:,} NaN"] * bool(nan) + [f"{inf:,} infinite"] * bool(inf)
    return (
        f"{' and '.join(parts)} {'cell' if nan + inf == 1 else 'cells'} marked in magenta." if parts else ""
    )


def sentences(*parts: str) -> str:
    """Join the parts that are not empty, each ending with a full stop."""
    stripped = [part.strip() for part in parts if part.strip()]
    return " ".join(part if part[-1] in ".!?:" else part + "." for part in stripped)
