"""What is explained? A model as a differentiable net, one input, one score, and passes over both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from inspector.autograd.cutting import between
from inspector.autograd.network import Network
from inspector.autograd.shapes import CHANCE
from inspector.errors import NoGradientPath, UnknownName
from inspector.execution import Inputs
from inspector.methods.black_box import Runtime
from inspector.methods.layers import Layer, candidates, find_layer
from inspector.methods.question import Lender, Question
from inspector.methods.surveying import Survey, survey
from inspector.methods.tail import Tail, differentiate, for_rows, goes_with_rows
from inspector.methods.target import Target, outputs_read, scores_of
from inspector.model import Model

__all__ = ["CHUNK", "Dtype", "Subject"]

CHUNK = 5
"""Rows that go through the net together: more do not run faster on a CPU, they only take memory."""

Dtype = Literal["float32", "float64"]

_QUANTISED = re.compile("Quantize|^QLinear|Integer$")
"""Operators whose steps amplify what two programs round differently."""


@dataclass(frozen=True, eq=False)
class Subject:
    """Everything a method needs. `entry` is the value that is explained: the input, or an embedding.

    `x` is its value, shape (n, …), channels first also where the model takes its picture as (n, h, w, c)
    (`last`), so that methods know one layout. Nothing of the net is ever changed: no hooks, no `.grad`.
    """

    model: Model
    network: Network | None
    feeds: Mapping[str, Any]
    entry: str
    x: Tensor
    question: Question
    inputs: Inputs
    layer_name: str | None
    seed: int
    notes: tuple[str, ...] = ()
    runtime: Runtime | None = None
    last: bool = False
    folds: dict[bool, tuple[Network, Network]] = field(
        default_factory=dict[bool, tuple[Network, Network]], repr=False
    )
    """A net and its folded form, with chains joined or not; subjects of one model share it."""
    _tails: dict[str, Tail] = field(default_factory=dict[str, Tail], init=False, repr=False)

    @property
    def target(self) -> Target:
        """The number that is explained, in copies with another net or input too."""
        return self.question.target

    @property
    def is_as_asked(self) -> bool:
        """Whether this is the net and the input of the question, and no copy with others."""
        return self.feeds is self.question.feeds and self.network is self.question.network

    @property
    def seen(self) -> Survey:
        """What is known of runs of the net over the inputs; nothing in a copy with another net or input."""
        return self.question.seen if self.is_as_asked else Survey()

    def as_fed(self, x: Tensor) -> Tensor:
        """The explained value with its axes as the model takes them."""
        return x.movedim(1, -1) if self.last else x

    def as_seen(self, value: Tensor) -> Tensor:
        """A value with the model's axes as methods see it: channels first."""
        return value.movedim(-1, 1) if self.last else value

    @property
    def is_embedding(self) -> bool:
        """Whether an inner value is explained, as for token ids: its channels come last."""
        return self.entry not in self.feeds

    @property
    def net(self) -> Network:
        """The differentiable net.

        Raises:
            NoGradientPath: the subject was prepared without one, for ONNX Runtime alone.
        """
        if self.network is None:
            raise NoGradientPath(
                "this model was prepared without gradients. Methods of the family `perturbation` need none."
            )
        return self.network

    @property
    def chunk(self) -> int:
        """Rows a pass holds: where the model's batch is fixed, that batch; a multiple of the subject's own
        rows where other inputs go with each of them.
        """
        value = self.model.values.get(self.entry)
        if value is None or not value.shape:
            return 1
        if isinstance(value.shape[0], int):
            return value.shape[0]
        rows = self.x.shape[0]
        joint = any(goes_with_rows(v, rows) for k, v in self.feeds.items() if k != self.entry)
        return rows * max(1, CHUNK // rows) if joint else CHUNK

    def row(self, index: int) -> Subject:
        """The subject with one of its rows."""
        rows = self.x.shape[0]
        if rows == 1:
            return self
        here = slice(index, index + 1)
        feeds = {k: v[here] if goes_with_rows(v, rows) else v for k, v in self.feeds.items()}
        return replace(self, x=self.x[here], feeds=feeds)

    def forward(
        self,
        x: Tensor,
        *,
        taps: Sequence[str] = (),
        overrides: Mapping[Any, Callable[..., Any]] | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Scores (n,) of the target for rows of `x`, and tapped values; differentiable."""
        values = self._ran(x, tuple(dict.fromkeys([*taps, *self._score_values])), overrides)
        return scores_of(self.target, values), values

    def _ran(
        self, x: Tensor, taps: Sequence[str], overrides: Mapping[Any, Callable[..., Any]] | None
    ) -> dict[str, Any]:
        feeds = {k: for_rows(v, self.x.shape[0], x.shape[0]) for k, v in self.feeds.items()}
        changed: dict[Any, Any] = dict(overrides or {})
        if self.entry in feeds:
            feeds[self.entry] = self.as_fed(x)
        else:
            changed["value", self.entry] = x
        return self.net.run(feeds, taps=taps, overrides=changed).taps

    @property
    def _score_values(self) -> tuple[str, ...]:
        return self.net.output_names if self.target.expression else (self.target.value,)

    def score(self, x: Tensor | None = None) -> Tensor:
        """Scores (n,) without a gradient, a few rows at a time."""
        x = self.x if x is None else x
        if self.runtime is not None:
            return self.runtime.score(self.as_fed(x), self.entry, self.feeds, self.target)
        with torch.no_grad():
            return torch.cat([self.forward(part)[0] for part in self.chunks(x)])

    def gradient(
        self, x: Tensor | None = None, overrides: Mapping[Any, Callable[..., Any]] | None = None
    ) -> Tensor:
        """D score / d x for every row, the shape of x. `overrides` change how a gradient passes, no value.

        Raises:
            NoGradientPath: the score does not depend on x by any differentiable path.
        """
        if x is None and self.is_as_asked and self.x.shape[0] <= self.chunk:
            return self._own_gradient(overrides)
        x = self.x if x is None else x
        return torch.cat([self._gradient(part, overrides) for part in self.chunks(x)])

    def _gradient(self, x: Tensor, overrides: Mapping[Any, Callable[..., Any]] | None) -> Tensor:
        x = x.detach().requires_grad_()
        score, _ = self.forward(x, overrides=overrides)
        return differentiate(score, x, self.entry)

    def _own_gradient(self, overrides: Mapping[Any, Callable[..., Any]] | None) -> Tensor:
        """The gradient in one pass, from whose outputs the target is settled where it is not yet."""
        x = self.x.detach().requires_grad_()
        values = self._ran(x, self.question.scored, overrides)
        self.question.note(values)
        return differentiate(scores_of(self.target, values), x, self.entry)

    def chunks(self, x: Tensor) -> Iterator[Tensor]:
        """Pieces of the batch that fit one pass."""
        return iter(x.split(self.chunk))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every top-level value for these inputs."""
        if self.is_as_asked and not self.seen.shapes:
            self.question.look()
        return self.seen.shapes or survey(self.net, self.feeds, (), ()).shapes

    @cached_property
    def layers(self) -> list[Layer]:
        """Values at which a class activation map can be read, in graph order."""
        ends = outputs_read(self.target.expression, self.net.output_names) or [self.target.value]
        first, *others = (candidates(self.model, self.shapes, self.entry, end) for end in dict.fromkeys(ends))
        for layers in others:
            shared = {layer.key for layer in layers if layer.settled}
            first = [replace(layer, settled=layer.settled and layer.key in shared) for layer in first]
        return first

    @cached_property
    def layer(self) -> Layer:
        """The chosen layer, or the last one with places."""
        return find_layer(self.layer_name, self.layers, self.model)

    def tail(self, layer: str) -> Tail:
        """The part of the net behind a value, so that only that part is run and differentiated; kept."""
        if layer not in self._tails:
            self._tails[layer] = Tail(self, between(self.net, [layer], self._score_values), layer)
        return self._tails[layer]

    @cached_property
    def lender(self) -> Lender | None:
        """What is lent to the same question about inputs of these shapes; None where only torch will do."""
        quantised = any(_QUANTISED.search(node.op) or node.op in CHANCE for node in self.model.nodes.values())
        plain = self.x.dtype == torch.float32 and self.x.device.type == "cpu" and not self.is_embedding
        if quantised or not plain or not self.model.runnable:
            return None
        try:
            layer = self.layer.key
        except (NoGradientPath, UnknownName):
            layer = None
        return Lender(Runtime(self.model), self.shapes, layer)

    @cached_property
    def own_score(self) -> Tensor:
        """Scores (n,) of the subject's own inputs."""
        names, known = self._score_values if self.runtime is None else (), self.seen.values
        if names and all(name in known for name in names):
            return scores_of(self.target, {name: known[name] for name in names})
        return self.score()

    def input_size(self) -> tuple[int, ...]:
        """The places of the explained value: (h, w) for pictures, (length,) for sequences and tokens."""
        if self.is_embedding:
            return tuple(self.x.shape[1:-1])
        return tuple(self.x.shape[2:]) if self.x.ndim > 2 else tuple(self.x.shape[1:])
