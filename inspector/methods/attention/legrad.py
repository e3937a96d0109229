"""Which tokens would raise the score if they were looked at more? LeGrad."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.errors import BadInput, NoGradientPath
from inspector.methods.attention.weights import attention_layers, by_head, over_places
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["legrad"]


@method(
    "legrad",
    family="attention",
    paper="arXiv:2404.03214",
    unit="score per unit of attention",
    needs=("gradient", "attention"),
    cost="1 forward, 1 backward to every attention layer",
)
def legrad(subject: Subject) -> Map:
    """Positive gradients by the attention weights, averaged over heads, queries and layers (eq. 6 to 8).

    Every layer is held against the model's own score; the paper's extra heads on inner layers are not in a
    file and are not invented.

    Raises:
        BadInput: layers have different numbers of tokens.
    """
    layers = attention_layers(subject)
    if len({layer.keys for layer in layers}) > 1:
        raise BadInput("legrad sums layers over the same tokens; this model's layers have different numbers.")
    x = subject.x.detach().requires_grad_()
    score, taps = subject.forward(x, taps=[layer.key for layer in layers])
    reached = [layer for layer in layers if taps[layer.key].requires_grad] if score.requires_grad else []
    slopes: list[Tensor | None] = []
    if reached:
        weights = [taps[layer.key] for layer in reached]
        slopes += torch.autograd.grad(score.sum(), weights, allow_unused=True)
    pairs = zip(slopes, reached, strict=True)
    found = [by_head(slope, x.shape[0], layer) for slope, layer in pairs if slope is not None]
    if not found:
        raise NoGradientPath("the score does not depend on any attention weight by a differentiable path.")
    total = torch.stack([slope.clamp(min=0).mean((1, 2)) for slope in found]).mean(0)
    return over_places(total, subject)
