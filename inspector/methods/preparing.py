"""How do several methods and targets share one read input, one net and its activations?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from inspector.autograd.network import to_torch
from inspector.execution import Inputs, Preprocess, read_inputs
from inspector.methods.black_box import Runtime
from inspector.methods.entries import (
    assumed_recipes,
    channels_last,
    entry_of,
    is_numeric,
    run_only_entry,
)
from inspector.methods.question import Question
from inspector.methods.registry import Method
from inspector.methods.subject import Dtype, Subject
from inspector.methods.target import Target, settle_target
from inspector.model import Model

__all__ = ["Preparation", "prepare", "prepare_black_box"]

Wanted = int | str | Target | None


@dataclass(eq=False)
class Preparation:
    """A model and its inputs; the net, sessions and subjects are made when first needed and kept.

    `on` asks the same about other inputs.
    Methods of the family `perturbation` run on ONNX Runtime in float32, all else on the differentiable net.
    """

    model: Model
    inputs: Any
    layer: str | None = None
    dtype: Dtype = "float32"
    input: str | None = None
    preprocess: str | Preprocess | None = None
    device: str = "cpu"
    logit: bool = True
    straight_through: bool = False
    seed: int = 0
    _read: Inputs | None = field(default=None, init=False)
    _subjects: dict[tuple[bool, Wanted], Subject] = field(
        default_factory=dict[tuple[bool, Wanted], Subject], init=False
    )
    _lent: dict[bool, Subject] = field(default_factory=dict[bool, Subject], init=False)

    def on(self, inputs: Any) -> Preparation:
        """The same questions about other inputs: what was made for these is lent (see `prepare`)."""
        other = replace(self, inputs=inputs)
        other._lent.update(self._lent)
        other._lent.update((runs, made) for (runs, _), made in reversed(self._subjects.items()))
        return other

    def subject(self, method: Method, target: Wanted) -> Subject:
        """The subject of a method and a target.

        Raises:
            BadInput: inputs do not fit.
            NotRunnable: the model cannot be run.
        """
        runs = method.family == "perturbation" and self.dtype == "float32"
        if (runs, target) not in self._subjects:
            made = self._run_only(target) if runs else self._differentiable(target)
            self._read = made.inputs
            self._subjects[runs, target] = made
        return self._subjects[runs, target]

    def _differentiable(self, target: Wanted) -> Subject:
        return prepare(
            self.model,
            self._read or self.inputs,
            target=target,
            layer=self.layer,
            input=self.input,
            preprocess=self.preprocess,
            dtype=self.dtype,
            device=self.device,
            logit=self.logit,
            straight_through=self.straight_through,
            seed=self.seed,
            like=self._like(runs=False),
        )

    def _run_only(self, target: Wanted) -> Subject:
        like = self._like(runs=True)
        return prepare_black_box(
            self.model,
            self._read or self.inputs,
            target=target,
            input=self.input,
            preprocess=self.preprocess,
            device=self.device,
            logit=self.logit,
            seed=self.seed,
            runtime=None if like is None else like.runtime,
        )

    def _like(self, *, runs: bool) -> Subject | None:
        own = (made for (only, _), made in self._subjects.items() if only == runs)
        return next(own, self._lent.get(runs))


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
    """Read the inputs, build the net and choose what is explained; the target is settled by the first run.

    `like`, made with the same options, lends its net, and for inputs of the same shapes what hangs on
    shapes alone: the values at the layer and the outputs then come from ONNX Runtime, equal to rounding.

    Raises:
        BadInput: no input of floating type and no embedding.
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
    question = Question(model, net, feeds, entry, target, logit, layer)
    if like is not None and read is like.inputs:
        question.seen = like.question.seen
    elif like is not None and _shapes(feeds) == _shapes(like.feeds):
        question.lender = like.lender
    inner = entry not in feeds
    if inner and entry not in question.seen.values:
        question.look()
    x = question.seen.values[entry] if inner else feeds[entry]
    last = not inner and channels_last(model, read, entry, x)
    held = tuple(f"Input {k!r} is held fixed." for k in feeds if k != entry and not inner)
    notes = (*read.notes, *assumed_recipes(read), *held)
    folds = {} if like is None else like.folds
    x = x.movedim(-1, 1) if last else x
    return Subject(model, net, feeds, entry, x, question, read, layer, seed, notes, None, last, folds)


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
    entry = run_only_entry(model, read.feeds, input)
    runtime = runtime or Runtime(model, device)
    settled = settle_target(model, target, runtime.outputs(read.feeds), logit=logit)
    feeds = {
        name: torch.from_numpy(np.array(array)) for name, array in read.feeds.items() if is_numeric(array)
    }
    others = tuple(f"Input {k!r} is held fixed." for k in feeds if k != entry)
    last = channels_last(model, read, entry, feeds[entry])
    x = feeds[entry].movedim(-1, 1) if last else feeds[entry]
    notes = (*read.notes, *assumed_recipes(read), *others)
    question = Question(model, None, feeds, entry, settled)
    return Subject(model, None, feeds, entry, x, question, read, None, seed, notes, runtime, last)


def _shapes(feeds: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in feeds.items()}
