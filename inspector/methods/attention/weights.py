"""Where are the attention weights of the graph? Softmax nodes over products of queries and keys."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from inspector.errors import BadInput, NoGradientPath
from inspector.methods.cams.weighting import finish
from inspector.methods.layers import token_grid
from inspector.methods.layouts import FUSED_ATTENTION, mixes_places
from inspector.methods.registry import Map
from inspector.methods.subject import Subject
from inspector.model import Model

__all__ = ["Heads", "attention_layers", "by_head", "over_places", "seen_by"]

PASSING = frozenset(
    {"Add", "Sub", "Mul", "Div", "Where", "Cast", "Reshape", "Identity", "Max", "Clip", "Tanh"}
)
"""What may stand between the product and the softmax: scale, mask, soft cap."""


@dataclass(frozen=True)
class Heads:
    """The weights of one attention layer: the value's key, and how many queries and keys there are."""

    key: str
    queries: int
    keys: int


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
                found.append(Heads(node.outputs[0], shape[-2], shape[-1]))
    if not found and fused:
        raise NoGradientPath(
            f"the attention weights are inside {fused[0]}, which gives them out to nobody. "
            "Export the model without fused attention, or use a method of the family `cams`."
        )
    if not found:
        raise NoGradientPath("the graph has no Softmax over a product of queries and keys: no attention.")
    return found


def by_head(weights: Tensor, rows: int) -> Tensor:
    """Weights as (n, heads, queries, keys), however heads and rows are folded.

    Raises:
        BadInput: windows, whose tokens are only a part of the input's.
    """
    shaped = weights.reshape(rows, -1, *weights.shape[-2:])
    if weights.ndim == 4 and weights.shape[0] != rows:
        raise BadInput(
            f"attention of shape {list(weights.shape)} is within windows, not over all tokens. "
            "Use a method of the family `cams`."
        )
    return shaped


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
