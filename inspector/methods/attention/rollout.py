"""From which tokens does attention carry information through all layers? Attention rollout."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.attention.weights import attention_layers, by_head, over_places, seen_by
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["rollout"]


@method(
    "rollout",
    family="attention",
    paper="arXiv:2005.00928",
    unit="attention",
    needs=("attention",),
    cost="1 forward",
)
def rollout(
    subject: Subject, *, heads: Literal["mean", "max", "min"] = "mean", query: int | None = None
) -> Map:
    """The product over layers of ½ attention + ½ identity, heads averaged (eq. 1 and section 3); no target.

    Raises:
        BadInput: layers have different numbers of tokens, or attend to another sequence.
    """
    layers = attention_layers(subject)
    counts = {(layer.queries, layer.keys) for layer in layers}
    if len(counts) > 1 or any(q != k for q, k in counts):
        listed = ", ".join(f"{q}×{k}" for q, k in sorted(counts))
        raise BadInput(f"rollout needs the same tokens in every layer, here are {listed}. Use legrad.")
    with torch.no_grad():
        _, taps = subject.forward(subject.x, taps=[layer.key for layer in layers])
    rows, count = subject.x.shape[0], layers[0].keys
    same = torch.eye(count, dtype=subject.x.dtype, device=subject.x.device)
    total = same.expand(rows, count, count)
    for layer in layers:
        mixed = 0.5 * _joined(by_head(taps[layer.key], rows, layer), heads) + 0.5 * same
        total = (mixed / mixed.sum(-1, keepdim=True)) @ total
    note = f"Rollout over {len(layers)} attention layers; it does not depend on the target."
    return over_places(seen_by(total, subject, query), subject, notes=(note,))


def _joined(weights: Tensor, how: str) -> Tensor:
    match how:
        case "mean":
            return weights.mean(1)
        case "max":
            return weights.amax(1)
        case "min":
            return weights.amin(1)
        case _:
            raise BadInput(f"heads {how!r}: expected mean, max or min.")
