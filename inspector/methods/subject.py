"""What is explained? A model as a differentiable net, one input, one score, and passes over both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.cutting import between
from inspector.autograd.network import Network, to_torch
from inspector.errors import NoGradientPath
from inspector.execution import Inputs, Preprocess, read_inputs
from inspector.methods.black_box import Runtime
from inspector.methods.entries import (
    assumed_recipes,
    channels_last,
    entry_of,
    is_numeric,
    run_only_entry,
)
from inspector.methods.layers import Layer, candidates, find_layer, outputs_named, trunk
from inspector.methods.surveying import Survey, survey
from inspector.methods.target import Target, score_value, scores_of, settle_target
from inspector.model import Model

__all__ = ["CHUNK", "Subject", "Tail", "prepare", "prepare_black_box"]

CHUNK = 5
"""Rows that go through the net together: more do not run faster on a CPU, they only take memory."""

Dtype = Literal["float32", "float64"]


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
    target: Target
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
    seen: Survey = field(default_factory=Survey, init=False, repr=False)
    """What is known of a run of the net over the inputs; empty in a copy with another net or input."""
    _tails: dict[str, Tail] = field(default_factory=dict[str, "Tail"], init=False, repr=False)

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
        joint = any(_goes_with_rows(v, rows) for k, v in self.feeds.items() if k != self.entry)
        return rows * max(1, CHUNK // rows) if joint else CHUNK

    def row(self, index: int) -> Subject:
        """The subject with one of its rows."""
        rows = self.x.shape[0]
        if rows == 1:
            return self
        here = slice(index, index + 1)
        feeds = {k: v[here] if _goes_with_rows(v, rows) else v for k, v in self.feeds.items()}
        return replace(self, x=self.x[here], feeds=feeds)

    def forward(
        self,
        x: Tensor,
        *,
        taps: Sequence[str] = (),
        overrides: Mapping[Any, Callable[..., Any]] | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Scores (n,) of the target for rows of `x`, and tapped values; differentiable."""
        rows = x.shape[0]
        feeds = {k: _rows(v, self.x.shape[0], rows) for k, v in self.feeds.items()}
        changed: dict[Any, Any] = dict(overrides or {})
        if self.entry in feeds:
            feeds[self.entry] = self.as_fed(x)
        else:
            changed["value", self.entry] = x
        wanted = list(dict.fromkeys([*taps, *self._score_values]))
        run = self.net.run(feeds, taps=wanted, overrides=changed)
        return scores_of(self.target, run.taps), run.taps

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
        """D score / d x for every row, the shape of x.

        Raises:
            NoGradientPath: the score does not depend on x by any differentiable path.
        """
        x = self.x if x is None else x
        return torch.cat([self._gradient(part, overrides) for part in self.chunks(x)])

    def _gradient(self, x: Tensor, overrides: Mapping[Any, Callable[..., Any]] | None) -> Tensor:
        x = x.detach().requires_grad_()
        score, _ = self.forward(x, overrides=overrides)
        return differentiate(score, x, self.entry)

    def chunks(self, x: Tensor) -> Iterator[Tensor]:
        """Pieces of the batch that fit one pass."""
        return iter(x.split(self.chunk))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every top-level value for these inputs."""
        return self.seen.shapes or survey(self.net, self.feeds, (), ()).shapes

    @cached_property
    def layers(self) -> list[Layer]:
        """Values at which a class activation map can be read, in graph order."""
        return candidates(self.model, self.shapes, self.entry, self.target.value)

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
    def own_score(self) -> Tensor:
        """Scores (n,) of the subject's own inputs."""
        known = self.seen.values
        if known and all(name in known for name in self._score_values):
            return scores_of(self.target, {name: known[name] for name in self._score_values})
        return self.score()

    def input_size(self) -> tuple[int, ...]:
        """The places of the explained value: (h, w) for pictures, (length,) for sequences and tokens."""
        if self.is_embedding:
            return tuple(self.x.shape[1:-1])
        return tuple(self.x.shape[2:]) if self.x.ndim > 2 else tuple(self.x.shape[1:])


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

    def _feeds(self, net: Network, value: Tensor, key: str) -> dict[str, Any]:
        rows = self.subject.x.shape[0]
        others = {k: v for k, v in self.subject.feeds.items() if k in net.input_names and k != key}
        return {k: _rows(v, rows, value.shape[0]) for k, v in others.items()} | {key: value}


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


