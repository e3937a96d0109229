"""What is explained? A model as a differentiable net, one input, one score, and passes over both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.cutting import between, value_shapes
from inspector.autograd.network import Network, to_torch
from inspector.errors import BadInput, NoGradientPath, UnknownName
from inspector.execution import Inputs, Preprocess, read_inputs
from inspector.methods.black_box import Runtime
from inspector.methods.layers import Layer, candidates, find_layer
from inspector.methods.target import Target, scores_of, settle_target
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
    _tails: dict[str, Tail] = field(default_factory=dict[str, "Tail"], init=False, repr=False)

    def as_fed(self, x: Tensor) -> Tensor:
        """The explained value with its axes as the model takes them."""
        return x.movedim(1, -1) if self.last else x

    def as_seen(self, value: Tensor) -> Tensor:
        """A value with the model's axes as methods see it: channels first."""
        return value.movedim(-1, 1) if self.last else value

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
        """Rows a pass holds; where the model's batch is fixed, that batch."""
        value = self.model.values.get(self.entry)
        if value is None or not value.shape:
            return 1
        return value.shape[0] if isinstance(value.shape[0], int) else CHUNK

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
        with torch.no_grad():
            return value_shapes(self.net, self.feeds)

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
            head = between(self.net, [self.entry], [layer])
            self._tails[layer] = Tail(self, head, between(self.net, [layer], self._score_values), layer)
        return self._tails[layer]

    @cached_property
    def own_score(self) -> Tensor:
        """Scores (n,) of the subject's own inputs."""
        return self.score()

    def input_size(self) -> tuple[int, ...]:
        """The places of the explained value: (h, w) for pictures, (length,) for sequences."""
        return tuple(self.x.shape[2:]) if self.x.ndim > 2 else tuple(self.x.shape[1:])


@dataclass(frozen=True, eq=False)
class Tail:
    """The net cut at a layer: `activations` of the inputs, and scores from activations."""

    subject: Subject
    head: Network
    tail: Network
    layer: str

    @cached_property
    def activations(self) -> Tensor:
        """The layer's value for the subject's inputs, without a gradient."""
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
    net: Network | None = None,
) -> Subject:
    """Read the inputs, build the net, choose what is explained and settle the target.

    Raises:
        BadInput: no input of floating type and no embedding, or the target does not fit.
    """
    read = (
        inputs if isinstance(inputs, Inputs) else read_inputs(model, inputs, preprocess=preprocess, seed=seed)
    )
    if net is None:
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
    entry = _entry(model, net, feeds, input)
    taps = [entry] if entry not in feeds else []
    with torch.no_grad():
        run = net.run(feeds, taps=taps)
    outputs = {n: v for n, v in zip(net.output_names, run.outputs, strict=True) if isinstance(v, Tensor)}
    settled = settle_target(model, target, outputs, logit=logit)
    x = run.taps[entry] if taps else feeds[entry]
    notes = tuple(f"Input {k!r} is held fixed." for k in feeds if k != entry and taps == [])
    last = not taps and _channels_last(read, entry, x)
    x = x.detach().movedim(-1, 1) if last else x.detach()
    notes = (*read.notes, *_assumed(read), *notes)
    return Subject(model, net, feeds, entry, x, settled, read, layer, seed, notes, last=last)


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
    entry = _black_box_entry(read.feeds, input)
    runtime = runtime or Runtime(model, device)
    outputs = runtime.outputs(read.feeds)
    settled = settle_target(model, target, outputs, logit=logit)
    feeds = {
        name: torch.from_numpy(np.array(array)) for name, array in read.feeds.items() if _is_numeric(array)
    }
    others = tuple(f"Input {k!r} is held fixed." for k in feeds if k != entry)
    last = _channels_last(read, entry, feeds[entry])
    x = feeds[entry].movedim(-1, 1) if last else feeds[entry]
    notes = (*read.notes, *_assumed(read), *others)
    return Subject(model, None, feeds, entry, x, settled, read, None, seed, notes, runtime, last)


def _channels_last(read: Inputs, entry: str, x: Tensor) -> bool:
    """Whether an input is pictures (n, h, w, c): the recipe says so, else the size of its axes."""
    if entry in read.recipes:
        return read.recipes[entry].layout == "NHWC"
    return x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3, 4)


def _assumed(read: Inputs) -> tuple[str, ...]:
    """A note where nothing says how the pictures are prepared: a wrong recipe gives a wrong answer."""
    return tuple(
        f"{name}: {recipe.describe()}. If the model was trained otherwise, say so with preprocess=…."
        for name, recipe in read.recipes.items()
        if recipe.source.startswith("assumed")
    )


def _is_numeric(array: np.ndarray[Any, Any]) -> bool:
    return array.dtype.kind in "fiub"


def _black_box_entry(feeds: Mapping[str, np.ndarray[Any, Any]], name: str | None) -> str:
    """The named input, the largest float input, or the largest of integers (token ids)."""
    if name is not None:
        if name not in feeds:
            raise UnknownName.among("input", name, feeds)
        return name
    numeric = {k: v for k, v in feeds.items() if _is_numeric(v)}
    floating = {k: v for k, v in numeric.items() if v.dtype.kind == "f" and v.size > 1}
    chosen = floating or numeric
    if not chosen:
        raise BadInput(f"no input holds numbers: {', '.join(feeds) or 'the model has none'}.")
    return max(chosen, key=lambda k: chosen[k].size)


def _entry(model: Model, net: Network, feeds: Mapping[str, Any], name: str | None) -> str:
    """The value that is explained: the named input, the first picture or float input, or an embedding."""
    if name is not None:
        if name not in feeds and name not in net.value_names:
            raise UnknownName.among("input or value", name, [*feeds, *net.value_names])
        if name not in feeds or feeds[name].is_floating_point():
            return name
    floating = [
        k for k, v in feeds.items() if isinstance(v, Tensor) and v.is_floating_point() and v.numel() > 1
    ]
    if floating and name is None:
        return max(floating, key=lambda k: feeds[k].numel())
    wanted = [name] if name is not None else list(feeds)
    for node in model.nodes.values():
        if node.op in ("Gather", "Embedding") and not node.body and node.inputs[1] in wanted:
            weight = model.weight_behind(node.inputs[0])
            if weight is not None and len(weight.shape) == 2:
                return node.outputs[0]
    raise BadInput(
        f"nothing differentiable to explain: inputs are {', '.join(map(str, model.inputs))}, and no "
        "embedding (Gather from a stored matrix) reads them. Methods of the family `perturbation` need none."
    )


def _rows(value: Any, have: int, want: int) -> Any:
    """Other inputs repeated so that they go with every row."""
    if not isinstance(value, Tensor) or have == want or value.ndim == 0 or value.shape[0] != have:
        return value
    if want % have:
        return value[:1].expand(want, *value.shape[1:])
    return value.repeat(want // have, *[1] * (value.ndim - 1))
