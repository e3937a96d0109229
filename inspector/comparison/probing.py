"""How are two models fed the same? One sample for both, in the layout and preparation of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from inspector import dtypes
from inspector.comparison.alignment import Alignment, CanonicalGraph
from inspector.errors import BadInput
from inspector.execution.feeds import complete_feeds, random_feeds
from inspector.execution.inputs import read_inputs
from inspector.execution.picture_files import PICTURE_SUFFIXES
from inspector.model import Model, Value

__all__ = ["InputLink", "Probe", "input_links", "probes", "source_order"]

Array = np.ndarray[Any, np.dtype[Any]]
_TRANSPOSE = re.compile(r"axes (\d+(?:,\d+)*)\b")
"""How an edge note begins that tells a transpose."""


@dataclass(frozen=True)
class InputLink:
    """Two inputs that take the same thing; `orders` are axes of `a` in the order of `b`, likeliest first."""

    a: str
    b: str
    orders: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Probe:
    """One sample for both models; `notes` tell how it was prepared for either."""

    a: Mapping[str, Array]
    b: Mapping[str, Array]
    notes: tuple[str, ...] = ()


def probes(
    alignment: Alignment, inputs: Any = None, *, count: int = 1, seed: int = 0, preprocess: str | None = None
) -> list[Probe]:
    """Samples from pictures (each model prepares its own), arrays or files for A, or random numbers.

    Raises:
        BadInput: what fits one model does not fit the other.
    """
    a, b = alignment.a.model, alignment.b.model
    links = input_links(alignment)
    if inputs is None or (isinstance(inputs, (list, tuple)) and not inputs):
        return [_random(a, b, links, seed + i) for i in range(count)]
    pictures = _pictures(inputs)
    if pictures:
        return [_picture(a, b, path, preprocess) for path in pictures]
    given = read_inputs(a, inputs, preprocess=preprocess, seed=seed)
    fed = _carried(given.feeds, b, links)
    return [Probe(given.feeds, complete_feeds(b, fed)[0], tuple(given.describe()))]


def input_links(alignment: Alignment) -> tuple[InputLink, ...]:
    """Which input of A is which input of B: those that feed matched nodes, then names, then order."""
    a, b = alignment.a.model, alignment.b.model
    partner = {pair.a.key: pair.b.key for pair in alignment.pairs}
    feeds_b: dict[tuple[str, int], tuple[str, tuple[str, ...]]] = {}
    for edge in alignment.b.edges:
        if edge.source not in alignment.b.atoms:
            feeds_b[edge.target, edge.operand] = edge.source, edge.notes
    inputs_b = {value.key for value in b.inputs}
    found: dict[str, InputLink] = {}
    for edge in alignment.a.edges:
        other = feeds_b.get((partner.get(edge.target, ""), edge.operand))
        if edge.source in alignment.a.atoms or other is None or edge.source in found:
            continue
        taken = {link.b for link in found.values()}
        if other[0] in inputs_b - taken:
            order = _order(edge.notes, other[1])
            found[edge.source] = InputLink(edge.source, other[0], (order,) if order else ())
    left = [v.key for v in b.inputs if v.key not in {link.b for link in found.values()}]
    for value in a.inputs:
        if value.key not in found and left:
            name = value.key if value.key in left else left[0]
            left.remove(name)
            found[value.key] = InputLink(value.key, name, ())
    return tuple(found[v.key] for v in a.inputs if v.key in found)


def _order(notes_a: Sequence[str], notes_b: Sequence[str]) -> tuple[int, ...] | None:
    """Axes of the input of A in the order of B's, from the transposes behind either."""
    one, other = _axes(notes_a), _axes(notes_b)
    rank = len(one or other or ())
    if not rank or any(axes is not None and len(axes) != rank for axes in (one, other)):
        return None
    first = one or tuple(range(rank))
    second = other or tuple(range(rank))
    return tuple(first[second.index(axis)] for axis in range(rank))


def _axes(notes: Sequence[str]) -> tuple[int, ...] | None:
    """The order of axes after a chain of transposes; None where anything else stands in it."""
    total: tuple[int, ...] | None = None
    for note in notes:
        said = _TRANSPOSE.match(note)
        if said is None:
            return None
        axes = tuple(int(n) for n in said[1].split(","))
        total = axes if total is None else tuple(total[i] for i in axes)
    return total


