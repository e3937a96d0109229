"""How is the score's change from a baseline spread over the input? Gradients integrated along a path."""

from __future__ import annotations

from inspector.methods.axes import axes_of
from inspector.methods.baselines import Baseline, baseline_of
from inspector.methods.gradients.path import PIECE, Path, mean_gradient, refined
from inspector.methods.gradients.prefix import start_of
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["integrated_gradients"]


@method(
    "integrated-gradients",
    family="gradients",
    paper="arXiv:1703.01365",
    unit="part of the score",
    needs=("gradient",),
    cost="`steps` backwards",
)
def integrated_gradients(
    subject: Subject,
    *,
    baseline: Baseline = "zero",
    steps: int = 50,
    quadrature: str = "gauss-legendre",
    tolerance: float | None = None,
    most: int = 5000,
    exact: bool = False,
) -> Map:
    """(x - baseline) times the mean gradient between both (Sundararajan et al., eq. 1).

    `baseline`: zero (0 at the network's input), black, white, mean, blur, noise, or an array. `quadrature`:
    gauss-legendre, midpoint, trapezoid, left, right. With a `tolerance` the path is halved where it is
    crooked until the residual is at most that fraction of the score's change, using at most `most` points.
    `exact` runs the whole net unfolded at every step; otherwise BatchNorm is folded and the affine start
    is run once, equal up to rounding.
    """
    begin, name = baseline_of(subject, baseline)
    start = start_of(subject, exact=exact)
    entered = start.enter(begin)
    path = Path(start, entered, start.enter(subject.x) - entered, quadrature)
    notes: tuple[str, ...] = ()
    if tolerance is None:
        gradient = mean_gradient(path, [(0.0, 1.0)], steps)
    else:
        pieces, reached = refined(path, steps, tolerance, most)
        gradient = mean_gradient(path, pieces, PIECE)
        if not reached:
            notes = (f"The tolerance {tolerance:g} was not reached with {PIECE * len(pieces)} steps.",)
    values = (subject.x - begin) * start.leave(gradient)
    residual = subject.score() - subject.score(begin) - values.flatten(1).sum(1)
    return Map(values, axes_of(subject.x), residual, baseline=name, notes=notes)
