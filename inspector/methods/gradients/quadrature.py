"""Where along a path is a gradient taken, and with which weight? Rules on [0, 1] whose weights sum to 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput, UnknownName

__all__ = ["QUADRATURES", "nodes_of"]

Floats = npt.NDArray[np.float64]


def _gauss_legendre(count: int) -> tuple[Floats, Floats]:
    places, weights = np.polynomial.legendre.leggauss(count)
    return (places + 1) / 2, weights / 2


def _midpoint(count: int) -> tuple[Floats, Floats]:
    return (np.arange(count) + 0.5) / count, np.full(count, 1 / count)


def _trapezoid(count: int) -> tuple[Floats, Floats]:
    if count < 2:
        raise BadInput("the trapezoid rule needs at least 2 steps: both ends.")
    weights = np.full(count, 1 / (count - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, count), weights


def _left(count: int) -> tuple[Floats, Floats]:
    return np.arange(count) / count, np.full(count, 1 / count)


def _right(count: int) -> tuple[Floats, Floats]:
    return (np.arange(count) + 1) / count, np.full(count, 1 / count)


QUADRATURES: Mapping[str, Callable[[int], tuple[Floats, Floats]]] = {
    "gauss-legendre": _gauss_legendre,
    "midpoint": _midpoint,
    "trapezoid": _trapezoid,
    "left": _left,
    "right": _right,
}


def nodes_of(rule: str, count: int) -> tuple[Floats, Floats]:
    """Places in [0, 1] and weights, `count` of each.

    Raises:
        UnknownName: no such rule.
        BadInput: too few steps.
    """
    if rule not in QUADRATURES:
        raise UnknownName.among("quadrature", rule, QUADRATURES)
    if count < 1:
        raise BadInput(f"steps must be at least 1, got {count}.")
    return QUADRATURES[rule](count)
