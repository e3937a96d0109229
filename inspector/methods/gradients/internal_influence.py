"""How strongly does each unit of a layer act on the score along a path? Internal influence."""

from __future__ import annotations

from torch import Tensor

from inspector.methods.baselines import Baseline
from inspector.methods.gradients.inner_path import inner_path, layer_axes
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["internal_influence"]

SAME = (
    "Every place of a channel has the same influence, because what follows this layer only averages places. "
    "A layer further down, or conductance, tells them apart."
)


@method(
    "internal-influence",
    family="gradients",
    paper="arXiv:1802.03788",
    unit="score per unit of the layer",
    needs=("gradient", "layer"),
    cost="`steps` forwards and tail backwards",
)
def internal_influence(
    subject: Subject, *, baseline: Baseline = "zero", steps: int = 50, quadrature: str = "gauss-legendre"
) -> Map:
    """The mean gradient of the score at a layer while the input walks from the baseline (Leino et al., eq. 1,
    with the uniform distribution on that line). The map has the layer's own axes.
    """
    path = inner_path(subject, baseline)
    values = path.integrated(quadrature, steps, moving=False)
    axes = layer_axes(subject, path.tail.layer, values)
    notes = (SAME,) if _is_same_everywhere(values, path.tail.layer, subject) else ()
    return Map(values, axes, baseline=path.name, layer=path.tail.layer, notes=notes)


def _is_same_everywhere(values: Tensor, key: str, subject: Subject) -> bool:
    layer = next((layer for layer in subject.layers if layer.key == key), None)
    if layer is None:
        return False
    cells = (values if layer.layout == "first" else values.movedim(-1, 1)).flatten(2)[..., layer.skip :]
    return bool(cells.amax(2).sub(cells.amin(2)).abs().amax() <= 1e-6 * cells.abs().amax())
