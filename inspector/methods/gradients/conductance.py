"""How much of the score's change flows through each unit of a layer? Conductance."""

from __future__ import annotations

from inspector.methods.baselines import Baseline
from inspector.methods.gradients.inner_path import inner_path, layer_axes
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["conductance"]


@method(
    "conductance",
    family="gradients",
    paper="arXiv:1805.12233",
    unit="part of the score",
    needs=("gradient", "layer"),
    cost="`steps` forwards and 3 backwards",
)
def conductance(
    subject: Subject, *, baseline: Baseline = "zero", steps: int = 50, quadrature: str = "gauss-legendre"
) -> Map:
    """Integrated gradients that pass through each unit of a layer (Dhamdhere et al., eq. 2).

    The map has the layer's own axes; any value between input and score may be the layer. Its sum is the
    score's change where all paths lead through the layer; the residual says what the quadrature, or a way
    around the layer, misses.
    """
    path = inner_path(subject, baseline)
    values = path.integrated(quadrature, steps, moving=True)
    residual = subject.score() - subject.score(path.begin) - values.flatten(1).sum(1)
    axes = layer_axes(subject, path.tail.layer, values)
    return Map(values, axes, residual, baseline=path.name, layer=path.tail.layer)
