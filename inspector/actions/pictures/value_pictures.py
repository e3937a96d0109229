"""Which pictures show one captured value? The fitting one, its histogram, a surface of the strongest map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector import dtypes, execution, views

if TYPE_CHECKING:
    from inspector.execution import Inputs
    from inspector.execution.prediction import Ranking
    from inspector.model import Model
    from inspector.views import Figure
    from inspector.views.figure import Media

__all__ = ["draw_inputs", "draw_outputs", "draw_value"]

Array = np.ndarray[Any, np.dtype[Any]]

FEW = 32
"""Up to so many values stand one by one in their picture; a histogram of them says nothing more."""

MOST_OUTPUTS = 6
"""Pictures of outputs of one answer."""


def draw_value(
    model: Model, key: str, array: Array, *, title: str, note: str, media: Media, full: bool, shared: bool
) -> Mapping[str, Figure]:
    """Pictures by kind: "maps" (or whatever fits the shape), with `full` also "histogram" and "surface".

    Maps lie on one `shared` scale, or each on its own.
    """
    axes = execution.axes_of_value(model, key, array.shape)
    array = array.astype(np.float32) if dtypes.is_foreign(array.dtype) else array  # bfloat16, float8, int4, …
    found = {"maps": views.picture_of(array, axes=axes, shared=shared, title=title, note=note, media=media)}
    numeric = array.dtype.kind in "fiub" and array.size > FEW
    if full and numeric:
        found["histogram"] = views.draw_histogram(array, title=f"{title}: values", note=note, media=media)
        surface = _strongest(array, axes)
        if surface is not None:
            channel, plane = surface
            found["surface"] = views.draw_surface(
                plane,
                title=f"{title}: map {channel}",
                note=f"{note}. The map with the largest value.".lstrip(". "),
                media=media,
            )
    return found


def _strongest(array: Array, axes: str) -> tuple[int, Array] | None:
    """Number and plane (h, w) of the channel with the largest finite value, of the first item."""
    names = axes.split()
    if sorted(names) != ["c", "h", "n", "w"]:
        return None
    maps = array.transpose([names.index(axis) for axis in ("n", "c", "h", "w")])[0].astype(np.float32)
    if min(maps.shape[1:]) < 4 or not np.isfinite(maps).any():
        return None
    peaks = np.where(np.isfinite(maps), maps, -np.inf).max(axis=(1, 2))
    channel = int(np.argmax(peaks))
    return channel, maps[channel]


def draw_inputs(model: Model, inputs: Inputs, media: Media) -> Mapping[str, Figure]:
    """What is fed: the planes of a picture beside its original, as the article's figure 9, else what fits."""
    found: dict[str, Figure] = {}
    for name, array in inputs.feeds.items():
        title = f"Input {name}: {_shape(array)}"
        recipe = inputs.recipes.get(name)
        if recipe is None:
            found[name] = _fitting(model, name, array, title, "", media)
            continue
        layout = recipe.layout
        item = array[0] if "N" in layout else array
        planes = item[None] if "C" not in layout else np.moveaxis(item, layout.replace("N", "").index("C"), 0)
        names = {"RGB": ("red", "green", "blue"), "BGR": ("blue", "green", "red")}.get(recipe.channels)
        found[name] = views.draw_planes(
            planes, inputs.pictures[name], names=names, title=title, note=recipe.describe(), media=media
        )
    return found


def draw_outputs(model: Model, prediction: execution.Prediction, media: Media) -> Mapping[str, Figure]:
    """The best classes of the first item where an output holds classes, else a fitting picture of it."""
    ranked = {ranking.output: ranking for ranking in prediction.rankings}
    found = {name: _bars(ranking, media) for name, ranking in ranked.items()}
    for name, array in prediction.arrays.items():
        if name not in ranked and len(found) < MOST_OUTPUTS:
            title = f"Output {name}: {_shape(array)}"
            found[name] = _fitting(model, name, array, title, "", media)
    return found


def _shape(array: Array) -> str:
    """'1×3×224×224', or 'one number'."""
    return "×".join(map(str, array.shape)) or "one number"


def _fitting(model: Model, name: str, array: Array, title: str, note: str, media: Media) -> Figure:
    look = {"full": False, "shared": True}
    return draw_value(model, name, array, title=title, note=note, media=media, **look)["maps"]


def _bars(ranking: Ranking, media: Media) -> Figure:
    row = ranking.rows[0]
    known = all(entry.probability is not None for entry in row)
    numbers = [entry.probability if known else entry.score for entry in row]
    item = f", item 0 of {len(ranking.rows)}" if len(ranking.rows) > 1 else ""
    return views.draw_bars(
        np.array(numbers, np.float64),
        [entry.label or f"class {entry.index}" for entry in row],
        top=len(row),
        probabilities=known,
        title=f"Top {len(row)} of {ranking.classes:,} classes",
        note=f"Output {ranking.output}{item}, {ranking.scale}",
        media=media,
    )
