"""How is the score itself shared among the input? Layer-wise relevance propagation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inspector.autograd.gates import Gate, gates_of
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
    unit="part of the score",
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
    epsilon-w-square. Attention and normalisations follow AttnLRP (arXiv:2402.05602). What
    stored biases keep is listed in `kept`; the residual is that plus what epsilon and Softmax hold.
    """
    if composite not in COMPOSITES:
        raise UnknownName.among("composite", composite, COMPOSITES)
    if epsilon < 0 or alpha < 1:
        raise BadInput(f"epsilon must be at least 0 and alpha at least 1; got {epsilon:g} and {alpha:g}.")
    merged = folded(subject)
    record = recorded(merged, subject.x)
    seeds = seeds_of(merged, record.scored)
    started = {key: seed * record.scored[key] for key, seed in seeds.items()}
    low, high = _bounds(merged) if COMPOSITES[composite][0] == "z-box" else (subject.x, subject.x)
    settings = Settings(epsilon, gamma, alpha, low, high)
    rule = _rule(record.calls, COMPOSITES[composite], settings, gates_of(merged.net))
    parts = walked_back(record.calls, started, rule)
    found = parts.get(subject.entry)
    values = torch.zeros_like(subject.x) if found is None else subject.as_seen(found)
    residual = subject.score() - values.flatten(1).sum(1)
    kept = {key: float(parts[key]) for key in parts.keys() & merged.net.weights.keys()}
    ordered = dict(sorted(kept.items(), key=lambda item: -abs(item[1])))
    return Map(values, axes_of(subject.x), residual, kept=ordered, notes=_told(ordered, residual))


def _told(kept: Mapping[str, float], residual: Tensor) -> tuple[str, ...]:
    """A sentence on where the missing relevance is."""
    if not any(kept.values()):
        return ()
    key, most = next(iter(kept.items()))
    held = sum(kept.values())
    return (
        f"Stored biases keep {held:.4g} of the score (most: {key} {most:.4g}); epsilon and rules that do not "
        f"conserve, as Softmax's, keep {float(residual.sum()) - held:.2g}.",
    )


def _rule(
    calls: tuple[Call, ...], names: tuple[str, str, str], settings: Settings, gates: Mapping[str, Gate]
) -> Callable[[int, Given], dict[int, Tensor]]:
    weighted = [i for i, call in enumerate(calls) if _has_weight(call)]

    def rule(index: int, given: Given) -> dict[int, Tensor]:
        call = calls[index]
        if call.step.key in gates and given[0] is not None:  # one activation: all to what it is applied to
            return {gates[call.step.key].carrier: given[0]}
        if index not in weighted or given[0] is None:
            return passed_back(call, given, settings.epsilon)
        first, convolution, dense = names
        name = dense if call.kind in ("Gemm", "MatMul") else convolution
        shares = RULES[first if index == weighted[0] else name](Layer(call, settings), given[0])
        return {0: shares.passed} | ({2: shares.kept} if len(call.inputs) > 2 else {})

    return rule


def _has_weight(call: Call) -> bool:
    return call.kind in WEIGHTED and call.varying == (0,)


def _bounds(subject: Subject) -> tuple[Tensor, Tensor]:
    """What the input of the first layer with weights lies between: black and white of the recipe, else the
    input's own extremes by row, each sent through what stands before that layer.
    """
    x = subject.x
    if subject.entry in subject.inputs.pictures and subject.entry in subject.inputs.recipes:
        ends = plain_picture(subject, 0), plain_picture(subject, 255)
    else:
        low, high = x.flatten(1).aminmax(dim=1)
        shape = (-1, *[1] * (x.ndim - 1))
        ends = low.reshape(shape).expand_as(x), high.reshape(shape).expand_as(x)
    found: list[Tensor] = []
    for end in ends:
        first = next((call for call in recorded(subject, end).calls if _has_weight(call)), None)
        found.append(end if first is None else first.inputs[0])
    return torch.minimum(*found), torch.maximum(*found)
