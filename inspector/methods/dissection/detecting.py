"""Which units are detectors of a concept? Network Dissection (Bau 2017) with exact quantiles."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from inspector.errors import BadInput
from inspector.execution import Preprocess
from inspector.methods.dissection.concepts import Labelled, Mask
from inspector.methods.dissection.engines import run_parts
from inspector.methods.dissection.layer_maps import LayerMaps, open_layers
from inspector.model import Model
from inspector.progress import track

__all__ = ["IOU", "QUANTILE", "LayerDissection", "TailSketch", "dissect_layer"]

QUANTILE = 0.005
"""Share of a unit's values above its threshold (section 2.2 of the paper)."""

IOU = 0.04
"""Above this a unit counts as a detector (section 2.3)."""

UNITS_AT_ONCE = 64
"""Maps that are enlarged together."""

HELD_BYTES = 256 * 1024**2
"""Memory for maps of a small data set."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TailSketch:
    """The largest values of every unit, enough for an exact upper quantile; sketches can be merged.

    `values` is (units, kept), unordered; `kept` is ⌊q · n⌋ + 1 for the n values of the whole stream.
    """

    kept: int
    values: npt.NDArray[np.float32]

    def merged(self, rows: Array) -> TailSketch:
        """After more values (units, m), of a map or of another sketch."""
        joined = np.concatenate([self.values, rows.astype(np.float32)], 1)
        if joined.shape[1] > self.kept:
            joined = np.partition(joined, joined.shape[1] - self.kept, axis=1)[:, -self.kept :]
        return TailSketch(self.kept, np.ascontiguousarray(joined))

    @property
    def thresholds(self) -> npt.NDArray[np.float32]:
        """(units,): at most the asked share of values lies strictly above."""
        return self.values.min(1)


@dataclass(frozen=True)
class LayerDissection:
    """IoU of every unit with every concept, (units, concepts), and the thresholds (units,).

    The union counts the images that carry the concept. `labels` has the best concept of every unit.
    """

    layer: str
    concepts: tuple[str, ...]
    categories: Mapping[str, str]
    iou: npt.NDArray[np.float64] = field(repr=False)
    thresholds: npt.NDArray[np.float32] = field(repr=False)
    images: int
    skipped: Mapping[str, str]
    minimum: float = IOU

    @property
    def labels(self) -> tuple[str, ...]:
        """The concept with the largest IoU of every unit."""
        return tuple(self.concepts[index] for index in self.iou.argmax(1))

    @property
    def detectors(self) -> tuple[int, ...]:
        """Units whose best IoU is above the minimum, best first."""
        best = self.iou.max(1)
        return tuple(int(unit) for unit in np.argsort(-best, kind="stable") if best[unit] > self.minimum)

    def count_by_category(self) -> dict[str, int]:
        """Detectors by the category of their concept."""
        counts = dict.fromkeys(sorted(set(self.categories.values())), 0)
        for unit in self.detectors:
            counts[self.categories[self.labels[unit]]] += 1
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Every unit with its concept, and the counts."""
        return {
            "layer": self.layer,
            "images": self.images,
            "skipped": dict(self.skipped),
            "detectors": len(self.detectors),
            "concepts": len({self.labels[unit] for unit in self.detectors}),
            "by_category": self.count_by_category(),
            "units": [
                {
                    "unit": unit,
                    "concept": label,
                    "category": self.categories[label],
                    "iou": float(self.iou[unit].max()),
                    "threshold": float(self.thresholds[unit]),
                }
                for unit, label in enumerate(self.labels)
            ],
        }


def dissect_layer(
    model: Model,
    labelled: Labelled,
    layer: str,
    *,
    quantile: float = QUANTILE,
    minimum: float = IOU,
    preprocess: str | Preprocess | None = None,
    device: str = "cpu",
    engine: str = "embedded",
) -> LayerDissection:
    """Two passes over the data: exact thresholds, then IoU at the size that the model sees.

    Memory: the share `quantile` of a layer's values over the data, and the maps of the first images up to
    `HELD_BYTES`, which the second pass need not compute again.
    `engine` is "embedded" or "ray[:address]"; both give the same bits.

    Raises:
        BadInput: no picture could be read, or none that could shows a concept.
        UnknownName: the model has no such layer.
    """
    if not 0 < quantile < 1:
        raise BadInput(f"quantile {quantile:g} must lie between 0 and 1.")
    layers = open_layers(model, [layer], preprocess, device)
    key = layers.keys[0]
    gpu = device == "cuda"
    held = _Held({})
    first = functools.partial(_tails, layers, key, labelled, quantile, held)
    tails = run_parts(engine, first, f"Thresholds of {key}", gpu=gpu)
    thresholds, images, skipped = _thresholds(tails, labelled, quantile)
    layers.forget()
    second = functools.partial(_overlaps, layers, key, labelled, thresholds, held)
    counts = run_parts(engine, second, f"Overlaps of {key}", gpu=gpu)
    both, either = sum(part[0] for part in counts), sum(part[1] for part in counts)
    iou = np.divide(both, either, out=np.zeros(np.shape(both)), where=np.asarray(either) > 0)
    return LayerDissection(
        key, labelled.concepts, labelled.categories, iou, thresholds, images, skipped, minimum
    )


@dataclass
class _Held:
    """Maps by the number of their image, from the first pass for the second."""

    maps: dict[int, Array]
    room: int = HELD_BYTES

    def keep(self, number: int, maps: Array) -> None:
        """Remember the maps if there is room."""
        if maps.nbytes <= self.room:
            self.room -= maps.nbytes
            self.maps[number] = maps


@dataclass(frozen=True)
class _Tail:
    sketch: TailSketch | None
    images: int
    values: int
    skipped: dict[str, str]


