"""Which units won, place by place, on the way down from the score? Excitation backpropagation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.cams.weighting import as_places, finish
from inspector.methods.gradients.prefix import folded
from inspector.methods.registry import Map, method
from inspector.methods.rules.lrp import WEIGHTED
from inspector.methods.rules.passing import AVERAGES, passed_back
from inspector.methods.rules.relevance import Call, Given, pulled_back, recorded, seeds_of, walked_back
from inspector.methods.rules.weighted import Layer, Settings, stabilised
from inspector.methods.subject import Subject

__all__ = ["excitation_backprop"]

ADDITIVE = AVERAGES | {"Add", "Sum", "Mean", "ReduceSum", "Pad", "Resize", "Upsample"}


@method(
    "excitation-backprop",
    family="rules",
    paper="arXiv:1608.00507",
    unit="probability of winning",
    needs=("gradient", "layer"),
    cost="1 forward, 2 backwards",
)
def excitation_backprop(subject: Subject, *, contrastive: bool = False) -> Map:
    """The probability that each place of a layer wins when the score is sampled down to it (Zhang et al.,
    eq. 5): a winner picks its child by activation times positive weight; the sum over channels is the map.

    Biases are left out and negative activations count 0, as the paper assumes. `contrastive` subtracts the
    map of the dual unit, whose weights in the last layer are negated (section 3.4), and keeps what is left
    above 0 at each unit; its layer lies below that one. The residual is the probability that did not arrive
    at the layer: it ended at a unit without an excited child, or took a way around.
    """
    if subject.target.expression:
        raise BadInput("excitation-backprop starts at one class: give its index or label as the target.")
    merged = folded(subject)
    record = recorded(merged, subject.x)
    seeds = seeds_of(merged, record.scored)
    if contrastive:
        subject = _below_top(subject, record.calls)
    found = _winning(record.calls, seeds, subject.layer.key, sign=1.0)
    residual = 1 - found.flatten(1).sum(1)
    if contrastive:
        found = (found - _winning(record.calls, seeds, subject.layer.key, sign=-1.0)).clamp(min=0)
    at_layer = as_places(found, subject).sum(1)
    made = finish(at_layer, subject, rectified=False)
    return Map(made.values, made.axes, None if contrastive else residual, at_layer=made.at_layer)


def _below_top(subject: Subject, calls: Sequence[Call]) -> Subject:
    """The subject at a layer below the last one with weights: the named one, else the last there is."""
    top = max(i for i, call in enumerate(calls) if _has_weight(call))
    below = {key for call in calls[:top] for key in call.step.outputs if key}
    if subject.layer.key in below:
        return subject
    known = [layer.key for layer in subject.layers if layer.key in below]
    if subject.layer_name is not None or not known:
        raise BadInput(
            f"contrastive: layer {subject.layer.key!r} is not below the last layer with weights, where the "
            f"dual unit differs; layers with places below it: {', '.join(known) or 'none'}."
        )
    return dataclasses.replace(subject, layer_name=known[-1])


def _has_weight(call: Call) -> bool:
    return call.kind in WEIGHTED and call.varying == (0,)


def _winning(calls: Sequence[Call], seeds: Mapping[str, Tensor], key: str, *, sign: float) -> Tensor:
    """Winning probabilities (the shape of the layer's value); `sign` is that of the top layer's weights."""
    settings = Settings(0.0, 0.0, 1.0, torch.empty(0), torch.empty(0))
    rule = _rule(calls, settings, sign)
    kept = [call for call in calls if key in call.step.outputs or key in call.step.inputs]
    found = walked_back(calls, seeds, rule).get(key)
    if found is not None:
        return found
    call = kept[0]
    values = call.outputs if key in call.step.outputs else call.inputs
    keys = call.step.outputs if key in call.step.outputs else call.step.inputs
    return torch.zeros_like(values[keys.index(key)])


def _rule(
    calls: Sequence[Call], settings: Settings, sign: float
) -> Callable[[int, Given], Mapping[int, Tensor]]:
    weighted = [i for i, call in enumerate(calls) if _has_weight(call)]

    def rule(index: int, given: Given) -> Mapping[int, Tensor]:
        call, part = calls[index], given[0]
        if index in weighted and part is not None:
            layer = Layer(call, settings)
            weight = (layer.weight * (sign if index == weighted[-1] else 1.0)).clamp(min=0)
            return {0: layer.shared(part, weight, torch.zeros_like(weight), None, layer.x).passed}
        if call.kind in ADDITIVE and part is not None:
            return _by_activation(call, part)
        return passed_back(call, given, 0.0)

    return rule


def _by_activation(call: Call, part: Tensor) -> dict[int, Tensor]:
    """Children of a sum win in proportion to their activations; constants and negative ones never do."""
    excited = [
        value.clamp(min=0) if i in call.varying else torch.zeros_like(value) if _is_addend(value) else value
        for i, value in enumerate(call.inputs)
    ]
    result = call.function(*excited)
    found = pulled_back(call, excited, [part / stabilised(result, 0.0)])
    return {i: excited[i] * share for i, share in found.items()}


def _is_addend(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
