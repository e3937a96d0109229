"""How is the score itself shared among the input? Layer-wise relevance propagation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inspector.errors import BadInput, UnknownName
from inspector.methods.axes import axes_of
from inspector.methods.baselines import plain_picture
from inspector.methods.gradients.prefix import folded
from inspector.methods.registry import Map, method
from inspector.methods.rules.passing import passed_back
from inspector.methods.rules.relevance import Call, Given, recorded, seeds_of, walked_back
from inspector.methods.rules.weighted import RULES, Layer, Settings
from inspector.methods.subject import Subject

__all__ = ["COMPOSITES", "lrp"]

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
COMPOSITES: Mapping[str, tuple[str, str, str]] = {
    **{rule: (rule, rule, rule) for rule in RULES if rule != "z-box"},
    "epsilon-plus": ("z-plus", "z-plus", "epsilon"),
    "epsilon-plus-flat": ("flat", "z-plus", "epsilon"),
    "epsilon-gamma-box": ("z-box", "gamma", "epsilon"),
    "epsilon-alpha-beta": ("alpha-beta", "alpha-beta", "epsilon"),
    "epsilon-w-square": ("w-square", "epsilon", "epsilon"),
}
"""Rules of the first layer with weights, of convolutions and of dense layers."""


@method(
    "lrp",
    family="rules",
    paper="10.1371/journal.pone.0130140",
    needs=("gradient",),
    cost="1 forward, 1–4 backwards",
)
def lrp(
    subject: Subject,
    *,
    composite: str = "epsilon",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    alpha: float = 2.0,
) -> Map:
    """The score handed back layer by layer, each layer sharing what it got (Bach et al., eq. 3 and 58 to 60).

    BatchNorm is merged into convolutions first. `composite`: one rule for all (epsilon, gamma, alpha-beta,
    z-plus, w-square, flat) or epsilon-plus, epsilon-plus-flat, epsilon-gamma-box, epsilon-alpha-beta,
    epsilon-w-square. Biases and epsilon keep their share: the residual is what they hold.
    """
    if composite not in COMPOSITES:
        raise UnknownName.among("composite", composite, COMPOSITES)
    if epsilon < 0 or alpha < 1:
        raise BadInput(f"epsilon must be at least 0 and alpha at least 1; got {epsilon:g} and {alpha:g}.")
    merged = folded(subject)
    record = recorded(merged, subject.x)
    seeds = seeds_of(merged, record.scored)
    started = {key: seed * record.scored[key] for key, seed in seeds.items()}
    low, high = _bounds(subject)
    rule = _rule(record.calls, COMPOSITES[composite], Settings(epsilon, gamma, alpha, low, high))
    found = walked_back(record.calls, started, rule).get(subject.entry)
    values = torch.zeros_like(subject.x) if found is None else subject.as_seen(found)
    return Map(values, axes_of(subject.x), subject.score() - values.flatten(1).sum(1))


def _rule(
    calls: tuple[Call, ...], names: tuple[str, str, str], settings: Settings
) -> Callable[[int, Given], dict[int, Tensor]]:
    weighted = [i for i, call in enumerate(calls) if call.kind in WEIGHTED and call.varying == (0,)]

    def rule(index: int, given: Given) -> dict[int, Tensor]:
        call = calls[index]
        if index not in weighted or given[0] is None:
            return passed_back(call, given, settings.epsilon)
        first, convolution, dense = names
        name = dense if call.kind in ("Gemm", "MatMul") else convolution
        return {0: RULES[first if index == weighted[0] else name](Layer(call, settings), given[0])}

    return rule


def _bounds(subject: Subject) -> tuple[Tensor, Tensor]:
    """What the input lies between: black and white of the recipe, else its own extremes by row."""
    if subject.entry in subject.inputs.pictures and subject.entry in subject.inputs.recipes:
        ends = plain_picture(subject, 0), plain_picture(subject, 255)
        return torch.minimum(*ends), torch.maximum(*ends)
    x = subject.x
    low, high = x.flatten(1).aminmax(dim=1)
    shape = (-1, *[1] * (x.ndim - 1))
    return low.reshape(shape).expand_as(x), high.reshape(shape).expand_as(x)
