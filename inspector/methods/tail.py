"""What follows a layer, and what does the score owe to its value? The net cut in two."""

from __future__ import annotations

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
        entry = self.subject.entry
        return self.head.run({**self._others(self.head, x.shape[0]), entry: self.subject.as_fed(x)}).outputs[
            0
        ]

    def score(self, activations: Tensor, beside: Tensor | None = None) -> Tensor:
        """Scores (n,) from the layer's value; differentiable.

        A path that leads around the layer starts at `beside`, rows of x, by default the subject's inputs.
        """
        return scores_of(self.subject.target, self.values(activations, beside))

    def values(self, activations: Tensor, beside: Tensor | None = None) -> dict[str, Tensor]:
        """What the score is read from, by name, for the layer's value; differentiable. `beside` as above."""
        entry, rows = self.subject.entry, activations.shape[0]
        x = self.subject.x if beside is None else beside
        fed = for_rows(self.subject.as_fed(x), x.shape[0], rows)
        around = {entry: fed} if entry in self.tail.input_names else {}
        changed = {("value", entry): fed} if beside is not None and self._computes_entry else {}
        feeds = {**self._others(self.tail, rows), **around, self.layer: activations}
        run = self.tail.run(feeds, overrides=changed)
        return dict(zip(self.tail.output_names, run.outputs, strict=True))

    def gradient(self, activations: Tensor) -> Tensor:
        """D score / d activations, the shape of the activations."""
        parts: list[Tensor] = []
        chunks = self.subject.chunks
        for part, beside in zip(chunks(activations), chunks(self.subject.x), strict=True):
            leaf = part.detach().requires_grad_()
            parts.append(differentiate(self.score(leaf, beside), leaf, self.layer))
        return torch.cat(parts)

    @cached_property
    def _computes_entry(self) -> bool:
        """Whether an explained inner value, an embedding, is computed behind the cut, for paths around it."""
        return any(self.subject.entry in step.outputs for step in self.tail.block.steps)

    def _others(self, net: Network, rows: int) -> dict[str, Any]:
        """The inputs of a part of the net but for the explained one and the layer, for so many rows."""
        apart = (self.subject.entry, self.layer)
        given = {k: v for k, v in self.subject.feeds.items() if k in net.input_names and k not in apart}
        return {k: for_rows(v, self.subject.x.shape[0], rows) for k, v in given.items()}


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
