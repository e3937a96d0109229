"""At which layer is a class activation map read? Candidates from the graph, and the usual choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import isqrt

import networkx as nx

from inspector.errors import NoGradientPath, UnknownName
from inspector.methods.layouts import Layout, layouts, mixes_places
from inspector.model import Model

__all__ = ["Layer", "candidates", "find_layer", "outputs_named", "token_grid", "trunk"]


_ONE_BY_ONE = frozenset(
    {
        *("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Resize"),
        *("Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "Tanh", "Exp", "Softmax", "LogSoftmax"),
    }
)


@dataclass(frozen=True)
class Layer:
    """A value with places: `grid` is their (height, width), or (1, length) for sequences.

    `layout` tells whether channels stand before the places or behind them, `joined` that places are one axis
    (tokens), `skip` how many leading tokens are no places (class tokens). `settled` marks values through
    which all that the score draws from the input goes while every place still counts: the usual choice.
    """

    key: str
    grid: tuple[int, int]
    channels: int
    layout: Layout = "first"
    joined: bool = False
    skip: int = 0
    settled: bool = False


def candidates(model: Model, shapes: Mapping[str, tuple[int, ...]], start: str, end: str) -> list[Layer]:
    """Every value between `start` and `end` that has channels and more than one place, in graph order."""
    after = _reachable(model, start)
    before = _ancestors(model, end)
    known = layouts(model, shapes, start, after)
    picture = len(shapes.get(start, ())) == 4
    narrow = _narrow_places(model, start, end, after & before)
    mixed_later = _before_mixing(model, after, before)
    ends = _same_numbers(model, end)
    found: list[Layer] = []
    for key, layout in known.items():
        shape = shapes[key]
        if key not in before or key == end or shape[0] != shapes[start][0]:
            continue
        layer = _layer(key, shape, layout, picture)
        if layer is not None:
            settled = key in narrow and key not in ends and (layer.skip == 0 or key in mixed_later)
            found.append(replace(layer, settled=settled))
    return found


def find_layer(name: str | None, layers: Sequence[Layer], model: Model) -> Layer:
    """The layer called `name` (value, node, scope or pattern), by default the last settled one with places.

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
        return ([layer for layer in layers if layer.settled] or list(layers))[-1]
    by_key = {layer.key: layer for layer in layers}
    if name in by_key:
        return by_key[name]
    hits = [by_key[key] for key in outputs_named(name, model) if key in by_key]
    if not hits:
        raise UnknownName.among("layer with places", name, by_key)
    return hits[-1]


def outputs_named(name: str, model: Model) -> list[str]:
    """The outputs, in graph order, of nodes whose key or scope is `name`, lies in it or fits the pattern."""
    return [
        key
        for node in model.nodes.values()
        if name in (node.key, node.scope)
        or fnmatchcase(node.key, name)
        or fnmatchcase(node.scope, name)
        or node.scope.startswith(name + "/")
        for key in node.outputs
        if key
    ]


def trunk(model: Model, start: str, end: str) -> set[str]:
    """Values that every path from `start` to `end` goes through."""
    return _narrow_places(model, start, end, _reachable(model, start) & _ancestors(model, end))


def token_grid(count: int, *, picture: bool) -> tuple[tuple[int, int], int] | None:
    """The grid of `count` tokens and how many leading ones are no places; None where they make no square."""
    if not picture:
        return (1, count), 0
    for skip in (0, 1, 2, 5):  # class token, distillation token, four registers
        side = isqrt(max(count - skip, 0))
        if side > 1 and side * side == count - skip:
            return (side, side), skip
    return None


def _layer(key: str, shape: tuple[int, ...], layout: Layout, picture: bool) -> Layer | None:
    channels = shape[1] if layout == "first" else shape[-1]
    places = shape[2:] if layout == "first" else shape[1:-1]
    if len(places) == 2:
        grid = (places[0], places[1])
        return Layer(key, grid, channels, layout) if grid[0] * grid[1] > 1 else None
    grid_of = token_grid(places[0], picture=picture) if places[0] > 1 else None
    return None if grid_of is None else Layer(key, grid_of[0], channels, layout, True, grid_of[1])


def _narrow_places(model: Model, start: str, end: str, between: Set[str]) -> set[str]:
    """Values that every path from start to end goes through."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from((start, end))
    for key in between:
        node = model.producers.get(key)
        if node is not None and key != start and node.op not in ("Shape", "Size"):  # sizes carry no score
            graph.add_edges_from((name, key) for name in node.inputs if name in between)
    if not nx.has_path(graph, start, end):
        return set()
    above = nx.immediate_dominators(graph, start)
    found: set[str] = set()
    key: str | None = end
    while key is not None and key not in found:
        found.add(key)
        key = above.get(key)
    return found


def _same_numbers(model: Model, end: str) -> set[str]:
    """Values that hold the numbers of `end` itself, moved or each through a function: its head."""
    found: set[str] = set()
    while (node := model.producers.get(end)) is not None and node.op in _ONE_BY_ONE:
        end = node.inputs[0]
        found.add(end)
    return found


def _before_mixing(model: Model, after: Set[str], before: Set[str]) -> set[str]:
    """Values that reach a product of tokens with tokens on the way to the score."""
    found: set[str] = set()
    for node in model.nodes.values():
        if any(key in before for key in node.outputs) and mixes_places(node, after):
            for key in node.inputs:
                if key and key not in found:
                    found |= _ancestors(model, key)
    return found


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
