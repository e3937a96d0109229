"""What follows a layer, and what does the score owe to its value? The net cut in two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inspector.autograd.cutting import between
from inspector.autograd.network import Network
from inspector.errors import NoGradientPath
from inspector.methods.target import scores_of

if TYPE_CHECKING:
    from inspector.methods.subject import Subject

__all__ = ["Tail", "differentiate", "for_rows", "goes_with_rows"]


@dataclass(frozen=True, eq=False)
class Tail:
    """The net cut at a layer: `activations` of the inputs, and scores from activations."""

    subject: Subject
    tail: Network
    layer: str

    @cached_property
    def head(self) -> Network:
        """The part of the net that computes the layer's value."""
        return between(self.subject.net, [self.subject.entry], [self.layer])

    @cached_property
    def activations(self) -> Tensor:
        """The layer's value for the subject's inputs, without a gradient."""
        if self.layer in self.subject.seen.values:
            return self.subject.seen.values[self.layer]
        with torch.no_grad():
            return torch.cat([self.from_input(part) for part in self.subject.chunks(self.subject.x)])

    @cached_property
    def slopes(self) -> Tensor:
        """D score / d activations at the subject's inputs, the shape of the activations."""
        return self.gradient(self.activations)

    def from_input(self, x: Tensor) -> Tensor:
        """The layer's value for rows of x; differentiable."""
        given = self.subject.as_fed(x)
        return self.head.run(self._feeds(self.head, given, self.subject.entry)).outputs[0]

    def score(self, activations: Tensor) -> Tensor:
        """Scores (n,) from the layer's value; differentiable."""
        return scores_of(self.subject.target, self.values(activations))

    def values(self, activations: Tensor) -> dict[str, Tensor]:
        """What the score is read from, by name, for the layer's value; differentiable."""
        run = self.tail.run(self._feeds(self.tail, activations, self.layer))
        return dict(zip(self.tail.output_names, run.outputs, strict=True))

    def gradient(self, activations: Tensor) -> Tensor:
        """D score / d activations, the shape of the activations."""
        parts: list[Tensor] = []
        for part in self.subject.chunks(activations):
            leaf = part.detach().requires_grad_()
            parts.append(differentiate(self.score(leaf), leaf, self.layer))
        return torch.cat(parts)

    def _feeds(self, net: Network, value: Tensor, key: str) -> Mapping[str, Any]:
        rows = self.subject.x.shape[0]
        others = {k: v for k, v in self.subject.feeds.items() if k in net.input_names and k != key}
        return {k: for_rows(v, rows, value.shape[0]) for k, v in others.items()} | {key: value}


def differentiate(score: Tensor, x: Tensor, name: str) -> Tensor:
    """D sum(score) / d x; rows are independent, so each row gets the gradient of its own score.

    Raises:
        NoGradientPath: no differentiable path leads from x to the score.
    """
    gradient = torch.autograd.grad(score.sum(), x, allow_unused=True)[0] if score.requires_grad else None
    if gradient is None:
        raise NoGradientPath(
            f"the score does not depend on {name!r} by any differentiable path: quantisation, rounding, "
            "ArgMax or an unused input lies between. Quantised models: straight_through=True; any model: "
            "a method of the family `perturbation`."
        )
    return gradient


def goes_with_rows(value: Any, rows: int) -> bool:
    """Whether a fed value has one entry for each of the rows."""
    return isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == rows


def for_rows(value: Any, have: int, want: int) -> Any:
    """Other inputs repeated so that they go with every row; `want` is a multiple of `have`."""
    if have == want or not goes_with_rows(value, have):
        return value
    return value.repeat(want // have, *[1] * (value.ndim - 1))
