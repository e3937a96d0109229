"""Where are the attention weights of the graph? Softmax nodes over products of queries and keys."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inspector.errors import BadInput, NoGradientPath
from inspector.methods.cams.weighting import finish
from inspector.methods.layers import token_grid
from inspector.methods.layouts import FUSED_ATTENTION, mixes_places
from inspector.methods.registry import Map
from inspector.methods.subject import Subject
from inspector.methods.tail import goes_with_rows
from inspector.model import Model
from inspector.model.walk import Node

__all__ = ["Heads", "attention_layers", "by_head", "over_places", "seen_by"]

PASSING = frozenset(
    {"Add", "Sub", "Mul", "Div", "Where", "Cast", "Reshape", "Identity", "Max", "Clip", "Tanh"}
)
"""What may stand between the product and the softmax: scale, mask, soft cap."""

JOINING = frozenset(
    {"Transpose", "Reshape", "Identity", "Cast", "Squeeze", "Unsqueeze", "Flatten", "Concat", "Split"}
)
"""What brings the heads side by side behind the product with the values."""


@dataclass(frozen=True)
class Heads:
    """The weights of one attention layer: the value's key, and how many queries and keys there are.

    `parts` counts the windows into which a row's tokens are cut, 1 where all see each other. `rows_first`
    tells (n·heads, queries, keys) from (heads·n, queries, keys).
    """

    key: str
    queries: int
    keys: int
    parts: int
    rows_first: bool = True


def attention_layers(subject: Subject) -> list[Heads]:
    """Softmax(Q·Kᵀ) values on the way to the score, in graph order.

    Raises:
        NoGradientPath: the graph has none, or they are inside fused nodes.
    """
    reached = {subject.entry}
    found: list[Heads] = []
    fused: list[str] = []
    for node in subject.model.nodes.values():
        if not node.body and reached.intersection(node.inputs):
            reached.update(key for key in node.outputs if key)
            fused += [f"{node.op} {node.key!r}"] if node.op in FUSED_ATTENTION else []
            if node.op == "Softmax" and _from_product(subject.model, node.inputs[0], reached):
                shape = subject.shapes[node.outputs[0]]
                parts = _parts(subject, node.outputs[0], shape)
                found.append(Heads(node.outputs[0], shape[-2], shape[-1], parts))
    if not found and fused:
        raise NoGradientPath(
            f"the attention weights are inside {fused[0]}, which gives them out to nobody. "
            "Export the model without fused attention, or use a method of the family `cams`."
        )
    if not found:
        raise NoGradientPath(
            "the graph has no Softmax over a product of queries and keys: no attention. Methods of the "
            "families `gradients` and `perturbation` explain any net."
        )
    return _ordered(found, subject)


def by_head(weights: Tensor, rows: int, layer: Heads) -> Tensor:
    """Weights as (n, heads, queries, keys), however heads and rows are folded.

    Raises:
        BadInput: windows, whose tokens are only a part of the input's.
    """
    if layer.parts != 1:
        raise BadInput(
            f"attention of shape {list(weights.shape)} is within windows, not over all tokens. "
            "Use a method of the family `cams`."
        )
    return _unfolded(weights, rows, layer.rows_first)


def seen_by(weights: Tensor, subject: Subject, query: int | None) -> Tensor:
    """(…, queries, keys) → (…, keys): the row of `query`, of the class token, or the mean of all."""
    if query is not None:
        if not -weights.shape[-2] <= query < weights.shape[-2]:
            raise BadInput(f"query {query}: there are {weights.shape[-2]} tokens.")
        return weights[..., query, :]
    grid = token_grid(weights.shape[-1], picture=subject.x.ndim == 4)
    return weights[..., 0, :] if grid is not None and grid[1] else weights.mean(-2)


def over_places(tokens: Tensor, subject: Subject, notes: tuple[str, ...] = ()) -> Map:
    """One number a token (n, keys) as a map over the input's places; class tokens are left out.

    Raises:
        BadInput: the tokens make no square grid.
    """
    grid = token_grid(tokens.shape[-1], picture=subject.x.ndim == 4)
    if grid is None:
        raise BadInput(f"{tokens.shape[-1]} tokens make no square grid over the picture.")
    (height, width), skip = grid
    return finish(tokens[:, skip:].reshape(-1, height, width), subject, rectified=False, notes=notes)


def _from_product(model: Model, key: str, reached: set[str]) -> bool:
    waiting, seen = [key], {key}
    while waiting:
        node = model.producers.get(waiting.pop())
        if node is None:
            continue
        if mixes_places(node, reached):
            return True
        if node.op in PASSING:
            new = [k for k in node.inputs if k in reached and k not in seen]
            seen.update(new)
            waiting += new
    return False


def _parts(subject: Subject, key: str, shape: tuple[int, ...]) -> int:
    """Windows in a row: what the product with the values holds for a query, by the width of its heads side
    by side; 1 where the graph does not say.
    """
    model, shapes, rows = subject.model, subject.shapes, subject.x.shape[0]
    products = [n.outputs[0] for n in _behind(model, key) if n.op in ("MatMul", "Einsum")]
    product = next((name for name in products if name in shapes), "")
    if not product:
        return 1
    inside, joined = math.prod(shapes[product]), product
    while (node := next(iter(_behind(model, joined)), None)) is not None and node.op in JOINING:
        joined = node.outputs[0]
    width = shapes.get(joined, (1,))[-1]
    return max(1, inside // (rows * shape[-2] * width))


def _behind(model: Model, key: str) -> list[Node]:
    """The nodes that read a value, seen through casts and dropouts."""
    found: list[Node] = []
    waiting = [key]
    while waiting:
        for node in model.consumers.get(waiting.pop(), ()):
            passes = node.op in ("Cast", "Dropout", "Identity")
            waiting += node.outputs[:1] if passes else ()
            found += [] if passes or node.op in ("Shape", "Size") else [node]
    return found


def _ordered(layers: list[Heads], subject: Subject) -> list[Heads]:
    """Layers whose heads are folded into the batch, with the order of rows and heads that another run over
    the rows in another order tells.
    """
    rows = subject.x.shape[0]
    if rows == 1 or all(subject.shapes[layer.key][0] == rows for layer in layers):
        return layers
    feeds = {k: v.roll(1, 0) if goes_with_rows(v, rows) else v for k, v in subject.feeds.items()}
    keys = [layer.key for layer in layers]
    with torch.no_grad():
        _, here = subject.forward(subject.x, taps=keys)
        _, there = replace(subject, feeds=feeds).forward(subject.x.roll(1, 0), taps=keys)

    def off(key: str, first: bool) -> float:
        """How far the order is from one in which rows that change places change nothing else."""
        turned = _unfolded(here[key], rows, first).roll(1, 0) - _unfolded(there[key], rows, first)
        return float(turned.abs().max())

    return [replace(layer, rows_first=off(layer.key, True) <= off(layer.key, False)) for layer in layers]


def _unfolded(weights: Tensor, rows: int, rows_first: bool) -> Tensor:
    size = weights.shape[-2:]
    if rows_first:
        return weights.reshape(rows, -1, *size)
    return weights.reshape(-1, rows, *size).transpose(0, 1)
