"""Which tokens does a head look at? Raw attention of one layer, head by head."""

from __future__ import annotations

import torch

from inspector.errors import UnknownName
from inspector.methods.attention.weights import attention_layers, by_head, over_places, seen_by
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject

__all__ = ["raw_attention"]


@method(
    "attention",
    family="attention",
    paper="arXiv:1706.03762",
    unit="attention",
    needs=("attention",),
    cost="1 forward",
)
def raw_attention(subject: Subject, *, block: int = -1, query: int | None = None) -> Map:
    """The softmax weights of attention layer `block`, a map a head (eq. 1); the same for every target.

    Seen from the class token, or averaged over queries where there is none, or from token `query`.
    Attention tells where a head looks, not what speaks for the answer.

    Raises:
        UnknownName: the model has fewer attention layers.
    """
    layers = attention_layers(subject)
    if not -len(layers) <= block < len(layers):
        raise UnknownName(f"block {block}: the model has {len(layers)} attention layers, the first is 0.")
    with torch.no_grad():
        _, taps = subject.forward(subject.x, taps=[layers[block].key])
    weights = by_head(taps[layers[block].key], subject.x.shape[0], layers[block])
    heads = seen_by(weights, subject, query)
    rows, count, _ = heads.shape
    made = over_places(heads.flatten(0, 1), subject)
    places = made.values.shape[1:]
    note = f"Attention of {layers[block].key}, {count} heads; it does not depend on the target."
    return Map(made.values.reshape(rows, count, *places), ("n", "head", *made.axes[1:]), notes=(note,))
