"""At which layer is a class activation map read? Candidates from the graph, and the usual choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isqrt

from inspector.errors import NoGradientPath, UnknownName
from inspector.model import Model

__all__ = ["Layer", "candidates", "find_layer"]


@dataclass(frozen=True)
class Layer:
    """A value with places: `grid` is their (height, width), or (1, length) for sequences.

    `tokens` tells that places are tokens on axis 1 of (n, t, c), `skip` how many leading ones are no places
    (class tokens).
    """

    key: str
    grid: tuple[int, int]
    channels: int
    tokens: bool = False
    skip: int = 0


def candidates(model: Model, shapes: Mapping[str, tuple[int, ...]], start: str, end: str) -> list[Layer]:
    """Every value between `start` and `end` that has channels and more than one place, in graph order."""
    after = _reachable(model, start)
    before = _ancestors(model, end)
    picture = any(len(s) == 4 and s[2] * s[3] > 1 for k, s in shapes.items() if k in after)
    found: list[Layer] = []
    for key, shape in shapes.items():
        if key not in after or key not in before or key == end:
            continue
        layer = _layer(key, shape, picture)
        if layer is not None:
            found.append(layer)
    return found


def find_layer(name: str | None, layers: Sequence[Layer], model: Model) -> Layer:
    """The layer called `name` (value, node, scope or pattern), by default the last one with places.

    Raises:
        UnknownName: nothing of that name has places; the candidates are listed.
        NoGradientPath: the model has no such value at all.
    """
    if not layers:
        raise NoGradientPath(
            "no value between the input and the score has channels and places (n, c, h, w) or tokens "
            "(n, t, c). Methods of the family `gradients` need no layer."
        )
    if name is None:
        spatial = [layer for layer in layers if not layer.tokens]
        return (spatial or list(layers))[-1]
    by_key = {layer.key: layer for layer in layers}
    if name in by_key:
        return by_key[name]
    hits = [
        by_key[key]
        for node in model.nodes.values()
        if name in (node.key, node.scope)
        or fnmatchcase(node.key, name)
        or fnmatchcase(node.scope, name)
        or node.scope.startswith(name + "/")
        for key in node.outputs
        if key in by_key
    ]
    if not hits:
        raise UnknownName.among("layer with places", name, by_key)
    return hits[-1]


def _layer(key: str, shape: tuple[int, ...], picture: bool) -> Layer | None:
    if len(shape) == 4 and shape[2] * shape[3] > 1:
        return Layer(key, (shape[2], shape[3]), shape[1])
    if len(shape) != 3 or shape[1] < 2:
        return None
    _, count, width = shape
    if not picture:
        return Layer(key, (1, count), width, tokens=True)
    for skip in (0, 1, 2, 5):  # class token, distillation token, four registers
        side = isqrt(max(count - skip, 0))
        if side > 1 and side * side == count - skip:
            return Layer(key, (side, side), width, tokens=True, skip=skip)
    return None


def _reachable(model: Model, start: str) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        for node in model.consumers.get(waiting.pop(), ()):
            new = [key for key in node.outputs if key and key not in found]
            found.update(new)
            waiting += new
    return found


def _ancestors(model: Model, end: str) -> set[str]:
    found, waiting = {end}, [end]
    while waiting:
        node = model.producers.get(waiting.pop())
        new = [key for key in node.inputs if key and key not in found] if node is not None else []
        found.update(new)
        waiting += new
    return found