def prepare(
    model: Model,
    inputs: Any,
    *,
    target: int | str | Target | None = None,
    layer: str | None = None,
    input: str | None = None,
    preprocess: str | Preprocess | None = None,
    dtype: Dtype = "float32",
    device: str = "cpu",
    logit: bool = True,
    straight_through: bool = False,
    seed: int = 0,
    like: Subject | None = None,
) -> Subject:
    """Read the inputs, build the net, choose what is explained and settle the target.

    `like` lends its net, which was made with the same options.

    Raises:
        BadInput: no input of floating type and no embedding, or the target does not fit.
    """
    read = (
        inputs if isinstance(inputs, Inputs) else read_inputs(model, inputs, preprocess=preprocess, seed=seed)
    )
    if like is not None:
        net = like.net
    else:
        net = to_torch(model, straight_through=straight_through, seed=seed)
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        net = net.double() if dtype == "float64" else net
        net = net.to(device)
    kind = torch.float64 if dtype == "float64" else torch.float32
    feeds: dict[str, Any] = {}
    for name, array in read.feeds.items():
        tensor = torch.from_numpy(np.array(array))
        feeds[name] = tensor.to(device, kind if tensor.is_floating_point() else tensor.dtype)
    entry = entry_of(model, net, feeds, input)
    end = (
        target.value
        if isinstance(target, Target)
        else score_value(model, net.output_names[0], logit=logit)[0]
    )
    kept = {entry, end, *net.output_names, *([layer, *outputs_named(layer, model)[-1:]] if layer else ())}
    seen = survey(net, feeds, kept, trunk(model, entry, end))
    outputs = {name: seen.values[name] for name in net.output_names if name in seen.values}
    settled = settle_target(model, target, outputs, logit=logit)
    inner, x = entry not in feeds, seen.values[entry]
    last = not inner and channels_last(read, entry, x)
    held = tuple(f"Input {k!r} is held fixed." for k in feeds if k != entry and not inner)
    notes = (*read.notes, *assumed_recipes(read), *held)
    made = Subject(
        model,
        net,
        feeds,
        entry,
        x.movedim(-1, 1) if last else x,
        settled,
        read,
        layer,
        seed,
        notes,
        last=last,
    )
    if like is not None:
        made = replace(made, folds=like.folds)
    made.seen.shapes.update(seen.shapes)
    made.seen.values.update(seen.values)
    return made


def prepare_black_box(
    model: Model,
    inputs: Any,
    *,
    target: int | str | Target | None = None,
    input: str | None = None,
    preprocess: str | Preprocess | None = None,
    device: str = "cpu",
    logit: bool = True,
    seed: int = 0,
    runtime: Runtime | None = None,
) -> Subject:
    """A subject that is only run forwards, by ONNX Runtime in float32: any model that runs will do.

    Raises:
        NotRunnable: ONNX Runtime cannot run the model.
        UnknownName: no input has this name.
    """
    read = (
        inputs if isinstance(inputs, Inputs) else read_inputs(model, inputs, preprocess=preprocess, seed=seed)
    )
    entry = run_only_entry(read.feeds, input)
    runtime = runtime or Runtime(model, device)
    outputs = runtime.outputs(read.feeds)
    settled = settle_target(model, target, outputs, logit=logit)
    feeds = {
        name: torch.from_numpy(np.array(array)) for name, array in read.feeds.items() if is_numeric(array)
    }
    others = tuple(f"Input {k!r} is held fixed." for k in feeds if k != entry)
    last = channels_last(read, entry, feeds[entry])
    x = feeds[entry].movedim(-1, 1) if last else feeds[entry]
    notes = (*read.notes, *assumed_recipes(read), *others)
    return Subject(model, None, feeds, entry, x, settled, read, None, seed, notes, runtime, last)


def _goes_with_rows(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == rows


def _rows(value: Any, have: int, want: int) -> Any:
    """Other inputs repeated so that they go with every row; `want` is a multiple of `have`."""
    if have == want or not _goes_with_rows(value, have):
        return value
    return value.repeat(want // have, *[1] * (value.ndim - 1))
