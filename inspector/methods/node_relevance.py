"""Which operators does an answer rest on? One number a node: gradient times activation of its output."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.methods.subject import Subject

__all__ = ["relevance_by_node"]


def relevance_by_node(subject: Subject) -> dict[str, float]:
    """Sum over the elements of a node's first output of |activation × d score / d activation|.

    Shrikumar et al., arXiv:1605.01713, for inner values in place of the input. Nodes in bodies, outputs that
    are no floating numbers, and nodes from which no gradient reaches the score are left out.
    """
    nodes = [n for n in subject.model.nodes.values() if not n.body and n.outputs and n.outputs[0]]
    known = set(subject.net.value_names)
    first = {node.key: node.outputs[0] for node in nodes if node.outputs[0] in known}
    score, taps = subject.forward(subject.x.clone().requires_grad_(), taps=list(first.values()))
    live: dict[str, Tensor] = {}
    for key, name in first.items():
        value = taps[name]
        if isinstance(value, Tensor) and value.requires_grad:
            live[key] = value
    if not live or not score.requires_grad:
        return {}
    slopes = list[Tensor | None](torch.autograd.grad(score.sum(), list(live.values()), allow_unused=True))
    return {
        key: float((value.detach() * slope).abs().sum())
        for (key, value), slope in zip(live.items(), slopes, strict=True)
        if slope is not None
    }