def _tails(
    layers: LayerMaps, key: str, labelled: Labelled, quantile: float, held: _Held, part: int, parts: int
) -> _Tail:
    """The largest values over a share of the examples."""
    sketch: TailSketch | None = None
    skipped: dict[str, str] = {}
    images, values = 0, 0
    waiting: list[Array] = []
    numbers = range(part, labelled.count, parts)
    for number, example in zip(
        numbers, track(labelled.stream(part, parts), f"Thresholds of {key}", len(numbers)), strict=True
    ):
        if example.picture is None:
            skipped[example.name] = example.problem
            continue
        maps = layers.maps(example.picture)[key]
        held.keep(number, maps)
        rows = maps.reshape(len(maps), -1)
        images, values = images + 1, values + rows.shape[1]
        if sketch is None or math.floor(quantile * rows.shape[1] * labelled.count) >= sketch.kept:
            kept = math.floor(quantile * rows.shape[1] * labelled.count) + 1
            before = np.empty((len(rows), 0), np.float32) if sketch is None else sketch.values
            sketch = TailSketch(kept, before)
        waiting.append(rows)
        if sum(one.shape[1] for one in waiting) >= max(sketch.kept, 4096):
            sketch, waiting = sketch.merged(np.concatenate(waiting, 1)), []
    if sketch is not None and waiting:
        sketch = sketch.merged(np.concatenate(waiting, 1))
    layers.forget()
    return _Tail(sketch, images, values, skipped)


def _thresholds(
    tails: list[_Tail], labelled: Labelled, quantile: float
) -> tuple[npt.NDArray[np.float32], int, dict[str, str]]:
    """The exact thresholds of all shares, with the images read and those that could not be."""
    skipped = {name: why for tail in tails for name, why in tail.skipped.items()}
    sketches = [tail.sketch for tail in tails if tail.sketch is not None]
    if not sketches:
        first = next(iter(skipped.items()), ("none", "the data set is empty"))
        raise BadInput(f"{labelled.source}: no picture could be read; {first[0]}: {first[1]}")
    kept = math.floor(quantile * sum(tail.values for tail in tails)) + 1
    whole = TailSketch(kept, np.empty((len(sketches[0].values), 0), np.float32))
    for sketch in sketches:
        whole = whole.merged(sketch.values)
    return whole.thresholds, sum(tail.images for tail in tails), dict(sorted(skipped.items()))


def _overlaps(
    layers: LayerMaps,
    key: str,
    labelled: Labelled,
    thresholds: npt.NDArray[np.float32],
    held: _Held,
    part: int,
    parts: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sums over images of |A ∩ C| and |A ∪ C| (section 2.2) over a share of those that carry the concept.

    They are whole numbers, so that adding shares in any order gives the same. A map that stays below its
    threshold stays so when it is enlarged, so only the others are.
    """
    concepts = {name: index for index, name in enumerate(labelled.concepts)}
    both = np.zeros((len(thresholds), len(concepts)))
    either = np.zeros_like(both)
    numbers = range(part, labelled.count, parts)
    for number, example in zip(
        numbers, track(labelled.stream(part, parts), f"Overlaps of {key}", len(numbers)), strict=True
    ):
        if example.picture is None or not example.masks:
            continue
        placed = _placed(layers.recipe, example.picture, example.masks)
        columns = [concepts[name] for name in example.masks]
        maps = held.maps.get(number)
        if maps is None:
            maps = layers.maps(example.picture)[key]
        active = np.flatnonzero(maps.max((1, 2)) > thresholds)
        either[:, columns] += placed.sum((1, 2))
        for units in np.array_split(active, -(-len(active) // UNITS_AT_ONCE) or 1):
            shared, alone = _counts(maps[units], thresholds[units], placed)
            both[units[:, None], columns] += shared
            either[units[:, None], columns] += alone[:, None] - shared
    layers.forget()
    return both, either


def _counts(maps: Array, limits: Array, masks: Mask) -> tuple[Array, Array]:
    """Active pixels in every mask (units, masks), and altogether (units,), of maps enlarged to the masks."""
    if not len(maps):
        return np.zeros((0, len(masks))), np.zeros(0)
    raised = torch.from_numpy(maps)[None]
    if maps.shape[1:] != masks.shape[1:]:
        raised = functional.interpolate(raised, size=masks.shape[1:], mode="bilinear", align_corners=False)
    active = (raised[0].numpy() > limits[:, None, None]).reshape(len(maps), -1)
    unit, place = np.divmod(np.flatnonzero(active), active.shape[1])
    shown = masks.reshape(len(masks), -1)[:, place]
    shared = np.stack([np.bincount(unit, weights=row, minlength=len(maps)) for row in shown], 1)
    return shared, np.bincount(unit, minlength=len(maps)).astype(np.float64)


def _placed(recipe: Preprocess, picture: npt.NDArray[np.uint8], masks: Mapping[str, Mask]) -> Mask:
    """Masks stretched over their picture and cut as the model sees it, (masks, h, w)."""
    height, width = picture.shape[:2]
    nearest = replace(recipe, resample="nearest")
    stretch = Preprocess(size=(height, width), fit="stretch", resample="nearest")
    found: dict[str, Mask] = {}
    for size in dict.fromkeys(mask.shape for mask in masks.values()):
        names = [name for name, mask in masks.items() if mask.shape == size]
        for start in range(0, len(names), 3):  # three masks are the colours of one picture
            three = names[start : start + 3]
            values = np.zeros((*size, 3), np.uint8)
            for channel, name in enumerate(three):
                values[..., channel] = masks[name]
            if size != (height, width):
                values = stretch.place(values)
            cut = nearest.place(values)
            found |= {name: cut[..., channel] > 0 for channel, name in enumerate(three)}
    return np.stack([found[name] for name in masks])
