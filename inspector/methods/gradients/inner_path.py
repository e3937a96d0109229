"""What do the values of a layer do while the input walks from a baseline? Integrals along an inner path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.errors import NoGradientPath, UnknownName
from inspector.execution import axes_of_value
from inspector.methods.axes import axes_of
from inspector.methods.baselines import Baseline, baseline_of
from inspector.methods.entries import reaches
from inspector.methods.gradients.quadrature import nodes_of
from inspector.methods.subject import Subject
from inspector.methods.tail import Tail, differentiate
from inspector.progress import track

__all__ = ["InnerPath", "inner_path", "layer_axes"]


@dataclass(frozen=True, eq=False)
class InnerPath:
    """The way from `begin` to the input, both (n, …), seen at a layer where the net is cut."""

    subject: Subject
    tail: Tail
    begin: Tensor
    name: str

    def integrated(self, rule: str, steps: int, *, moving: bool) -> Tensor:
        """The mean over the path of D score / d layer, times how fast the layer's value moves if `moving`."""
        total = torch.zeros_like(self.tail.activations)
        places, weights = nodes_of(rule, steps)
        for place, weight in track(list(zip(places, weights, strict=True)), "path steps"):
            total += float(weight) * torch.cat(
                [self._at(rows, float(place), moving) for rows in self._rows()]
            )
        return total

    def _rows(self) -> list[slice]:
        count, size = self.subject.x.shape[0], self.subject.chunk
        return [slice(first, first + size) for first in range(0, count, size)]

    def _at(self, rows: slice, place: float, moving: bool) -> Tensor:
        begin = self.begin[rows]
        way = self.subject.x[rows] - begin
        x = (begin + place * way).detach().requires_grad_(moving)
        with torch.set_grad_enabled(moving):
            value = self.tail.from_input(x)
        leaf = value.detach().requires_grad_()
        slope = differentiate(self.tail.score(leaf, x.detach()), leaf, self.tail.layer)
        return slope * _speed(value, x, way) if moving else slope


def _speed(value: Tensor, x: Tensor, way: Tensor) -> Tensor:
    """How fast a value moves when x moves along `way`: the derivative, taken by differentiating twice."""
    probe = torch.zeros_like(value, requires_grad=True)
    (pulled,) = torch.autograd.grad(value, x, probe, create_graph=True)
    if not pulled.requires_grad:
        return torch.zeros_like(value)
    return torch.autograd.grad(pulled, probe, way)[0]


def inner_path(subject: Subject, baseline: Baseline) -> InnerPath:
    """The path at the named value or node, by default at the last layer with places.

    Raises:
        UnknownName: no value, node or scope of that name lies between the input and the score.
        NoGradientPath: the layer does not depend on the input.
    """
    begin, name = baseline_of(subject, baseline)
    tail = subject.tail(_layer_key(subject))
    if not reaches(subject.model, subject.entry, [tail.layer]):
        raise NoGradientPath(f"layer {tail.layer!r} does not depend on {subject.entry!r}.")
    return InnerPath(subject, tail, begin, name)


def _layer_key(subject: Subject) -> str:
    """Layers without places count here too: a hidden vector has a conductance."""
    name, shapes = subject.layer_name, subject.shapes
    if name is None or name in (layer.key for layer in subject.layers):
        return subject.layer.key if subject.layers else _last_hidden(subject, shapes)
    if name in shapes:
        return name
    nodes = [n for n in subject.model.nodes.values() if name in (n.key, n.scope)]
    keys = [key for node in nodes for key in node.outputs if key in shapes]
    if not keys:
        raise UnknownName.among("layer", name, shapes)
    return keys[-1]


def _last_hidden(subject: Subject, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What the operator that makes the score reads, for nets without places."""
    producer = subject.model.producers.get(subject.target.value)
    read = [key for key in producer.inputs if key in shapes] if producer is not None else []
    return read[0] if read else subject.layer.key


def layer_axes(subject: Subject, key: str, value: Tensor) -> tuple[str, ...]:
    """Names of the axes of a layer's value, from the operators before it, else by rank."""
    named = tuple(axes_of_value(subject.model, key, tuple(value.shape)).split())
    return named if len(named) == value.ndim and named[0] == "n" else axes_of(value)
