"""Which picture fits an array? Chosen by its axes, or by its rank where nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.views.attention import draw_attention
from inspector.views.bars import draw_bars
from inspector.views.canvas import notice
from inspector.views.cells import draw_values
from inspector.views.figure import PNG, Figure, Media
from inspector.views.signals import draw_signals
from inspector.views.strip import draw_strip
from inspector.views.tiles import draw_tiles
from inspector.views.values import Array, as_floats, is_numeric
from inspector.views.volumes import draw_volume
from inspector.views.wording import sentences, shape_text

__all__ = ["axes_of", "picture_of"]

SMALL_VECTOR = 32  # up to so many values stand as bars
FEW_VALUES = 6  # up to so many values stand as numbers


class _Look(TypedDict):
    title: str
    note: str
    media: Media


@dataclass(frozen=True)
class _Request:
    look: _Look
    labels: Sequence[str] | None
    stored: npt.NDArray[Any]
    shared: bool

    def noting(self, words: str) -> _Request:
        """The same, with one more sentence in the caption."""
        note = sentences(self.look["note"], words)
        return replace(self, look=_Look(title=self.look["title"], note=note, media=self.look["media"]))


def picture_of(
    array: npt.ArrayLike,
    *,
    axes: str = "",
    item: int = 0,
    labels: Sequence[str] | None = None,
    shared: bool = True,
    title: str = "",
    note: str = "",
    media: Media = PNG,
) -> Figure:
    """A fitting picture of an array of any shape and type; nothing about a shape is an error.

    `axes` names them, for instance 'n c h w', 'n h w c', 'n c d h w', 'n c t' (signals), 'n t f' (tokens ×
    features), 'n heads q k' (attention), 'n k' (scores), 'k'; without it the rank decides (`axes_of`). Of
    the batch axis `n`, item number `item` is drawn. `labels` name the k scores, or the tokens.
    Several maps or heads lie on one `shared` scale, or each on its own.
    """
    values = np.asarray(array)
    if not is_numeric(values.dtype) or values.ndim == 0:
        return draw_values(values, title=title, note=note, media=media)
    if values.size == 0:
        return notice(f"empty: {shape_text(values.shape)}, {values.dtype}", title=title, media=media)
    names = axes.split() or axes_of(values.shape)
    if len(names) != values.ndim:
        raise BadInput(f"axes {axes!r} name {len(names)} axes, the array has {values.ndim}: {values.shape}.")
    one, names, words = _one_item(values, names, item)
    look = _Look(title=title, note=sentences(note, words), media=media)
    return _draw(as_floats(one), names, _Request(look, labels, one, shared))


def axes_of(shape: Sequence[int]) -> list[str]:
    """What the axes most probably are, by rank alone."""
    rank = len(shape)
    if rank == 1:
        return ["k"]
    if rank == 2:
        return ["n", "k"] if shape[0] == 1 else ["row", "column"]
    if rank == 3:
        return ["n", "row", "column"] if shape[0] == 1 else ["c", "h", "w"]
    if rank == 4:
        return ["n", "c", "h", "w"]
    if rank == 5:
        return ["n", "c", "d", "h", "w"]
    return ["n"] * (rank - 3) + ["c", "h", "w"]


def _one_item(
    values: npt.NDArray[Any], names: list[str], item: int
) -> tuple[npt.NDArray[Any], list[str], str]:
    """The array without batch axes, the remaining names, and the words that say what was picked."""
    batch = tuple(i for i, name in enumerate(names) if name == "n")
    if not batch:
        return values, names, ""
    moved = np.moveaxis(values, batch, range(len(batch)))
    rest = moved.shape[len(batch) :]
    items = moved.reshape(-1, *rest)
    if not 0 <= item < items.shape[0]:
        raise BadInput(f"item {item} does not exist: the batch holds {items.shape[0]}.")
    words = f"Item {item} of {items.shape[0]:,}" if items.shape[0] > 1 else ""
    return items[item], [name for name in names if name != "n"], words


def _draw(values: Array, names: list[str], request: _Request) -> Figure:
    look = request.look
    if sorted(names) == ["c", "h", "w"]:
        maps = values.transpose([names.index(axis) for axis in ("c", "h", "w")])
        return _maps(maps, request)
    if sorted(names) == ["c", "d", "h", "w"]:
        return draw_volume(values.transpose([names.index(axis) for axis in ("c", "d", "h", "w")]), **look)
    if len(names) == 3 and names[1:] == ["q", "k"]:
        return draw_attention(values, request.labels, shared=request.shared, **look)
    if sorted(names) == ["c", "t"]:
        return _signals(values.transpose([names.index("c"), names.index("t")]), request)
    if len(names) == 2 and 1 in values.shape and "q" not in names:
        return _vector(values.reshape(-1), request)
    if len(names) == 2:
        words = {"t": "token", "f": "feature", "q": "query", "k": "key"}
        row, column = (words.get(name, name) for name in names)
        labels = (
            request.labels if request.labels is not None and len(request.labels) == values.shape[0] else None
        )
        return draw_strip(values, row_axis=row, column_axis=column, row_labels=labels, **look)
    if len(names) <= 1:
        return _vector(values.reshape(-1), request)
    flat = values.reshape(-1, *values.shape[-2:])
    if len(names) == 3:
        return _maps(flat, request)
    return _maps(flat, request.noting(f"Numbered through the axes {shape_text(values.shape[:-2])}"))


def _maps(maps: Array, request: _Request) -> Figure:
    """(c, h, w): tiles, unless there is nothing to see in the plane."""
    count, height, width = maps.shape
    if height == width == 1 or (count == 1 and 1 in (height, width)):
        return _vector(maps.reshape(-1), request)
    if (height == 1 or width == 1) and max(height, width) > 8:
        return _signals(maps.reshape(count, -1), request)
    return draw_tiles(maps, shared=request.shared, **request.look)


def _signals(signals: Array, request: _Request) -> Figure:
    """(c, t): lines while they can be told apart, else a heat strip."""
    look = request.look
    if signals.shape[1] == 1:
        return _vector(signals.reshape(-1), request)
    if signals.shape[0] <= 8:
        return draw_signals(signals, **look)
    return draw_strip(signals, row_axis="channel", column_axis="time", **look)


def _vector(values: Array, request: _Request) -> Figure:
    look = request.look
    labels = request.labels if request.labels is not None and len(request.labels) == values.size else None
    if labels is not None:
        return draw_bars(values, labels, top=10, **look)
    if values.size <= FEW_VALUES:
        return draw_values(request.stored.reshape(-1), **look)
    if values.size <= SMALL_VECTOR:
        return draw_bars(values, top=SMALL_VECTOR, order="given", noun="index", label="value", **look)
    return draw_signals(values[None], axis="index", **look)