def source_order(graph: CanonicalGraph, key: str) -> tuple[int, ...] | None:
    """The axes of an input in the order in which the first node behind it reads them."""
    return next((_axes(edge.notes) for edge in graph.edges if edge.source == key), None)


def _random(a: Model, b: Model, links: tuple[InputLink, ...], seed: int) -> Probe:
    if _open(a) <= _open(b):
        feeds = random_feeds(a, seed=seed)
        return Probe(feeds, complete_feeds(b, _carried(feeds, b, links))[0])
    feeds = random_feeds(b, seed=seed)
    back = tuple(InputLink(link.b, link.a, tuple(map(_inverse, link.orders))) for link in links)
    return Probe(complete_feeds(a, _carried(feeds, a, back))[0], feeds)


def _open(model: Model) -> int:
    shapes = [value.shape for value in model.inputs]
    return sum(8 if shape is None else sum(not isinstance(d, int) for d in shape) for shape in shapes)


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(order))


def _pictures(inputs: Any) -> list[str]:
    listed = [inputs] if isinstance(inputs, (str, Path)) else inputs
    if not isinstance(listed, (list, tuple)):
        return []
    paths = [str(path) for path in listed if isinstance(path, (str, Path))]
    ends = [Path(path).suffix.lower() in PICTURE_SUFFIXES and "=" not in path for path in paths]
    return paths if len(paths) == len(listed) and ends and all(ends) else []


def _picture(a: Model, b: Model, path: str, preprocess: str | None) -> Probe:
    """Each model's own preparation; where one says nothing of it, that of the other."""
    one, other = (read_inputs(model, path, preprocess=preprocess) for model in (a, b))
    recipe_a, recipe_b = one.preprocess, other.preprocess
    shared: list[str] = []
    if recipe_a is not None and recipe_b is not None:
        if "assumed" in recipe_b.source:
            other = read_inputs(b, path, preprocess=replace(recipe_a, layout="", name="as A"))
            shared = ["Nothing in B says how its pictures are prepared; they are prepared as for A."]
        elif "assumed" in recipe_a.source:
            one = read_inputs(a, path, preprocess=replace(recipe_b, layout="", name="as B"))
            shared = ["Nothing in A says how its pictures are prepared; they are prepared as for B."]
    notes = [f"A: {line}" for line in one.describe()] + [f"B: {line}" for line in other.describe()]
    return Probe(one.feeds, other.feeds, (*notes, *shared))


def _carried(feeds: Mapping[str, Array], target: Model, links: tuple[InputLink, ...]) -> dict[str, Array]:
    """The feeds of one model as those of the other."""
    known = {value.key: value for value in target.inputs}
    return {
        link.b: _fitted(feeds[link.a], known[link.b], link.orders)
        for link in links
        if link.a in feeds and link.b in known
    }


def _fitted(array: Array, value: Value, orders: tuple[tuple[int, ...], ...]) -> Array:
    kind = dtypes.numpy_of(dtypes.number_of(value.dtype)) if value.dtype else array.dtype
    shape = value.shape
    if shape is None:
        return array.astype(kind)
    for order in (*orders, *_usual(array.ndim)):
        if len(order) == array.ndim and _fits(tuple(array.shape[axis] for axis in order), shape):
            return array.transpose(order).astype(kind, order="C")
    closed = tuple(size if isinstance(size, int) else -1 for size in shape)
    if closed.count(-1) <= 1 and array.size % max(1, abs(int(np.prod(closed)))) == 0:
        return array.reshape(closed).astype(kind)
    raise BadInput(
        f"the sample has shape {list(array.shape)}, input {value.key!r} of the other model takes {value}. "
        "Fix open sizes with --input-shape, or compare structure and weights only (--random 0)."
    )


def _usual(rank: int) -> Iterator[tuple[int, ...]]:
    yield tuple(range(rank))
    if 2 < rank <= 6:
        yield (0, *range(2, rank), 1)
        yield (0, rank - 1, *range(1, rank - 1))
        yield from itertools.permutations(range(rank))


def _fits(sizes: tuple[int, ...], shape: Sequence[object]) -> bool:
    return len(sizes) == len(shape) and all(
        not isinstance(want, int) or want == have for want, have in zip(shape, sizes, strict=True)
    )
