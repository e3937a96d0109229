"""Does the map change when the model's weights become noise, from the last layer down? The sanity check."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from inspector.autograd.network import Network
from inspector.methods.judging.agreement import rank_correlation
from inspector.methods.judging.measures import Judged, Measurement, measure

__all__ = ["randomisation", "randomised"]

STAGES = 4
SUSPICIOUS = 0.5
"""Rank correlation with the map of a net of noise above which the user is warned."""

HOLDING = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Add", "LSTM", "GRU", "RNN"}
)


@measure("randomisation", paper="arXiv:1810.03292", better="lower")
def randomisation(judged: Judged) -> Measurement:
    """Rank correlation with the map of the same net of random weights (section 3.1).

    The curve gives it as the weights are drawn anew from the last layer to the first, in equal steps; the
    value is its end. A map that stays alike says little about the model. Signed values are compared: the
    magnitudes of maps that multiply by the input are zero where the input is, whatever the weights.
    """
    before = judged.made.values[0]
    shares = [k / STAGES for k in range(STAGES + 1)]
    found = [1.0]
    for share in shares[1:]:
        net = randomised(judged.subject.net, share, judged.subject.seed)
        after = judged.again(dataclasses.replace(judged.subject, network=net))
        found.append(rank_correlation(before, after))
    notes: tuple[str, ...] = ()
    if found[-1] > SUSPICIOUS:
        notes = (
            f"{judged.method.name} fails the sanity check: with random weights its map still has rank "
            f"correlation {found[-1]:.2f} with this one. It shows the picture more than the model.",
        )
    return Measurement(found[-1], (tuple(shares), tuple(found)), notes)


def randomised(net: Network, share: float, seed: int) -> Network:
    """The net with the last `share` of its layers drawn anew, normal with each weight's mean and spread."""
    holders = [
        [key for key in step.inputs if key in net.weights and _is_drawn(net.weights[key])]
        for step in net.block.steps
        if step.node.op_type in HOLDING
    ]
    layers = [keys for keys in holders if keys]
    chosen = [key for keys in layers[len(layers) - round(share * len(layers)) :] for key in keys]
    generator = torch.Generator().manual_seed(seed)
    weights = net.weights
    for key in dict.fromkeys(reversed(chosen)):
        old: Tensor = weights[key]
        noise = torch.randn(old.shape, generator=generator, dtype=old.dtype).to(old.device)
        weights[key] = old.mean() + noise * old.std()
    made = Network(net.block, weights, net.graph, seed=net.seed, straight_through=net.straight_through)
    made = (made.double() if net.dtype == torch.float64 else made).to(net.device).eval()
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    return made


def _is_drawn(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 1
